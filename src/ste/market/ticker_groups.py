"""Groups of rows in frames sorted by ticker."""

from collections.abc import Iterator

import numpy as np
import pandas as pd


def ticker_starts(frame: pd.DataFrame) -> np.ndarray:
    """Return the first row of each ticker in a frame sorted by ticker, int64."""
    column = frame["ticker"]
    tickers = column.cat.codes.to_numpy() if isinstance(column.dtype, pd.CategoricalDtype) else column.to_numpy()
    return np.flatnonzero(np.append(True, tickers[1:] != tickers[:-1]))


def ticker_ranges(bounds: np.ndarray, max_rows: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows that hold complete tickers.

    Args:
        bounds: first row of each ticker, and the number of rows.
        max_rows: rows in a range; a ticker with more rows has a range of its own.
    """
    first = 0
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if end - first > max_rows and start > first:
            yield first, start
            first = start
    if len(bounds) > 1:
        yield first, int(bounds[-1])
