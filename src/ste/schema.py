"""Names, groups, units and bounds of the columns of tables and market files.

A table has one row per ticker and period: a week, or by `data.frequency` a session or a month. `date` is the period's
last session. Features are known at that session's close; targets cover the `horizon` periods after it. Prices are in
dollars, adjusted as the bars are.
"""

from dataclasses import asdict, dataclass
from typing import Any

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
"""Normalization of a column by its unit, where it declares none; see `NORMALIZATIONS`."""

NORMALIZATIONS = (
    *("none", "log", "log1p", "fraction", "log_ratio", "ratio", "close_fraction", "band_position"),
    *("window_mean", "window_change", "rank"),
)
"""Normalizations by `data.representation=stationary`, before scaling: `none`; `log`; `log1p`; `fraction` (x / (1 + x),
for a ratio from 0 to any size); `log_ratio` and `ratio` (less 1) to the close; `close_fraction`; `band_position` (-1 at
the lower of the column's `bands`, 1 at the upper); `window_mean` (log ratio to the window's mean); `window_change`
(since the window's first period); `rank` (across the tickers of a date, computed with the table)."""


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
        scale: of `NORMALIZATIONS`, replaces the unit's; None is the unit's.
        expr: expression that computes it (`ste.expressions`); empty for a column that a ready table has.
        group: kind of source, or any name that the user gives; reports value the columns of a group together.
        fill: value where the expression has none, such as 0 / 0; None leaves such a row out.
        bands: names of the lower and upper band, with the normalization `band_position`.
    """

    name: str
    meaning: str = ""
    low: float | None = None
    high: float | None = None
    positive: bool = False
    unit: str = "ratio"
    scale: str | None = None
    expr: str = ""
    group: str = ""
    fill: float | None = None
    bands: tuple[str, str] | None = None

    @property
    def normalization(self) -> str:
        """Normalization by `data.representation=stationary`, see `features.normalization`."""
        return SCALES[self.unit] if self.scale is None else self.scale


PERIOD_BAR = (
    Column("period_high", "highest price of the period, dollars", positive=True, unit="price", expr="PMax($high)"),
    Column("period_low", "lowest price of the period, dollars", positive=True, unit="price", expr="PMin($low)"),
    Column("period_close", "close of the period, dollars", positive=True, unit="price", expr="PLast($close)"),
)
"""What baselines and checks read of a row. A table has those as further columns which no feature is."""

ROW_PERIOD, ROW_CLOSE, ROW_VOLATILITY = "period", "period_close", "volatility"
"""Auxiliary columns of feature rows that labels are computed from, see `features.feature_rows`."""


@dataclass(frozen=True)
class FeatureSet:
    """The features of a table.

    Attributes:
        name: of the set; of joined sets with `+` between them.
        columns: in table order.
        lookback: bars of a ticker that a row needs at least, those of its own period included; 0 where the expressions
            decide. It replaces what recursive functions ask for (`ste.expressions.expression.lookback`).
        frequency: of the rows, where the set has a meaning for one only; None fits any.
    """

    name: str
    columns: tuple[Column, ...]
    lookback: int = 0
    frequency: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, F of them."""
        return tuple(column.name for column in self.columns)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Column names by group, in the order of their first columns."""
        out: dict[str, tuple[str, ...]] = {}
        for column in self.columns:
            out[column.group] = (*out.get(column.group, ()), column.name)
        return out

    @property
    def from_bars(self) -> bool:
        """Whether every column has an expression, so that the set is computed from daily sources."""
        return all(column.expr for column in self.columns)

    def period_bar(self) -> dict[str, str]:
        """Return the column of the table that holds each of `PERIOD_BAR`: a feature of that expression, or itself."""
        features = {column.expr: column.name for column in reversed(self.columns)}
        return {bar.name: features.get(bar.expr, bar.name) for bar in PERIOD_BAR}

    @property
    def close(self) -> str | None:
        """The feature that is the close, to which prices are normalized; None where there is none."""
        name = self.period_bar()[ROW_CLOSE]
        return name if name in self.names else None

    def needing_close(self) -> tuple[str, ...]:
        """Return the features that `stationary` normalizes by the close."""
        relative = ("log_ratio", "ratio", "close_fraction", "band_position")
        return tuple(column.name for column in self.columns if column.normalization in relative)

    @property
    def further_columns(self) -> tuple[str, ...]:
        """Columns of `PERIOD_BAR` that no feature is."""
        return tuple(name for name, column in self.period_bar().items() if name == column)

    def to_dict(self) -> dict[str, Any]:
        """Return the definitions as plain values, defaults left out."""
        default = Column("")
        columns = [
            {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(one).items()
                if value != getattr(default, key)
            }
            for one in self.columns
        ]
        return {"name": self.name, "lookback": self.lookback, "frequency": self.frequency, "columns": columns}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FeatureSet":
        """Restore a set from `to_dict`."""
        columns = tuple(
            Column(**{**one, "bands": tuple(one["bands"])} if one.get("bands") else one) for one in values["columns"]
        )
        return cls(values["name"], columns, values["lookback"], values["frequency"])


RETURN = "stock_weekly_return"
MOVEMENT = "stock_weekly_movement"
DIRECTION = "stock_trend_direction"
TARGETS = (RETURN, MOVEMENT, DIRECTION)

ROW_TREND = "trend"
"""Auxiliary column of rows whose label method decides their trend together with their return."""


KEYS = ("date", "ticker")


LABEL_END = "label_end"
"""Optional column after the targets: the last session of the period in which the row's label is known. A table has it
where labels may end before their horizon; the purge then follows it."""

HISTORY_ONLY = "history_only"
"""Optional last column of a table: 1 in rows that later windows read and that are neither trained on nor scored."""


TRADED_RETURNS = {name: f"return_{name}" for name in ("next_open", "next_close", "same_close")}
"""Columns of the simple returns over the label's horizon, by the price at which positions are entered and left:
the open or close of the session after the row's close, or that close itself."""

SPREAD = "estimated_spread"
"""Estimated spread between bid and ask, a fraction of the price, known at the row's close."""

TRADING_COLUMNS = (*TRADED_RETURNS.values(), SPREAD)
"""Columns of the file that a built table has next to it for portfolios: no feature, and no part of the table."""


NOT_FEATURES = (
    *KEYS,
    *TARGETS,
    *TRADING_COLUMNS,
    LABEL_END,
    HISTORY_ONLY,
    "split",
    *(column.name for column in PERIOD_BAR),
)
"""Columns of a table that no feature is."""


def table_columns(features: FeatureSet) -> tuple[str, ...]:
    """Return the columns of a built table, in order; `LABEL_END` and `HISTORY_ONLY` may follow."""
    return KEYS + features.names + TARGETS + features.further_columns


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

MACRO_SERIES: dict[str, Column] = {
    column.name: column
    for column in (
        Column("gdp_growth", "real GDP growth, percent"),
        Column("inflation", "consumer price inflation over a year, percent"),
        Column("unemployment", "unemployment rate, percent", 0.0, 100.0),
        Column("interest_rate", "policy rate, percent"),
        Column("vix", "VIX at the close, annualised percent", 0.0),
    )
}
"""Released value of each macro series."""

MARKET_COLUMNS: dict[str, tuple[str, ...]] = {
    kind: (*keys, *(column.name for column in SOURCE_NUMBERS[kind])) for kind, keys in _SOURCE_KEYS.items()
}
"""Required columns of a market's files, by kind of file; other columns are ignored."""

UNIVERSE_COLUMNS: dict[str, tuple[str, ...]] = {
    "universe": ("ticker", "from", "to"),
    "delisted": ("ticker", "date", "return"),
}
"""Required columns of the files that say which tickers belong to a market, and when, by kind of file."""
