"""Settings of the data: labels, splits and sources."""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len, Lt, Predicate

from ste.config.extra_settings import ExtraSettings
from ste.config.feature_sets import ALL_COLUMNS, DEFAULT, ChosenFeatures, load_feature_set
from ste.config.label_settings import LabelSettings
from ste.config.read_options import ReadingSettings
from ste.config.validation import Expect, IsoDate, NonNegativeInt, PositiveInt, Settings
from ste.schema import BARS, EXCHANGE, MARKET_COLUMNS, SPLITS, UNIVERSE_COLUMNS, FeatureSet

if TYPE_CHECKING:
    from ste.market.calendar import Periods


@dataclass
class SplitSettings(Settings):
    """Start of validation and test, and the purge before them.

    Splits are given by dates or by fractions. The last `max(purge, horizon) + embargo` periods before the next split
    are neither trained on nor scored; later windows read their features.

    Attributes:
        by: `date`; or `row`, the seed document's split between any two rows, without purge.
        validation, test: fraction of the periods (or rows) of each; the rest is training. None is 0.2 without a date; a
            date and a fraction together are refused.
        validation_start, test_start: first date of each, ISO; without `test_start` there is no test split.
        purge: periods; None is the horizon, and less than the horizon is refused.
        embargo: further periods.
    """

    section: ClassVar[str] = "data.split"

    by: Literal["date", "row"] = "date"
    validation: Annotated[float, Gt(0), Lt(1)] | None = None
    test: Annotated[float, Ge(0), Lt(1)] | None = None
    validation_start: IsoDate | None = None
    test_start: IsoDate | None = None
    purge: int | None = None
    embargo: NonNegativeInt = 0

    def check(self) -> None:
        """Check that dates and fractions agree and leave periods for training."""
        validation, test = self.fractions()
        for name, fraction in (("validation", self.validation), ("test", self.test)):
            alone = fraction is None or self.validation_start is None or (fraction == 0 and self.test_start is None)
            expected = f"null, as data.split.validation_start={self.validation_start} is a date"
            self.require(alone, name, expected, example="null data.split.validation_start=2021-01-01")
        limit = f"less than {1 - validation:g}, the fraction that data.split.validation leaves"
        self.require(validation + test < 1, "test", limit, example=0)
        if self.test_start is None:
            return
        needed = "a date too, as data.split.test_start is one"
        self.require(self.validation_start is not None, "validation_start", needed, example="2021-01-01")
        after = str(self.validation_start) < self.test_start
        self.require(after, "test_start", f"a date after data.split.validation_start={self.validation_start}")

    def fractions(self) -> tuple[float, float]:
        """Return the fractions of validation and test, where no date decides."""
        return (0.2 if self.validation is None else self.validation), (0.2 if self.test is None else self.test)

    def purged_periods(self, horizon: int) -> int:
        """Return the periods that are purged before the next split: max(purge, horizon) + embargo."""
        if self.by == "row":
            return 0
        return max(self.purge or 0, horizon) + self.embargo


FeatureAudit = Literal["refuse", "warn", "off"]
"""What follows when a table is built with a feature that uses the future: an error, a warning, or no check at all."""

CalendarName = Annotated[str, Len(1), Expect("a calendar such as XNYS, XLON, 24/7 or bars")]


@dataclass
class DataSettings(Settings):
    """Settings of every source of tables.

    Attributes:
        source: which kind of source it is; set by the config group.
        calendar: of the exchange: a name of exchange_calendars such as `XNYS`, `24/7`, or `bars` (the days in the file
            are the sessions).
        frequency: `weekly`, `daily` or `monthly`: the period of a row.
        features: name or file of a feature set, or several (`config.feature_sets`); for ready tables also `columns`,
            all of their numeric columns.
        audit: what follows from a feature that uses the future, see `FeatureAudit`.
        labels, split: settings of their own.
        format: of the tables: `csv` or `parquet`, a file for each split; or `parts`, a folder of Parquet files by year,
            for tables larger than memory.
        folder: of the tables; None is a new folder in `data_output`.
        sequence_length: periods in a window of a sequence model, T.
        history: consecutive periods of the ticker that an example of any model needs, so that all models are scored on
            the same rows; None is `sequence_length`.
        batch_size: windows or rows in a training batch.
        representation: normalization of the features: `stationary` or `standard`.
    """

    section: ClassVar[str] = "data"

    source: str
    calendar: CalendarName = EXCHANGE
    frequency: Literal["weekly", "daily", "monthly"] = "weekly"
    features: ChosenFeatures = DEFAULT
    audit: FeatureAudit = "refuse"
    labels: LabelSettings = field(default_factory=LabelSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    format: Literal["csv", "parquet", "parts"] = "csv"
    folder: str | None = None
    sequence_length: PositiveInt = 4
    history: PositiveInt | None = None
    batch_size: PositiveInt = 64
    representation: Literal["stationary", "standard"] = "stationary"

    def check(self) -> None:
        """Check that features, frequency, format, labels and split can be used together."""
        if self.calendar not in (EXCHANGE, BARS):
            from ste.market.calendar import trading_calendar  # imports pandas

            self.calendar = trading_calendar(self.calendar).name
        own = self.feature_set.frequency
        self.require(own in (None, self.frequency), "frequency", f"{own} with features={self.features}", example=own)
        relative = self.feature_set.needing_close() if self.representation == "stationary" else ()
        self.require(
            not relative or self.feature_set.close is not None,
            "representation",
            f"standard, as {', '.join(relative[:4])} is normalized by the close and no column has expr: PLast($close). "
            "Divide by $close in its expr, or add such a column",
            example="standard",
        )
        streams = self.format != "parts" or self.split.by == "date"
        self.require(streams, "format", "csv or parquet with data.split.by=row", example="parquet")
        purge, horizon = self.split.purge, self.labels.horizon
        self.split.require(
            purge is None or purge >= horizon,
            "purge",
            f"at least data.labels.horizon={horizon}, or a training label would reach into validation",
        )
        self.split.require(
            self.split.by == "date" or self._is_seed_table(),
            "by",
            "date; only data=seed, with its own weeks and a horizon of 1, repeats the document's split within a week",
        )

    @cached_property
    def feature_set(self) -> FeatureSet:
        """The definitions of the features."""
        return load_feature_set(self.features)

    @property
    def periods(self) -> "Periods":
        """The periods of the rows; a calendar `bars` must be known (`data.sources.daily_sources.with_calendar`)."""
        from ste.market.calendar import Periods, trading_calendar

        return Periods(self.frequency, trading_calendar(self.calendar))

    def _is_seed_table(self) -> bool:
        """Whether this is the seed document's own table, which is split without a purge."""
        split = self.split
        return (
            self.source == "seed"
            and (getattr(self, "start", None), getattr(self, "end", None)) == ("2024-11-01", "2024-11-30")
            and self.labels.horizon == 1
            and (split.purge, split.embargo, split.validation_start) == (None, 0, None)
        )

    def table_settings(self) -> dict[str, Any]:
        """Return the settings that determine the table's bytes, as plain data; the others determine how it is read."""
        views = ("audit", "folder", "sequence_length", "history", "batch_size", "representation")
        own = {key: value for key, value in asdict(self).items() if key not in views}
        return own | {"features": self.feature_set.to_dict()}


_TICKERS = "a number such as data.tickers=50 or names such as data.tickers=[AAPL,MSFT]"


def _is_not_empty(tickers: Any) -> bool:
    return tickers > 0 if isinstance(tickers, int) else len(tickers) > 0


Tickers = Annotated[int | list[str], Predicate(_is_not_empty), Expect(_TICKERS)]


@dataclass
class SyntheticSettings(ExtraSettings, DataSettings):
    """A synthetic market.

    Attributes:
        tickers: names, or a number of them.
        start, end: first and last date of the table, ISO.
        seed: of the generator.
        signal: fraction of next week that the features predict; 0 makes labels independent of the features.
    """

    tickers: Tickers = 7
    start: IsoDate = "2015-01-01"
    end: IsoDate = "2024-12-31"
    seed: NonNegativeInt = 0
    signal: Annotated[float, Ge(0), Le(1)] = 0.4

    def check(self) -> None:
        """Check the dates."""
        super().check()
        if isinstance(self.tickers, list):
            self.require(len(set(self.tickers)) == len(self.tickers), "tickers", "different names")
        self.require(
            "1960-01-01" <= self.start < self.end <= "2100-01-01",
            "end",
            f"a date after data.start={self.start}, both between 1960 and 2099",
            example=f"{min(int(self.start[:4]) + 5, 2099)}-12-31",
        )


@dataclass(kw_only=True)
class MarketFiles(ExtraSettings, ReadingSettings):
    """Daily files of a market that a command reads; the files that complement the bars are optional."""

    bars: str | None = None
    news: str | None = None
    macro: str | None = None
    policy: str | None = None

    def files(self) -> dict[str, str]:
        """Return the given files by kind."""
        return self.given(MARKET_COLUMNS) | self.extra_files()

    def check(self) -> None:
        """Check that the other files come with bars."""
        super().check()
        others = {"news, macro or policy": any((self.news, self.macro, self.policy)), "extra": bool(self.extra)}
        for kind, given in others.items():
            expected = f"a file of daily bars as well as {kind}"
            self.require(bool(self.bars) or not given, "bars", expected, example="bars.csv")


@dataclass
class RealMarketSettings(ExtraSettings, ReadingSettings, DataSettings):
    """A real market, whatever its bars come from.

    Attributes:
        news, macro, policy: optional files; missing ones are filled with neutral values.
        tickers: names to read; None reads all.
        start, end: first and last date of the table; None is that of the bars.
        universe: members: ticker, from, to; rows of other tickers and days are history only. None takes all rows.
        delisted: delistings: ticker, date, return. They close a ticker's last labels: its last close times
            1 + return, where the date lies within the label's period.
        delisting_return: assumed for tickers that end before the last period without an entry; None gives them no
            label there.
        score_untraded: train on and score rows without a trade; otherwise they are history only.
        by_model: whether the card of a model states calendar and frequency, which messages on bars then say.
    """

    by_model: ClassVar[bool] = False

    news: str | None = None
    macro: str | None = None
    policy: str | None = None
    tickers: list[str] | None = None
    start: IsoDate | None = None
    end: IsoDate | None = None
    universe: str | None = None
    delisted: str | None = None
    delisting_return: Annotated[float, Ge(-1)] | None = None
    score_untraded: bool = False

    def files(self) -> dict[str, str]:
        """Return the given files by kind."""
        own = self.given(kind for kind in (*MARKET_COLUMNS, *UNIVERSE_COLUMNS) if hasattr(self, kind))
        return own | self.extra_files()


@dataclass
class MarketSettings(RealMarketSettings):
    """Files of a real market.

    Attributes:
        bars: daily bars in any usual shape (docs/files.md): a file, folder, pattern, archive or database.
    """

    bars: str = ""

    def check(self) -> None:
        """Check that there are bars."""
        super().check()
        self.require(bool(self.bars), "bars", "a file of daily bars", example="bars.csv")


SAMPLE_PACKAGE = "bokeh_sampledata"
"""Distribution that carries the bars of `data=sample`."""


@dataclass
class SampleSettings(RealMarketSettings):
    """The bars of five US stocks, 2000 to 2013, from the package `bokeh_sampledata`; no file is needed.

    Attributes:
        volume: the publisher describes it as raw.
    """

    volume: Literal["raw", "adjusted"] | None = "raw"

    def table_settings(self) -> dict[str, Any]:
        """Return the settings that determine the table's bytes, with the version of the package."""
        return {**super().table_settings(), "package": f"{SAMPLE_PACKAGE} {version(SAMPLE_PACKAGE)}"}


@dataclass
class TableSettings(DataSettings):
    """The user's own labelled tables.

    Attributes:
        train, validation, test: files or folders of parts; `test` is optional. Their labels must have `labels.horizon`.
    """

    train: str = ""
    validation: str = ""
    test: str | None = None

    def check(self) -> None:
        """Check that there are tables."""
        super().check()
        self.require(bool(self.train), "train", "a weekly table", example="training_data.csv")
        self.require(bool(self.validation), "validation", "a weekly table", example="validation_data.csv")

    @cached_property
    def feature_set(self) -> FeatureSet:
        """The definitions of the features; with `features=columns` the numeric columns of the training table."""
        if ALL_COLUMNS not in self.features:
            return load_feature_set(self.features)
        from ste.config.table_features import table_feature_set  # imports pandas

        return table_feature_set(self.train, self.features)

    def files(self) -> dict[str, str]:
        """Return the given files by split."""
        return self.given(SPLITS)


SOURCES: dict[str, type[DataSettings]] = {
    "world": SyntheticSettings,
    "seed": SyntheticSettings,
    "market": MarketSettings,
    "sample": SampleSettings,
    "csv": TableSettings,
}
"""Settings class of each `data` group."""
