"""Histories: a ticker's bars without a long gap. Nothing that looks back crosses the start of a history.

After months without a bar a name may belong to another firm, or the firm is another one than before. The rule
depends on the past alone, so that a stream applies it as well. N rows.
"""

from typing import Any

import numpy as np
import pandas as pd

from ste.market.ticker_groups import ticker_starts

GAP_DAYS = 90
"""Calendar days after which the next bar starts a new history."""


def starts_history(days: Any, spacing: int = 1) -> Any:
    """Return whether a bar starts a new history.

    Args:
        days: calendar days since the ticker's bar before, an integer or int64 `[N]`.
        spacing: most days between two bars without a gap: 1 of daily, 7 of weekly, 31 of monthly bars.
    """
    return days > max(GAP_DAYS, 3 * spacing)


def history_starts(frame: pd.DataFrame, spacing: int = 1) -> np.ndarray:
    """Return the first row of each history, int64, ascending; the first row of each ticker is among them.

    Args:
        frame: `ticker` and `date` of bars or of a table's rows, sorted by both, `[N]`.
        spacing: as in `starts_history`.
    """
    starts = ticker_starts(frame)
    gaps = np.flatnonzero(starts_history(days_before(frame), spacing))
    return np.union1d(starts, gaps) if len(gaps) else starts


def days_before(frame: pd.DataFrame) -> np.ndarray:
    """Return the calendar days between each row and the row before it, int64 `[N]`; 0 in the first row of all."""
    days = frame["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    return np.diff(days, prepend=days[:1])


def row_groups(starts: np.ndarray, rows: int) -> np.ndarray:
    """Return the number of the group of each row, int64 `[rows]`; `starts` are the groups' first rows."""
    return np.repeat(np.arange(len(starts)), np.diff(np.append(starts, rows)))
