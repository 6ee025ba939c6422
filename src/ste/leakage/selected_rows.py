"""Rows that were selected by their outcome: missing rows, missing classes, balanced classes, survivors."""

import numpy as np
from scipy.stats import mannwhitneyu

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import DIRECTION, RETURN, SPLITS

CHECK = "selected rows"

_MIN_MISSING = 15
_MAX_P = 1e-6
_MIN_AREA = 0.7  # probability that a missing row's move is larger (or smaller) than that of a row that is there
_MIN_CLASS, _MIN_EXPECTED = 0.05, 20  # fraction in training of a class that a split lacks, and rows expected there
_MIN_BALANCED = 90
_SURVIVORS, _MIN_TICKERS, _MIN_YEARS = 0.95, 10, 3


def selected_rows(table: AuditTable) -> CheckResult:
    """Find gaps in tickers' histories that depend on what followed, and splits selected by class; note survivors."""
    if RETURN not in table.frame:
        return skipped(CHECK, f"not run: the table has no {RETURN}")
    alarms = _classes(table) if DIRECTION in table.frame else []
    outcomes, where = _missing_outcomes(table)
    line = "no class is missing from a split"
    if len(outcomes) >= _MIN_MISSING:
        line += f"; the moves after {len(outcomes):,} missing rows are like the others"
        alarms += _missing(table, outcomes, where)
    return CheckResult(CHECK, line, tuple(alarms), _survivors(table))


def _missing_outcomes(table: AuditTable) -> tuple[np.ndarray, np.ndarray]:
    """Returns that followed rows which are missing between two others of their ticker, and each one's earlier row.

    The close of a missing row follows from the row before it and that row's return; the close after it is in the table.
    """
    if table.close is None or table.horizon != 1 or not table.plain_return:
        return np.empty(0), np.empty(0, dtype=np.int64)
    close, absent = table.close, np.isnan(table.ahead(table.close, 1))
    after = table.ahead(close, 2)
    at = np.flatnonzero(absent & np.isfinite(after) & np.isfinite(table.returns) & (close > 0))
    return after[at] / (close[at] * (1 + table.returns[at])) - 1, at


def _missing(table: AuditTable, outcomes: np.ndarray, at: np.ndarray) -> list[Alarm]:
    there = np.abs(table.returns[np.isfinite(table.returns)])
    size = np.abs(outcomes)
    seen = mannwhitneyu(size, there)
    area = float(seen.statistic) / (len(size) * len(there))
    if seen.pvalue > _MAX_P or max(area, 1 - area) < _MIN_AREA:
        return []
    row = table.frame.iloc[at[0]]
    way = "larger" if area > 0.5 else "smaller"
    return [
        Alarm(
            CHECK,
            "rows",
            f"{len(size):,} rows are missing where the move that followed was {way} (median {np.median(size):.2%}, of "
            f"the rows that are there {np.median(there):.2%}), the first after {row['ticker']} {row['date']:%Y-%m-%d}",
            "gaps that are independent of what followed",
            "Select rows by what was known at their close: outliers and small moves are part of the test.",
        )
    ]


def _classes(table: AuditTable) -> list[Alarm]:
    alarms = []
    classes = np.unique(table.labels)
    train = np.bincount(table.labels[table.training], minlength=classes.max() + 1)[classes]
    for code, name in enumerate(SPLITS):
        rows = table.split == code
        n = int(rows.sum())
        if code == 0 or n < _MIN_BALANCED:
            continue
        counts = np.bincount(table.labels[rows], minlength=classes.max() + 1)[classes]
        fractions = train / max(train.sum(), 1)
        lost = classes[(counts == 0) & (fractions > _MIN_CLASS) & (fractions * n > _MIN_EXPECTED)]
        if len(lost):
            seen = f"class {lost[0]} has {fractions[classes == lost[0]][0]:.0%} of the training rows and none here"
        elif len(classes) > 1 and np.ptp(counts) == 0 and np.ptp(train) > 0.02 * train.sum():
            seen = f"every class has exactly {counts[0]:,} rows, and in training {', '.join(map(str, train))}"
        else:
            continue
        alarms.append(
            Alarm(
                CHECK,
                table.name_of(name),
                seen,
                "the classes as they occur",
                "Score every row: which rows are balanced or left out is known only from their outcome.",
            )
        )
    return alarms


def _survivors(table: AuditTable) -> tuple[str, ...]:
    """A note where hardly a ticker ended: real lists lose some percent a year."""
    last = np.zeros(len(table.ticker_names), dtype=np.int64)
    np.maximum.at(last, table.tickers, table.periods)
    years = np.ptp(table.periods) / table.row_periods.per_year
    alive = float((last >= table.periods.max() - 1).mean())
    if len(last) < _MIN_TICKERS or years < _MIN_YEARS or alive < _SURVIVORS:
        return ()
    known = np.isfinite(table.returns) & (table.returns > -1)
    growth = np.bincount(table.tickers[known], np.log1p(table.returns[known]), minlength=len(last)) / table.horizon
    fell = float((growth < 0).mean())
    return (
        f"survivors: {alive:.0%} of {len(last)} tickers live to the last {table.word} of {years:.1f} years, and "
        f"{fell:.0%} lost value over the span. A list drawn at its start loses some percent of its tickers a year: "
        "check whether the tickers were selected by what became of them (docs/audit.md).",
    )
