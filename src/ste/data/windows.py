"""Windows of consecutive periods of one ticker, as index arithmetic on arrays.

Training, bulk prediction, the service and the audit all use these functions. N rows, E windows, T periods in a window,
F features.
"""

import numpy as np


def count_consecutive(ticker: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Count the consecutive periods of the same ticker that end at each row, the row included.

    A window of T periods may end at the rows with a count of T or more: it then holds one ticker and no gap.

    Args:
        ticker: codes or names `[N]`; the rows of a ticker are adjacent.
        period: period index `[N]`, ascending within a ticker.

    Returns:
        int64 `[N]`, at least 1.
    """
    broken = np.ones(len(period), dtype=bool)
    broken[1:] = (ticker[1:] != ticker[:-1]) | (np.diff(period) != 1)
    row = np.arange(len(period))
    return row - np.maximum.accumulate(np.where(broken, row, 0)) + 1


def gather_windows(values: np.ndarray, ends: np.ndarray, length: int) -> np.ndarray:
    """Gather the `length` rows up to each end, oldest first, `[E, T, F]`.

    Args:
        values: rows `[N, F]`.
        ends: last row of each window, int64 `[E]`.
        length: periods in a window, T.
    """
    return values[ends[:, None] + np.arange(1 - length, 1)]
