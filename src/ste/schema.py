"""The weekly table's columns: the one place that names them, groups them and states their units.

One row per ticker and week. `date` is the week's last trading session; the features are what was
known at that session's close; the targets describe the `horizon` weeks after it. Prices are in
dollars, on the adjusted scale of the bars they came from.
"""

from dataclasses import dataclass
from enum import IntEnum


class Trend(IntEnum):
    """Class of the coming weeks' return against the label thresholds."""

    DOWNTREND = 0
    NEUTRAL = 1
    UPTREND = 2


CLASS_NAMES: tuple[str, ...] = tuple(trend.name.capitalize() for trend in Trend)


@dataclass(frozen=True)
class Column:
    """A numeric column of the weekly table.

    Attributes:
        name: column name in every file.
        meaning: what it holds, with its unit.
        low: smallest value allowed, or None.
        high: largest value allowed, or None.
    """

    name: str
    meaning: str
    low: float | None = None
    high: float | None = None


STOCK = (
    Column("stock_open", "first trade of the week, dollars", 0.0),
    Column("stock_high", "highest trade of the week, dollars", 0.0),
    Column("stock_low", "lowest trade of the week, dollars", 0.0),
    Column("stock_close", "last trade of the week, dollars", 0.0),
    Column("stock_volume", "shares traded in the week", 0.0),
    Column("stock_sma_20", "mean close of 20 sessions, dollars", 0.0),
    Column("stock_sma_50", "mean close of 50 sessions, dollars", 0.0),
    Column("stock_rsi", "Wilder's relative strength index, 14 sessions, 0 to 100", 0.0, 100.0),
    Column("stock_macd", "12-session less 26-session exponential mean of the close, dollars"),
    Column("stock_bb_upper", "mean close of 20 sessions plus 2 standard deviations, dollars"),
    Column("stock_bb_lower", "mean close of 20 sessions less 2 standard deviations, dollars"),
)
NEWS = (
    Column("news_sentiment", "mean sentiment of the week's items, -1 to 1; 0 without news", -1.0, 1.0),
    Column("news_count", "items in the week", 0.0),
    Column("news_relevance", "mean relevance of the week's items, 0 to 1; 0 without news", 0.0, 1.0),
)
MACRO = (
    Column("macro_gdp_growth", "latest released real GDP growth, percent"),
    Column("macro_inflation", "latest released consumer price inflation over a year, percent"),
    Column("macro_unemployment", "latest released unemployment rate, percent", 0.0, 100.0),
    Column("macro_interest_rate", "latest released policy rate, percent"),
    Column("macro_vix", "VIX at the close, annualised percent", 0.0),
)
POLICY = (
    Column("policy_event_count", "policy events in the week", 0.0),
    Column("policy_impact_score", "sum of the week's event impacts, quarter points", 0.0),
)
GROUPS: dict[str, tuple[str, ...]] = {
    name: tuple(column.name for column in columns)
    for name, columns in {"stock": STOCK, "news": NEWS, "macro": MACRO, "policy": POLICY}.items()
}
FEATURE_COLUMNS = STOCK + NEWS + MACRO + POLICY
FEATURES: tuple[str, ...] = tuple(column.name for column in FEATURE_COLUMNS)

RETURN = "stock_weekly_return"
MOVEMENT = "stock_weekly_movement"
DIRECTION = "stock_trend_direction"
TARGETS = (RETURN, MOVEMENT, DIRECTION)

KEYS = ("date", "ticker")
COLUMNS: tuple[str, ...] = KEYS + FEATURES + TARGETS

SPLITS = ("train", "validation", "test")
"""The splits of a table, in date order."""

PROBABILITIES = ("p_downtrend", "p_neutral", "p_uptrend")
"""Columns of a world's truth file, in class order."""

MARKET_COLUMNS: dict[str, tuple[str, ...]] = {
    "bars": ("ticker", "date", "open", "high", "low", "close", "volume"),
    "news": ("ticker", "date", "count", "sentiment", "relevance"),
    "macro": ("series", "release_date", "value"),
    "policy": ("date", "impact"),
}
"""Columns that files of a real market must have; others are left alone."""
