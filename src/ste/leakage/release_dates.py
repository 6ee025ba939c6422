"""Release dates of macroeconomic series: values dated by their period instead of their publication."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ste.leakage.check_result import Alarm, CheckResult, skipped

RELEASES = "release dates"

_MIN_RELEASES = 8  # of a series
_MIN_FRACTION = 0.9  # of the dates that lie at the turn of a period
_DELAYS = (
    (re.compile(r"gdp|gross", re.IGNORECASE), "of gross domestic product about four weeks after the quarter"),
    (re.compile(r"cpi|inflation|consumer_?price|pce|ppi", re.IGNORECASE), "of prices about the 12th of the next month"),
    (re.compile(r"unemploy|payroll|nonfarm|job", re.IGNORECASE), "of employment on the first Friday of the next month"),
    (re.compile(r"industrial|retail|housing|trade|income", re.IGNORECASE), "about the middle of the next month"),
)
"""Names of series, and when they are published; the first that fits counts."""


def early_releases(macro: pd.DataFrame, file: str = "macro") -> CheckResult:
    """Find monthly and quarterly series that are dated at the turn of a period, at its end or its start.

    Such dates are those of the periods that the values describe, and the values are published later.

    Args:
        macro: `series`, `release_date`, `value`.
        file: name of the file, for messages.
    """
    alarms, notes, looked = [], [], []
    for series, rows in macro.groupby("series", sort=True):
        if len(rows) < _MIN_RELEASES:
            continue
        looked.append(str(series))
        days = pd.DatetimeIndex(rows["release_date"]).normalize().unique().sort_values()
        for seen, sure in _turns(days):
            delay = next((words for name, words in _DELAYS if name.search(str(series))), None)
            if sure or delay:
                alarms.append(_alarm(f"{file}: series {series}", seen, delay))
            else:
                notes.append(
                    f"{file}: series {series}: {seen}. Surveys are published then, statistics weeks later: check when "
                    "the values were known."
                )
    line = f"{len(looked)} series, none dated by its period"
    if not looked:
        return skipped(RELEASES, "not run: too few releases")
    return CheckResult(RELEASES, line, tuple(alarms), tuple(notes))


def _turns(days: pd.DatetimeIndex) -> Iterator[tuple[str, bool]]:
    """What the dates of a monthly or quarterly series have in common, and whether it cannot be a publication."""
    spacing = float(np.median(np.diff(days) / np.timedelta64(1, "D"))) if len(days) > 1 else 0.0
    kind = "month" if 25 < spacing < 45 else "quarter" if 80 < spacing < 100 else ""
    if not kind:
        return
    month = days.to_period("M")
    opens = days.month % 3 == 1 if kind == "quarter" else np.ones(len(days), dtype=bool)
    closes = days.month % 3 == 0 if kind == "quarter" else np.ones(len(days), dtype=bool)
    first = opens & (days.day == 1)
    first_session = opens & (first | (days == month.start_time + pd.offsets.BDay(0)))
    month_end = month.end_time.normalize()
    last = closes & (days == month_end)
    last_session = closes & (last | (days == month_end + pd.offsets.BDay(1) - pd.offsets.BDay(1)))
    for words, exact, near in (("first", first, first_session), ("last", last, last_session)):
        if near.mean() < _MIN_FRACTION:
            continue
        whole = exact.mean() >= _MIN_FRACTION
        what = f"{words} {'day' if whole else 'day or session'} of a {kind}"
        seen = f"{near.sum():,} of {len(days):,} release dates are the {what}"
        yield (
            f"{seen}, which is the turn of the {kind}s that the values describe and no day of publication",
            bool(kind == "quarter" or (whole and (days.day_of_week >= 5).any())),
        )
        return


def _alarm(where: str, seen: str, delay: str | None) -> Alarm:
    return Alarm(
        RELEASES,
        where,
        seen,
        "a release_date some days or weeks after the last day of the period",
        f"Give the day of publication ({delay or 'of consumer prices about the 12th of the following month'}).",
    )
