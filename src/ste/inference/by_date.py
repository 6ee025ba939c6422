"""Predict examples in batches; for a model that reads all tickers of a date, in batches of whole dates."""

from collections.abc import Callable

import numpy as np

from ste.data.windows import date_chunks
from ste.inference.onnx_model import ServedModel


def predict_in_batches(
    model: ServedModel, group: np.ndarray, gather: Callable[[np.ndarray], np.ndarray], size: int
) -> np.ndarray:
    """Predict examples, float32 `[N, C]`, in their order.

    Args:
        model: to predict with.
        group: date of each example, `[N]`, equal for the examples of one date.
        gather: raw features float32 `[n, *card.shape]` of the examples at some positions, int64 `[n]`.
        size: largest number of examples in a batch; a larger date of a model that reads dates is a batch of its own.
    """
    out = np.empty((len(group), len(model.card.classes)), dtype=np.float32)
    if model.card.sees_market:
        for rows in date_chunks(group, size):
            out[rows] = model.probabilities(gather(rows), group[rows])
    else:
        for rows in np.split(np.arange(len(group)), range(size, len(group), size)):
            if len(rows):
                out[rows] = model.probabilities(gather(rows))
    return out
