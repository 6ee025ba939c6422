"""Daily sources of a market: bars, news, macro releases and policy events.

Synthetic markets and files of real data both become a `Market`; the code that computes features does not distinguish
them.
"""

from dataclasses import dataclass, field, replace

import pandas as pd

from ste.market.calendar import NEW_YORK, Periods, TradingCalendar
from ste.market.extra_table import ExtraTable
from ste.market.read_summary import ReadSummary

MACRO_NEUTRAL = {
    "gdp_growth": 2.0,
    "inflation": 2.0,
    "unemployment": 5.0,
    "interest_rate": 2.0,
    "vix": 20.0,
}
"""Values that stand in for a macro series that is missing or not yet released: round long-run United States averages,
percent. A constant column gives a model no information. Missing news and policy events are 0."""


RAW_CLOSE = "raw_close"
"""Optional column of bars: the close as traded, before the adjustment for splits and dividends, dollars."""


@dataclass(frozen=True)
class Market:
    """Daily sources of one market.

    Attributes:
        bars: `schema.MARKET_COLUMNS["bars"]`, sorted by ticker and date, adjusted prices in dollars; with
            `RAW_CLOSE` where they were adjusted.
        news: `MARKET_COLUMNS["news"]`, one row per ticker and day with news, known at that day's close.
        macro: `MARKET_COLUMNS["macro"]`, one row per release; a value may be used from its `release_date` on.
        policy: `MARKET_COLUMNS["policy"]`, one row per event, impact in quarter points.
        calendar: whose sessions the bars lie on.
        summary: of what was read, adjusted, set aside and filled.
        extra: columns of the user's own, by name of their file (`data.extra`).
    """

    bars: pd.DataFrame
    news: pd.DataFrame | None = None
    macro: pd.DataFrame | None = None
    policy: pd.DataFrame | None = None
    calendar: TradingCalendar = NEW_YORK
    summary: ReadSummary = field(default_factory=ReadSummary)
    extra: dict[str, ExtraTable] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """The lines of the summary, for the log and the data card."""
        return self.summary.notes()

    @property
    def spacing(self) -> str:
        """Spacing of a ticker's bars: `daily`, or `weekly` or `monthly` where each covers a period of the rows."""
        return self.summary.spacing or "daily"

    def periods(self, frequency: str) -> Periods:
        """Return the periods of rows of these sources."""
        return Periods(frequency, self.calendar)

    def bars_per_period(self, frequency: str) -> int:
        """Return how many bars of a ticker cover a period."""
        return 1 if self.spacing == frequency else self.periods(frequency).bars

    def until(self, last: pd.Timestamp) -> "Market":
        """Return the market as known at the close of `last`: nothing dated or released later, and an empty summary.

        Args:
            last: date of the last bars.
        """

        def known(frame: pd.DataFrame | None, date: str = "date") -> pd.DataFrame | None:
            return None if frame is None else frame[frame[date] <= last].reset_index(drop=True)

        return replace(
            self,
            bars=self.bars[self.bars["date"] <= last].reset_index(drop=True),
            news=known(self.news),
            macro=known(self.macro, "release_date"),
            policy=known(self.policy),
            summary=ReadSummary(spacing=self.summary.spacing),
            extra={name: table.until(last) for name, table in self.extra.items()},
        )
