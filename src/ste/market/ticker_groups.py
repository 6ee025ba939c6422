"""Rows of one ticker in frames and arrays sorted by ticker."""

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


def values_ahead(values: np.ndarray, ticker: np.ndarray, period: np.ndarray, steps: int) -> np.ndarray:
    """Return the same ticker's value `steps` periods later (earlier if negative), NaN where there is none, `[N]`.

    Rows are joined by ticker and period, so that a missing week is not bridged.

    Args:
        values: float64 `[N]`.
        ticker: codes from 0 `[N]`; rows are sorted by ticker and period.
        period: period index `[N]`.
        steps: periods.
    """
    if not len(values):
        return values
    base, margin = period - period.min(), abs(steps)  # from 0: weeks before 1970 are negative
    key = ticker.astype(np.int64) * (int(base.max()) + 2 * margin + 1) + base + margin
    at = np.minimum(np.searchsorted(key, key + steps), len(key) - 1)
    return np.where(key[at] == key + steps, values[at], np.nan)


def bars_of_rows(rows: pd.DataFrame, bars: pd.DataFrame) -> np.ndarray:
    """Return the position of each row's last bar, that of its ticker and date, int64 `[N]`.

    Args:
        rows: `ticker` and `date`, `[N]`; each has a bar.
        bars: the same, sorted by both.
    """
    names = pd.Index(bars["ticker"].astype(object).unique())
    code = [names.get_indexer(frame["ticker"].astype(object)) for frame in (bars, rows)]
    day = [frame["date"].to_numpy().astype("datetime64[D]").astype(np.int64) for frame in (bars, rows)]
    span = int(max(each.max() for each in day)) - int(min(each.min() for each in day)) + 1
    key = [own * span + each for own, each in zip(code, day, strict=True)]
    return np.searchsorted(*key)
