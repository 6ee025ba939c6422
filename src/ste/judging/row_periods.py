"""The period of each prediction, and how many periods its outcome looks ahead."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.market.calendar import Periods, TradingCalendar, calendar_of_days, trading_calendar
from ste.market.intraday import INTRADAY, IntradayPeriods
from ste.schema import BARS, EXCHANGE

_DAILY, _WEEKLY, _MONTHLY = 4.0, (5.0, 10.0), (25.0, 35.0)  # days between two dates
_OVERLAP = 0.35
"""Correlation of neighbouring outcomes from which they overlap; that of a horizon of two periods is 0.5."""


@dataclass(frozen=True, eq=False)
class RowPeriods:
    """Periods of N predictions.

    Attributes:
        periods: of the rows.
        frequency: as `Predictions.frequency`.
        calendar: name for `Predictions.calendar`.
        period: index of each row's period, int64 `[N]`.
        note: how they were found; empty where the user stated it.
    """

    periods: Periods | IntradayPeriods
    frequency: str
    calendar: str
    period: np.ndarray
    note: str = ""

    @property
    def word(self) -> str:
        """A period in words."""
        return self.periods.word


def find_frequency(dates: np.ndarray, stated: str | None, where: str) -> str:
    """Return `weekly`, `daily`, `monthly` or `intraday` from the usual distance of two dates.

    Args:
        dates: datetime64[ns] `[N]`.
        stated: by the user; None finds it.
        where: the file, for messages.

    Raises:
        DataError: distances that fit none of them.
    """
    if stated is not None:
        return stated
    times = np.unique(dates)
    days = np.unique(times.astype("datetime64[D]"))
    if len(times) > len(days):
        return INTRADAY
    if len(days) < 2:
        raise DataError(f"{where}: all predictions are of {days[0]}. Expected two dates or more, or frequency=daily.")
    gap = float(np.median(np.diff(days).astype(np.int64)))
    if gap <= _DAILY:
        return "daily"
    for name, (low, high) in (("weekly", _WEEKLY), ("monthly", _MONTHLY)):
        if low <= gap <= high:
            return name
    raise DataError(
        f"{where}: its dates are {gap:g} days apart. Expected a prediction for each day, week or month. State the "
        "period of a row: frequency=daily, weekly or monthly."
    )


def row_periods(
    dates: np.ndarray, frequency: str | None, calendar: str, where: str, market: TradingCalendar | None = None
) -> RowPeriods:
    """Number the periods of predictions.

    Args:
        dates: datetime64[ns] `[N]`.
        frequency: that the user states; None finds it.
        calendar: as typed.
        where: the file, for messages.
        market: calendar of the bars that the outcomes are computed from; None is that of the file's own days.
    """
    found = find_frequency(dates, frequency, where)
    note = "" if frequency else f"periods: {found}, from the distance of the dates"
    if found == INTRADAY:
        times, period = np.unique(dates, return_inverse=True)
        if len(times) < 2:
            raise DataError(f"{where}: has one time only. Expected two or more.")
        intraday = IntradayPeriods.from_times(times)
        return RowPeriods(intraday, intraday.frequency, EXCHANGE, period.astype(np.int64), note)
    if market is None and calendar != BARS:
        market = trading_calendar(calendar, "calendar")
    elif market is None:  # weeks and months are the same on every calendar but for holidays
        market = calendar_of_days(dates) if found == "daily" else trading_calendar(EXCHANGE)
    periods = Periods(found, market)
    return RowPeriods(periods, found, market.name, periods.index(dates.astype("datetime64[D]")), note)


def find_horizon(
    stated: int | None, outcomes: np.ndarray, ticker: np.ndarray, period: np.ndarray, word: str, *, classes: bool
) -> tuple[int, str]:
    """Return the periods that outcomes look ahead, and how that is known.

    Outcomes over h periods that start one period after another share h - 1 of them, so that they correlate by 1 - 1/h.

    Args:
        stated: by the user; None finds it.
        outcomes: returns or indices of classes `[N]`; NaN is unknown.
        ticker: codes `[N]`.
        period: int64 `[N]`.
        word: of a period.
        classes: whether the outcomes are classes, whose correlation is lower.
    """
    order = np.lexsort((period, ticker))
    values, tickers, periods = outcomes[order], ticker[order], period[order]
    next_to = (tickers[1:] == tickers[:-1]) & (periods[1:] == periods[:-1] + 1)
    next_to &= np.isfinite(values[1:]) & np.isfinite(values[:-1])
    first, second = values[:-1][next_to], values[1:][next_to]
    found, correlation = 1, 0.0
    if len(first) > 20 and first.std() > 0 and second.std() > 0:
        correlation = float(np.corrcoef(first, second)[0, 1])
        level = np.sin(np.pi / 2 * correlation) if classes else correlation
        most = max(len(np.unique(period)) // 3, 1)
        found = min(round(1.0 / (1.0 - min(level, 0.999))), most) if level > _OVERLAP else 1
    if stated is None:
        why = f"outcomes of neighbouring {word}s correlate by {correlation:.2f}"
        return found, f"horizon: {found} {word}{'s' * (found > 1)}, as {why}; state another with horizon=N"
    if found > 1.5 * stated:
        return stated, (
            f"warning: outcomes of neighbouring {word}s correlate by {correlation:.2f}, as those over {found} {word}s "
            f"do: with horizon={stated} the intervals are too narrow if they overlap"
        )
    return stated, ""


def ticker_codes(ticker: pd.Series) -> np.ndarray:
    """Return a code of each row's ticker, int64 `[N]`."""
    return pd.Categorical(ticker).codes.astype(np.int64)
