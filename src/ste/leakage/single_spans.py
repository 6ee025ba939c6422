"""Single columns in a part of the time: a column that knows the coming return in some periods only.

A source that changes, or a test file that is prepared by other code, leaks from a date on. The correlations of each
period (`single_columns`) are averaged over each split and over blocks of half a year.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from ste.leakage.audit_table import SPLIT, AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.single_columns import Measured
from ste.schema import SPLITS

CHECK = "single spans"

_MIN_IC = 0.25  # of a block of periods
_LEFT = 0.5  # fraction of it that a leak loses one period later
_FALSE_ALARM = 1e-3  # probability of one among all tests of a table


def single_spans(table: AuditTable, measured: Sequence[Measured], named: Collection[str]) -> CheckResult:
    """Find columns that predict the coming return too well in a split or in half a year.

    Args:
        table: any table with returns.
        measured: its columns (`single_columns.measure`).
        named: columns that are alarms over all periods, which are left out here.
    """
    blocks = _blocks(table)
    looked = [one for one in measured if not one.shared and one.step == 1 and one.probe.column not in named]
    if not looked or not blocks or int(table.tickers.max()) < 2:
        return skipped(CHECK, "not run: needs returns, three tickers and half a year")
    sizes = np.bincount(table.period_codes)
    error = np.sqrt(2.0 / np.maximum(sizes - 1, 1))  # of the difference of two independent rank correlations
    bound = float(norm.isf(_FALSE_ALARM / (2 * len(looked) * len(blocks))))
    found: dict[str, tuple[float, Alarm]] = {}
    for one in looked:
        if len(one.now.series) != len(sizes) or len(one.after.series) != len(sizes):
            continue
        for words, periods in blocks.items():
            now, after, known = one.now.series[periods], one.after.series[periods], sizes[periods] > 2
            known &= np.isfinite(now) & np.isfinite(after)
            if known.sum() < 8:
                continue
            ic, later = float(now[known].mean()), float(after[known].mean())
            gap = abs(ic) - np.sign(ic) * later
            noise = float(np.sqrt((error[periods][known] ** 2).sum()) / known.sum())
            if abs(ic) > _MIN_IC and gap > _LEFT * abs(ic) and gap > bound * noise:
                alarm = _alarm(table, one, words, ic, later)
                if one.probe.column not in found or abs(ic) > found[one.probe.column][0]:
                    found[one.probe.column] = abs(ic), alarm
    line = f"{len(blocks)} spans of time; no column predicts the coming {table.word} in one of them alone"
    return CheckResult(CHECK, line, tuple(alarm for _, alarm in found.values()))


def _blocks(table: AuditTable) -> dict[str, np.ndarray]:
    """Positions of the periods of each split and of each half year, by name."""
    count = int(table.period_codes.max()) + 1
    length = max(8, table.row_periods.per_year // 2)
    dates = table.frame.groupby(table.period_codes)["date"].max().to_numpy()
    out = {}
    for code, name in enumerate(SPLITS):
        periods = np.unique(table.period_codes[table.split == code])
        if len(periods) >= 8:
            out[f"the rows of {name}"] = periods
    for first in range(0, count, length):
        periods = np.arange(first, min(first + length, count))
        if len(periods) >= 8:
            out[f"{pd.Timestamp(dates[periods[0]]):%Y-%m-%d} to {pd.Timestamp(dates[periods[-1]]):%Y-%m-%d}"] = periods
    return out if table.frame[SPLIT].nunique() > 1 or count > length else {}


def _alarm(table: AuditTable, one: Measured, words: str, ic: float, later: float) -> Alarm:
    target = "return" if one.what == "direction" else "size of the move"
    return Alarm(
        CHECK,
        f"{one.probe.column} in {words}",
        f"{one.probe.form} has a rank correlation of {ic:+.3f} with the {target} of the coming {table.word} there, and "
        f"of {later:+.3f} with the {table.word} after that ({one.now.value:+.3f} over all rows)",
        "no span in which a column predicts one period and not the next",
        f"Compare how {one.probe.column} is computed there with the other dates: another source, or another program?",
    )
