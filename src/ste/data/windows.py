"""Windows of consecutive periods of one ticker, as index arithmetic on arrays.

Training, bulk prediction, the service and the audit all use these functions. N rows, E windows, T periods in a window,
F features.
"""

import numpy as np

MAX_EXAMPLES = 1024
"""Examples in one forward pass over whole dates, where several dates fit: each may be compared with every other."""


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


def date_chunks(group: np.ndarray, most: int = MAX_EXAMPLES) -> list[np.ndarray]:
    """Split examples into chunks of complete dates, in the order of the dates.

    Args:
        group: date of each example, `[N]`.
        most: largest number of examples of a chunk where several dates fit; a larger date is a chunk of its own.

    Returns:
        Positions of the examples of each chunk, int64.
    """
    order = np.argsort(group, kind="stable")
    if not len(order):
        return []
    ends = [*(np.flatnonzero(np.diff(group[order])) + 1).tolist(), len(order)]
    chunks, first, last = [], 0, 0
    for end in ends:
        if end - first > most and last > first:
            chunks.append(order[first:last])
            first = last
        last = end
    return [*chunks, order[first:]]
