"""The spacing of bars: daily, or weekly or monthly where each bar covers a period of the rows.

Weekly bars read as daily ones would give indicators of other lengths.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.market.calendar import Periods, TradingCalendar
from ste.market.read_summary import ReadSummary
from ste.market.ticker_groups import ticker_starts

_SPACINGS = {"weekly": (5, 9), "monthly": (26, 36)}  # days between bars
_DAILY = 4  # days at most between most of daily bars
_REGULAR = 0.8  # of the gaps between bars are of the spacing
_GAPS = 8  # gaps that a spacing is judged by
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class BarGaps:
    """Days between the bars of each ticker.

    Attributes:
        days: since the ticker's bar before, int64 `[N]`; 0 for a ticker's first.
        starts: first bar of each ticker.
    """

    days: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, bars: pd.DataFrame) -> Self:
        """Measure the gaps of bars that are sorted by ticker and date, at least one."""
        days, starts = bars["date"].to_numpy().astype("datetime64[D]").astype(np.int64), ticker_starts(bars)
        gaps = np.diff(days, prepend=days[:1])
        gaps[starts] = 0
        return cls(gaps, starts)

    def spacing(self) -> str | None:
        """Return `daily`, `weekly`, `monthly` or `N days apart`; None with too few or irregular bars."""
        count = len(self.days) - len(self.starts)
        if count < _GAPS:
            return None
        if ((self.days > 0) & (self.days <= _DAILY)).sum() >= 0.5 * count:
            return "daily"
        for name, (low, high) in _SPACINGS.items():
            if ((self.days >= low) & (self.days <= high)).sum() >= _REGULAR * count:
                return name
        median = float(np.median(self.days[self.days > 0]))
        regular = (np.abs(self.days - median) <= 0.2 * median).sum() >= _REGULAR * count
        return f"{median:.0f} days apart" if regular else None

    def sparse(self) -> np.ndarray:
        """Return the bars of tickers whose own bars are a week or more apart, bool `[N]`."""
        sizes = np.diff(np.append(self.starts, len(self.days)))
        wide = np.add.reduceat((self.days > _DAILY).astype(np.int64), self.starts)
        return np.repeat((wide >= _REGULAR * (sizes - 1)) & (sizes > _GAPS), sizes)


def closed_periods(word: str, calendar: TradingCalendar) -> str:
    """Return the reason for setting weekly or monthly bars aside, see `ReadSummary.drop`."""
    return f"in {word}s without a session of {calendar.label}"


def check_spacing(bars: pd.DataFrame, spacing: str, frequency: str, by_model: bool = False) -> None:
    """Raise `DataError` where rows of a frequency cannot be made from bars of a spacing.

    Args:
        bars: to name some of.
        spacing: of the bars.
        frequency: of the rows.
        by_model: whether the card of a model states the frequency, rather than a setting.
    """
    if spacing == frequency:
        return
    own = bars[bars["ticker"] == bars["ticker"].iloc[0]]
    days = ", ".join(f"{day:%Y-%m-%d}" for day in own["date"].iloc[:3])
    remedy = "Give daily bars."
    if by_model:
        remedy = f"The model reads {frequency} rows: give bars such as it was trained on."
    elif spacing in _SPACINGS:
        remedy = f"Train with data.frequency={spacing}, or give daily bars."
    raise DataError(
        f"bars: are {spacing} ({own['ticker'].iloc[0]}: {days}, ...). Expected daily bars"
        f"{'' if frequency == 'daily' else f' or {frequency} ones'} for {frequency} rows. {remedy}"
    )


def one_bar_per_period(bars: pd.DataFrame, summary: ReadSummary, periods: Periods) -> pd.DataFrame:
    """Date each bar by the last session of its period, so that nothing is known too early."""
    days = bars["date"].to_numpy().astype("datetime64[D]")
    weekday = bars["date"].dt.day_of_week.to_numpy()
    # A Sunday may name the week that it ends or, as often, the one that follows: the later one is never too early.
    begins = (weekday == 6) & (periods.frequency == "weekly") & (6 not in periods.calendar.weekdays)
    days = days + begins.astype("timedelta64[D]")
    last = periods.last_sessions(days)
    closed = periods.spans(last.to_numpy().astype("datetime64[D]")) != periods.spans(days)
    word = periods.word
    dated = bars.assign(date=last.to_numpy())
    inside = summary.drop(bars, closed, closed_periods(word, periods.calendar)).index
    dated = dated.loc[inside]
    repeated = dated.duplicated(["ticker", "date"]).to_numpy()
    dated = summary.drop(dated, repeated, f"in the same {word} as the ticker's bar before")
    weekdays = np.bincount(weekday, minlength=7)
    named = f" dated {_WEEKDAYS[int(weekdays.argmax())]}" if weekdays.max() > _REGULAR * len(bars) else ""
    statement = (
        f"bars are {periods.frequency}{named}: each is dated by its {word}'s last session, and indicators such as the "
        f"20-session mean count {word}s"
    )
    if begins.any():
        statement += "; a bar dated Sunday is taken as the week that begins then"
    if statement not in summary.statements:
        summary.statements.append(statement)
    return dated
