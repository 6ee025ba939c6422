"""Whether an ONNX file says what the model said that it was made from."""

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import torch

from ste.errors import RunError
from ste.inference.onnx_model import INPUT, OUTPUT

TOLERANCE = 1e-5
"""Largest difference of a probability that is still the same model."""

ROWS = 4096
"""Held-out examples, evenly spaced, that are compared."""

SMALL = {1: 16, 2: 32}
"""Further batches: so many examples in batches of 1 and of 2."""


def largest_difference(
    content: bytes, chances: Callable[[torch.Tensor], np.ndarray], features: torch.Tensor, name: str
) -> float:
    """Largest difference of a probability between ONNX Runtime and PyTorch.

    Args:
        content: of the ONNX file.
        chances: probabilities `[B, C]` by PyTorch.
        features: raw ones of held-out examples.
        name: of the model, for a message.

    Raises:
        RunError: it is above `TOLERANCE`, or not a number.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def served(x: torch.Tensor) -> np.ndarray:
        return np.asarray(session.run([OUTPUT], {INPUT: x.numpy()})[0], dtype=np.float64)

    expected = np.asarray(chances(features), dtype=np.float64)
    found = [np.abs(served(features) - expected)]
    for size, rows in SMALL.items():
        parts = [served(part) for part in features[:rows].split(size)]
        found.append(np.abs(np.concatenate(parts) - expected[:rows]))
    difference = max(float(one.max()) for one in found)
    if not difference <= TOLERANCE:  # a NaN neither
        raise RunError(
            f"{name}: the ONNX file's probabilities differ from PyTorch's by up to {difference:.2g} on "
            f"{len(features):,} held-out rows. Expected {TOLERANCE:.0e} or less, so nothing was written. Export "
            "another run."
        )
    return difference
