"""Compare an ONNX file with the model it was exported from."""

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import torch

from ste.errors import RunError
from ste.inference.onnx_model import GROUP, INPUT, OUTPUT

TOLERANCE = 1e-5
"""Largest accepted difference of a probability."""

MAX_ROWS = 4096
"""Held-out examples, evenly spaced, that are compared."""

SMALL_BATCHES = {1: 16, 2: 32}
"""Further batches to compare: batch size to number of examples."""


def largest_difference(
    content: bytes,
    predict: Callable[..., np.ndarray],
    features: torch.Tensor,
    name: str,
    group: torch.Tensor | None = None,
) -> float:
    """Return the largest difference of a probability between ONNX Runtime and PyTorch.

    Args:
        content: of the ONNX file.
        predict: probabilities `[B, C]` by PyTorch, from features and, with `group`, dates.
        features: raw features of held-out examples.
        name: of the model, for error messages.
        group: dates of the examples, int64 `[N]`, where the model reads them. It predicts a part of a date as another
            market, so that each batch is compared with PyTorch's prediction of the same batch.

    Raises:
        RunError: the difference is above `TOLERANCE`, or not a number.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(*inputs: torch.Tensor) -> np.ndarray:
        given = {key: x.numpy() for key, x in zip((INPUT, GROUP), inputs, strict=False)}
        return np.asarray(session.run([OUTPUT], given)[0], dtype=np.float64)

    whole = (features,) if group is None else (features, group)
    expected = np.asarray(predict(*whole), dtype=np.float64)
    differences = [np.abs(run(*whole) - expected)]
    for size, rows in SMALL_BATCHES.items():
        batches = list(zip(*(part[:rows].split(size) for part in whole), strict=True))
        known = expected[:rows] if group is None else np.concatenate([predict(*batch) for batch in batches])
        differences.append(np.abs(np.concatenate([run(*batch) for batch in batches]) - known))
    difference = max(float(one.max()) for one in differences)
    if not difference <= TOLERANCE:  # catches NaN too
        raise RunError(
            f"{name}: the ONNX file's probabilities differ from PyTorch's by up to {difference:.2g} on "
            f"{len(features):,} held-out rows. Expected {TOLERANCE:.0e} or less, so nothing was written. Export "
            "another run."
        )
    return difference
