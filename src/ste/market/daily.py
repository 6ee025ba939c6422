"""What enters at the door: daily bars, news, macro releases and policy events of any market.

A synthetic world and files of real data both become a `Market`; nothing below knows which it was.
"""

from dataclasses import dataclass, field

import pandas as pd

MACRO_NEUTRAL = {
    "gdp_growth": 2.0,
    "inflation": 2.0,
    "unemployment": 5.0,
    "interest_rate": 2.0,
    "vix": 20.0,
}
"""Stand-ins for a macro series that is not given, or not yet released: round long-run United States
averages, percent. A constant column tells a model nothing. Missing news and policy events are 0."""


RAW_CLOSE = "raw_close"
"""Optional column of bars: the close as traded, before dividends; what `close` is adjusted from."""


@dataclass(frozen=True)
class Market:
    """Daily sources of one market.

    Attributes:
        bars: `schema.MARKET_COLUMNS["bars"]`, sorted by ticker and date, adjusted prices in dollars;
            with `RAW_CLOSE` where they were adjusted.
        news: `MARKET_COLUMNS["news"]`, one row per ticker and day with news, known at that day's close.
        macro: `MARKET_COLUMNS["macro"]`, one row per release; a value may be used from its `release_date` on.
        policy: `MARKET_COLUMNS["policy"]`, one row per event, impact in quarter points.
        notes: what was adjusted, dropped or filled, for the log and the data card.
    """

    bars: pd.DataFrame
    news: pd.DataFrame | None = None
    macro: pd.DataFrame | None = None
    policy: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
