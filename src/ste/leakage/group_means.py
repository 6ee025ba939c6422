"""Columns that encode what happened to a group of rows: target encodings, and what became of a ticker.

A column with one value per ticker, month or weekday that follows the mean return or label of that group over all rows
contains the outcome of its later rows.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import DIRECTION, RETURN

CHECK = "group means"

_EXACT = 1e-9  # 1 less a correlation with the means that a column was computed from
_NOT_EXACT = 1e-6
_MIN_GROUPS = 5
_MIN_TICKERS = 12  # of a rank correlation with the return over the whole span
_MIN_RANK, _MAX_P = 0.8, 1e-6


def group_means(table: AuditTable) -> CheckResult:
    """Find columns that are the mean outcome of their ticker, month or weekday over rows beyond training."""
    if RETURN not in table.frame:
        return skipped(CHECK, f"not run: the table has no {RETURN}")
    alarms: dict[str, Alarm] = {}
    looked = 0
    for word, key in _keys(table):
        sizes = np.bincount(key)
        if len(sizes) < _MIN_GROUPS:
            continue
        outcomes = dict(_outcomes(table, key))
        for name in table.features:
            values = table.column(name)
            if name in alarms or not np.isfinite(values).all():
                continue
            per_group = _constant(values, key, sizes)
            if per_group is None:
                continue
            looked += 1
            seen = _encoded(per_group, outcomes)
            if not seen and word == "ticker":
                seen = _fate(per_group, table.returns, key)
            if seen:
                alarms[name] = _alarm(name, word, seen)
    return CheckResult(
        CHECK, f"{looked} columns have one value per group; none follows its outcomes", tuple(alarms.values())
    )


def _keys(table: AuditTable) -> Iterator[tuple[str, np.ndarray]]:
    """Groups of rows that encoders use, as codes `[N]` from 0."""
    dates = pd.DatetimeIndex(table.frame["date"])
    yield "ticker", table.tickers
    for word, values in (
        ("month of the year", dates.month.to_numpy()),
        ("weekday", dates.day_of_week.to_numpy()),
        ("calendar month", (dates.year * 12 + dates.month).to_numpy()),
    ):
        yield word, np.unique(values, return_inverse=True)[1]


def _constant(values: np.ndarray, key: np.ndarray, sizes: np.ndarray) -> np.ndarray | None:
    """The value of each group `[groups]`, or None where a group has several or all groups have the same."""
    first = np.zeros(len(sizes))
    first[key[::-1]] = values[::-1]
    if not np.array_equal(first[key], values) or len(np.unique(first)) < min(4, len(sizes)):
        return None
    return first


def _outcomes(table: AuditTable, key: np.ndarray) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Means of each group over all rows and over training, `[groups]` each, by name."""
    targets = {"return": table.returns}
    if DIRECTION in table.frame:
        top = table.labels.max()
        targets |= {"label": table.labels * 1.0, "rate of Up": (table.labels == top) * 1.0}
        targets["rate of Down"] = (table.labels == 0) * 1.0
    known = np.isfinite(table.returns)
    count = int(key.max()) + 1
    for word, values in targets.items():
        means = []
        for which in (known, known & table.training):
            size = np.bincount(key[which], minlength=count)
            with np.errstate(divide="ignore", invalid="ignore"):
                means.append(np.bincount(key[which], values[which], minlength=count) / size)
        yield word, (means[0], means[1])


def _encoded(values: np.ndarray, outcomes: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Which mean over all rows the values are a line of; empty where none, or where that of training fits too."""
    for word, (over, early) in outcomes.items():
        if 1 - abs(_correlation(values, over)) < _EXACT and 1 - abs(_correlation(values, early)) > _NOT_EXACT:
            return f"the mean {word} of all of its rows, those after training included"
    return ""


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < _MIN_GROUPS or a[known].std() == 0 or b[known].std() == 0:
        return 0.0
    return float(np.corrcoef(a[known], b[known])[0, 1])


def _fate(values: np.ndarray, returns: np.ndarray, tickers: np.ndarray) -> str:
    """Whether a constant of the tickers ranks them by their return over the whole span."""
    if len(values) < _MIN_TICKERS:
        return ""
    known = np.isfinite(returns) & (returns > -1)
    growth = np.bincount(tickers[known], np.log1p(returns[known]), minlength=len(values))
    seen = spearmanr(values, growth)
    if abs(seen.statistic) < _MIN_RANK or seen.pvalue > _MAX_P:
        return ""
    rank = f"rank correlation {seen.statistic:+.2f}"
    return f"a constant that ranks the tickers by their return over the whole span ({rank})"


def _alarm(name: str, word: str, seen: str) -> Alarm:
    return Alarm(
        CHECK,
        name,
        f"has one value per {word}: {seen}",
        "a constant known at the first row, or means of the past rows",
        f"Compute {name} from the rows before each row, or from the training rows, or leave it out.",
    )
