"""`data.labels.method=balanced`: the thresholds are the terciles of the training rows' returns."""

import numpy as np


def thresholds(rows: int, terciles: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the thresholds of Downtrend and Uptrend, float64 `[rows]` each.

    Args:
        rows: number of rows.
        terciles: of the training rows' returns (`targets.return_terciles`).
    """
    return np.full(rows, terciles[0]), np.full(rows, terciles[1])
