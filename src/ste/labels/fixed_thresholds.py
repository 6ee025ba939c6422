"""`data.labels.method=fixed`: the thresholds are simple returns, the same for every row."""

import numpy as np


def thresholds(rows: int, lower: float, upper: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the thresholds of Downtrend and Uptrend, float64 `[rows]` each."""
    return np.full(rows, lower), np.full(rows, upper)
