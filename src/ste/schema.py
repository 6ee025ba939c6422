"""Names, groups, units and bounds of the columns of tables and market files.

A table has one row per ticker and period: a week, or by `data.frequency` a session or a month. `date` is the period's
last session. Features are known at that session's close; targets cover the `horizon` periods after it. Prices are in
dollars, adjusted as the bars are.
"""

from dataclasses import dataclass

CLASSES: dict[int, tuple[int, ...]] = {2: (0, 2), 3: (0, 1, 2), 4: (0, 1, 3, 4), 5: (0, 1, 2, 3, 4)}
"""Trends that are classes of a model, by `data.labels.classes`: codes of a table's `stock_trend_direction`, from the
strongest fall to the strongest rise. With an even number the Neutral rows are neither trained on nor scored; later
windows read them."""

TREND_NAMES: dict[int, tuple[str, ...]] = {
    3: ("Downtrend", "Neutral", "Uptrend"),
    5: ("Strong downtrend", "Downtrend", "Neutral", "Uptrend", "Strong uptrend"),
}
"""Names of the trends in a table, by their number (`trend_count`)."""

SYNTHETIC_SOURCES = ("world", "seed")
"""Values of `data.source` whose rows are of a synthetic market."""

EXCHANGE = "XNYS"
"""Default calendar: New York."""

BARS = "bars"
"""Calendar whose sessions are the days in the file of bars."""

PERIOD = {"weekly": "week", "daily": "day", "monthly": "month"}
"""Period of a row in words, by `data.frequency`."""


def trend_count(classes: int) -> int:
    """Return the number of trends that a table distinguishes: 3 for two or three classes, 5 for four or five."""
    return classes | 1


def trend_names(classes: int) -> tuple[str, ...]:
    """Return the names of a table's trends in the order of their codes, Neutral in the middle."""
    return TREND_NAMES[trend_count(classes)]


def class_names(count: int) -> tuple[str, ...]:
    """Return the names of the classes in order, that of the strongest fall first."""
    return tuple(trend_names(count)[trend] for trend in CLASSES[count])


def neutral_class(count: int) -> int | None:
    """Return the index of the class Neutral; None with an even number of classes, which have none."""
    return count // 2 if count % 2 else None


def rising(count: int) -> slice:
    """Return which columns of class probabilities `[N, C]` are of rises; the first as many are of falls."""
    return slice((count + 1) // 2, None)


def falling(count: int) -> slice:
    """Return which columns of class probabilities `[N, C]` are of falls."""
    return slice(None, count // 2)


def probability_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the column names of class probabilities: `p_downtrend`, `p_strong_downtrend` and so on."""
    return tuple(f"p_{name.lower().replace(' ', '_')}" for name in classes)


SCALES = {"price": "log_ratio", "volume": "window_mean", "count": "log1p", "percent": "none", "ratio": "none"}
"""Normalization of a column by its unit: `log_ratio` to the close, `window_mean` (log ratio to the window's mean),
`log1p` or `none`. A column may declare another one: `ratio` (to the close, less 1), `close_fraction`, `band_position`,
or `window_change` (since the window's first period)."""


@dataclass(frozen=True)
class Column:
    """A numeric column and the values it may hold (`ste.data.columns` checks them).

    Attributes:
        name: column name in every file.
        meaning: what it holds, with its unit.
        low: smallest value allowed; None is no bound.
        high: largest value allowed; None is no bound.
        positive: whether values must be above 0; `low` is then unused.
        unit: key of `SCALES`: `price` (dollars), `volume`, `count`, `percent` or `ratio`. It decides how `stationary`
            normalizes the column.
        scale: normalization that replaces the unit's; None is the unit's.
    """

    name: str
    meaning: str
    low: float | None = None
    high: float | None = None
    positive: bool = False
    unit: str = "ratio"
    scale: str | None = None

    @property
    def normalization(self) -> str:
        """Normalization by `data.representation=stationary`, see `features.normalization`."""
        return SCALES[self.unit] if self.scale is None else self.scale


STOCK = (
    Column("stock_open", "first trade of the week, dollars", positive=True, unit="price"),
    Column("stock_high", "highest trade of the week, dollars", positive=True, unit="price"),
    Column("stock_low", "lowest trade of the week, dollars", positive=True, unit="price"),
    Column("stock_close", "last trade of the week, dollars", positive=True, unit="price", scale="band_position"),
    Column("stock_volume", "shares traded in the week", 0.0, unit="volume"),
    Column("stock_sma_20", "mean close of 20 sessions, dollars", positive=True, unit="price"),
    Column("stock_sma_50", "mean close of 50 sessions, dollars", positive=True, unit="price"),
    Column("stock_rsi", "Wilder's relative strength index, 14 sessions, 0 to 100", 0.0, 100.0, unit="percent"),
    Column(
        "stock_macd",
        "12-session less 26-session exponential mean of the close, dollars",
        unit="price",
        scale="close_fraction",
    ),
    Column(
        "stock_bb_upper", "mean close of 20 sessions plus 2 standard deviations, dollars", unit="price", scale="ratio"
    ),
    Column(
        "stock_bb_lower", "mean close of 20 sessions less 2 standard deviations, dollars", unit="price", scale="ratio"
    ),
)
NEWS = (
    Column("news_sentiment", "mean sentiment of the week's items, -1 to 1; 0 without news", -1.0, 1.0),
    Column("news_count", "items in the week", 0.0, unit="count"),
    Column("news_relevance", "mean relevance of the week's items, 0 to 1; 0 without news", 0.0, 1.0),
)
MACRO = (
    Column("macro_gdp_growth", "latest released real GDP growth, percent", unit="percent", scale="window_change"),
    Column(
        "macro_inflation",
        "latest released consumer price inflation over a year, percent",
        unit="percent",
        scale="window_change",
    ),
    Column(
        "macro_unemployment",
        "latest released unemployment rate, percent",
        0.0,
        100.0,
        unit="percent",
        scale="window_change",
    ),
    Column("macro_interest_rate", "latest released policy rate, percent", unit="percent", scale="window_change"),
    Column("macro_vix", "VIX at the close, annualised percent", 0.0, unit="percent", scale="log1p"),
)
POLICY = (
    Column("policy_event_count", "policy events in the week", 0.0, unit="count"),
    Column("policy_impact_score", "sum of the week's event impacts, quarter points", 0.0, unit="count"),
)
GROUPS: dict[str, tuple[str, ...]] = {
    name: tuple(column.name for column in columns)
    for name, columns in {"stock": STOCK, "news": NEWS, "macro": MACRO, "policy": POLICY}.items()
}
FEATURE_COLUMNS = STOCK + NEWS + MACRO + POLICY
FEATURES: tuple[str, ...] = tuple(column.name for column in FEATURE_COLUMNS)

PRICES = (
    Column("price_open", "open over close, less 1", -1.0),
    Column("price_high", "high over close, less 1", -1.0),
    Column("price_low", "low over close, less 1", -1.0),
    Column("price_change", "close over the close before, less 1, as traded", -1.0),
    Column("price_adjusted_change", "the same with dividends", -1.0),
    *(
        Column(f"price_mean_{n}", f"mean adjusted close of {n} sessions over this one, less 1", -1.0)
        for n in (5, 10, 15, 20, 25, 30)
    ),
)
"""The 11 price features of Feng et al. (IJCAI 2019), table 1, for daily rows."""


@dataclass(frozen=True)
class FeatureSet:
    """The features of a table.

    Attributes:
        columns: in table order.
        groups: their names by kind of source.
        lookback: sessions of a ticker's bars that a row needs, those of its own period included.
    """

    columns: tuple[Column, ...]
    groups: dict[str, tuple[str, ...]]
    lookback: int

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, F of them."""
        return tuple(column.name for column in self.columns)


FEATURE_SETS = {
    # RSI and MACD are recursive: after 100 sessions the start of the series weighs less than 0.5 %.
    "full": FeatureSet(FEATURE_COLUMNS, GROUPS, lookback=100),
    "prices": FeatureSet(PRICES, {"stock": tuple(column.name for column in PRICES)}, lookback=31),
}
"""Feature sets by `data.features`."""


def columns_normalized_by(normalization: str, columns: tuple[Column, ...] = FEATURE_COLUMNS) -> tuple[str, ...]:
    """Return the names of the columns with this normalization, in table order."""
    return tuple(column.name for column in columns if column.normalization == normalization)


RETURN = "stock_weekly_return"
MOVEMENT = "stock_weekly_movement"
DIRECTION = "stock_trend_direction"
TARGETS = (RETURN, MOVEMENT, DIRECTION)

ROW_PERIOD, ROW_CLOSE, ROW_VOLATILITY = "period", "close", "volatility"
"""Auxiliary columns of feature rows that labels are computed from, see `features.feature_rows`."""

ROW_TREND = "trend"
"""Auxiliary column of rows whose label method decides their trend together with their return."""

KEYS = ("date", "ticker")
COLUMNS: tuple[str, ...] = KEYS + FEATURES + TARGETS


LABEL_END = "label_end"
"""Optional column after the targets: the last session of the period in which the row's label is known. A table has it
where labels may end before their horizon; the purge then follows it."""

HISTORY_ONLY = "history_only"
"""Optional last column of a table: 1 in rows that later windows read and that are neither trained on nor scored."""


def table_columns(features: str) -> tuple[str, ...]:
    """Return the columns of a table with this feature set, in order; `LABEL_END` and `HISTORY_ONLY` may follow."""
    return KEYS + FEATURE_SETS[features].names + TARGETS


SPLITS = ("train", "validation", "test")
"""The splits of a table, in date order."""

_SOURCE_KEYS = {"bars": KEYS[::-1], "news": KEYS[::-1], "macro": ("series", "release_date"), "policy": ("date",)}
SOURCE_NUMBERS: dict[str, tuple[Column, ...]] = {
    "bars": (
        *(Column(name, f"{name} of the session, dollars", positive=True) for name in ("open", "high", "low", "close")),
        Column("volume", "shares traded in the session", 0.0),
    ),
    "news": (
        Column("count", "items of the day", 0.0),
        Column("sentiment", "mean sentiment of the day's items, -1 to 1", -1.0, 1.0),
        Column("relevance", "mean relevance of the day's items, 0 to 1", 0.0, 1.0),
    ),
    "macro": (Column("value", "released figure, percent"),),
    "policy": (Column("impact", "impact of the event, quarter points", 0.0),),
}
"""Numeric columns of a market's files, by kind of file."""

ADJUSTED_CLOSE = Column("adj_close", "close adjusted for dividends and splits, dollars", positive=True)
"""Optional column of bars."""

MACRO_SERIES: dict[str, Column] = {column.name.removeprefix("macro_"): column for column in MACRO}
"""Column of each macro series; its bounds hold for the released values."""

MARKET_COLUMNS: dict[str, tuple[str, ...]] = {
    kind: (*keys, *(column.name for column in SOURCE_NUMBERS[kind])) for kind, keys in _SOURCE_KEYS.items()
}
"""Required columns of a market's files, by kind of file; other columns are ignored."""

UNIVERSE_COLUMNS: dict[str, tuple[str, ...]] = {
    "universe": ("ticker", "from", "to"),
    "delisted": ("ticker", "date", "return"),
}
"""Required columns of the files that say which tickers belong to a market, and when, by kind of file."""
