"""What a portfolio is compared with: all tickers at equal weights, or a file of the user's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ste.data.storage.files import read_frame
from ste.errors import DataError
from ste.evaluation.metrics.base import divide


def hold_all(returns: np.ndarray, period: np.ndarray, traded: np.ndarray) -> np.ndarray:
    """Return of all tickers at equal weights over each holding period, before costs, float64 `[T]`.

    The tickers of the predictions, bought at the same prices and held as long, without any prediction. Weights are
    equal again at each entry. A period without a known return earns 0.

    Args:
        returns: `[N]`, simple, over the holding period; those that are not finite are left out.
        period: int64 `[N]`, index of each row's period.
        traded: int64 `[T]`, periods at whose end positions are chosen (`Trades.period`).
    """
    known = np.isfinite(returns)
    count = int(traded.max(initial=-1)) + 1
    total = np.bincount(period[known], weights=returns[known], minlength=count)
    return divide(total, np.bincount(period[known], minlength=count))[traded]


def file_returns(path: Path, starts: Sequence[str], ends: np.ndarray, execution: str) -> np.ndarray:
    """Return of a benchmark's file over each holding period, float64 `[T]`.

    A benchmark enters and leaves as the portfolio does: at its first `open` (else `close`) after a date, or at its
    close of the date. After its last day its value stays.

    Args:
        path: CSV or Parquet of `date` and `close`, or `return`: the simple return of each date since the date before.
        starts: ISO dates of the closes after which positions enter.
        ends: dates of the closes after which they are left, datetime64 `[T]`.
        execution: of `EXECUTIONS`.

    Raises:
        DataError: a missing column, a value that is no price or return, or dates that do not cover the portfolio's.
    """
    days, close, opened = _read_benchmark(path)
    first, last = np.asarray(starts, dtype="datetime64[D]"), np.asarray(ends, dtype="datetime64[D]")
    if days[0] > first[0] or days[-1] < first[-1]:
        raise DataError(
            f"scoring.benchmark={path}: has dates from {days[0]} to {days[-1]}. Expected {first[0]} to {first[-1]}, "
            "those of the portfolio."
        )

    def value(dates: np.ndarray) -> np.ndarray:
        at = np.searchsorted(days, dates, side="right")
        if execution == "same_close":
            return close[at - 1]
        after = opened if execution == "next_open" and opened is not None else close
        return np.where(at < len(days), after[np.minimum(at, len(days) - 1)], close[-1])

    return value(last) / value(first) - 1.0


def _read_benchmark(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Read days, closes and, where there are any, opens, in the order of the days."""
    frame = read_frame(path, text=())
    names = [name for name in ("close", "return") if name in frame]
    if "date" not in frame or not names:
        missing = "date" if "date" not in frame else "close or return"
        raise DataError(f"scoring.benchmark={path}: no column {missing}. Expected the columns date and close.")
    days = pd.to_datetime(frame["date"], errors="coerce")
    values = {name: pd.to_numeric(frame[name], errors="coerce") for name in {names[0], "open"} & set(frame)}
    low = {"close": 0.0, "open": 0.0, "return": -1.0}
    for name, column in (("date", days), *values.items()):
        wrong = column.isna() if name == "date" else ~(np.isfinite(column) & (column > low[name]))
        if wrong.any():
            line = int(np.argmax(wrong.to_numpy())) + 2
            raise DataError(
                f"scoring.benchmark={path}: line {line}: {name} is {frame[name].iloc[line - 2]}. Expected "
                f"{'a date' if name == 'date' else f'a number above {low[name]:g}'}."
            )
    order = np.argsort(days.to_numpy(), kind="stable")
    ordered = {name: column.to_numpy(dtype=np.float64)[order] for name, column in values.items()}
    close = ordered["close"] if "close" in ordered else np.cumprod(1.0 + ordered["return"])
    days_of = days.to_numpy()[order].astype("datetime64[D]")
    repeated = np.flatnonzero(days_of[1:] == days_of[:-1])
    if len(repeated):
        raise DataError(f"scoring.benchmark={path}: {days_of[repeated[0]]} stands twice. Expected one row per date.")
    return days_of, close, ordered.get("open") if "close" in ordered else None
