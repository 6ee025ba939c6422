"""Settings of the data: labels, splits, and each kind of source."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ste.config.validation import choice, iso_date, require
from ste.schema import CLASSES, FEATURE_SETS, PERIODS_PER_YEAR


@dataclass
class LabelSettings:
    """How the coming periods' return becomes a class.

    Attributes:
        horizon: periods ahead: weeks, or sessions with `data.frequency=daily`.
        method: `fixed` (threshold is a simple return), `volatility` (threshold is a multiple of the
            ticker's trailing volatility over a period) or `balanced` (terciles of the training rows).
        threshold: above it is an Uptrend.
        lower: below it is a Downtrend; None is the negative of `threshold`.
        classes: 3, or 2: rows between the thresholds are then neither learnt from nor scored.
    """

    horizon: int = 1
    method: str = "fixed"
    threshold: float = 0.01
    lower: float | None = None
    classes: int = 3

    def __post_init__(self) -> None:
        require(self, "data.labels.horizon", self.horizon >= 1, "1 period or more")
        require(self, "data.labels.classes", self.classes in CLASSES, "2 or 3")
        below = self.lower is None or (self.lower <= self.threshold and self.method != "balanced")
        expected = f"null with data.labels.method=balanced, else at most data.labels.threshold={self.threshold:g}"
        require(self, "data.labels.lower", below, expected)
        choice(self, "data.labels.method", ("fixed", "volatility", "balanced"))
        require(self, "data.labels.threshold", self.threshold >= 0, "0 or more")
        require(
            self,
            "data.labels.threshold",
            self.method != "volatility" or self.threshold >= 0.05,
            "a multiple of the trailing volatility, 0.05 or more, with data.labels.method=volatility",
            example=0.5,
        )


@dataclass
class SplitSettings:
    """Where training ends and validation and test begin.

    By dates or by shares. Between two splits lie `max(purge, horizon) + embargo` periods whose rows
    serve as features of later windows and are neither learnt from nor scored.

    Attributes:
        by: `date`; `row` cuts anywhere, without purge, and is the seed document's own way.
        validation, test: share of the periods (or rows) for each; the rest is training. None is 0.2 where
            no date is given; a date and a share together are refused.
        validation_start, test_start: first date of each, ISO; without test_start there is no test.
        purge: periods; None is the horizon, and less than the horizon is refused.
        embargo: further periods.
    """

    by: str = "date"
    validation: float | None = None
    test: float | None = None
    validation_start: str | None = None
    test_start: str | None = None
    purge: int | None = None
    embargo: int = 0

    def __post_init__(self) -> None:
        choice(self, "data.split.by", ("date", "row"))
        validation, test = self.shares()
        for key, share in (("data.split.validation", self.validation), ("data.split.test", self.test)):
            alone = share is None or self.validation_start is None or (share == 0 and self.test_start is None)
            expected = f"null, as data.split.validation_start={self.validation_start} is a date"
            require(self, key, alone, expected, example="null data.split.validation_start=2021-01-01")
        require(self, "data.split.validation", 0 < validation < 1, "a share in (0, 1)", example=0.2)
        require(self, "data.split.test", 0 <= test < 1, "a share in [0, 1)", example=0.2)
        most = f"less than {1 - validation:g}, what data.split.validation leaves"
        require(self, "data.split.test", validation + test < 1, most, example=0)
        iso_date("data.split.validation_start", self.validation_start)
        iso_date("data.split.test_start", self.test_start)
        if self.test_start is not None:
            require(
                self,
                "data.split.validation_start",
                self.validation_start is not None,
                "a date too, as data.split.test_start is one",
                example="2021-01-01",
            )
            require(
                self,
                "data.split.test_start",
                str(self.validation_start) < str(self.test_start),
                f"a date after data.split.validation_start={self.validation_start}",
            )
        require(self, "data.split.embargo", self.embargo >= 0, "0 periods or more")

    def shares(self) -> tuple[float, float]:
        """Shares of validation and test, where no date decides."""
        return (0.2 if self.validation is None else self.validation), (0.2 if self.test is None else self.test)

    def gap(self, horizon: int) -> int:
        """Periods between the last row of one split that counts and the first of the next."""
        if self.by == "row":
            return 0
        return max(self.purge or 0, horizon) + self.embargo


@dataclass
class DataSettings:
    """What every source of tables has in common.

    Attributes:
        source: which kind of source it is; fixed by the config group.
        frequency: `weekly` or `daily`: what one row of a ticker covers, its period.
        features: `full`, the 21 of the weekly table, or `prices`, the 11 of Feng et al. (2019).
        labels, split: see there.
        format: of what is written: `csv` or `parquet`, a file for each split, or `parts`, a folder of Parquet
            files by year, for tables larger than memory.
        folder: where they are written; None is a folder of its own in `data_output`.
        sequence_length: periods in a window of a sequence model.
        history: consecutive periods of its ticker that every example needs, whatever the model, so that all
            models are scored on the same rows; None is `sequence_length`.
        batch_size: windows or rows in a training batch.
        representation: how features enter a net: `stationary` or `standard`.
    """

    source: str
    frequency: str = "weekly"
    features: str = "full"
    labels: LabelSettings = field(default_factory=LabelSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    format: str = "csv"
    folder: str | None = None
    sequence_length: int = 4
    history: int | None = None
    batch_size: int = 64
    representation: str = "stationary"

    def __post_init__(self) -> None:
        choice(self, "data.frequency", tuple(PERIODS_PER_YEAR))
        choice(self, "data.features", tuple(FEATURE_SETS))
        choice(self, "data.format", ("csv", "parquet", "parts"))
        choice(self, "data.representation", ("stationary", "standard"))
        fits = self.features == "full" or self.representation == "standard"
        require(self, "data.representation", fits, f"standard with data.features={self.features}", example="standard")
        daily = self.features == "full" or self.frequency == "daily"
        require(self, "data.frequency", daily, f"daily with data.features={self.features}", example="daily")
        streams = self.format != "parts" or self.split.by == "date"
        require(self, "data.format", streams, "csv or parquet with data.split.by=row", example="parquet")
        require(self, "data.history", self.history is None or self.history >= 1, "1 or more, or null", example=4)
        require(self, "data.sequence_length", self.sequence_length >= 1, "1 or more")
        require(self, "data.batch_size", self.batch_size >= 1, "1 or more")
        purge, horizon = self.split.purge, self.labels.horizon
        require(
            self.split,
            "data.split.purge",
            purge is None or purge >= horizon,
            f"at least data.labels.horizon={horizon}, or a training label would reach into validation",
        )
        require(
            self.split,
            "data.split.by",
            self.split.by == "date" or self._is_the_documents(),
            "date; only data=seed, with its own weeks and a horizon of 1, repeats the document's cut through a week",
        )

    def _is_the_documents(self) -> bool:
        """Whether this is the seed document's own table, whose cut purges nothing."""
        split = self.split
        return (
            self.source == "seed"
            and (getattr(self, "start", None), getattr(self, "end", None)) == ("2024-11-01", "2024-11-30")
            and self.labels.horizon == 1
            and (split.purge, split.embargo, split.validation_start) == (None, 0, None)
        )

    def table_settings(self) -> dict[str, Any]:
        """The settings that decide the table's bytes, plain; the others only decide how it is read."""
        views = ("folder", "sequence_length", "history", "batch_size", "representation")
        return {key: value for key, value in asdict(self).items() if key not in views}


@dataclass
class WorldSettings(DataSettings):
    """A synthetic world.

    Attributes:
        tickers: names, or a number of them.
        start, end: first and last date of the table, ISO.
        seed: the world's own seed.
        signal: how much of next week the features reveal; 0 is the null world, at most 1.
    """

    tickers: Any = 7
    start: str = "2015-01-01"
    end: str = "2024-12-31"
    seed: int = 0
    signal: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        named = isinstance(self.tickers, list | tuple)
        counted = isinstance(self.tickers, int) and not isinstance(self.tickers, bool)
        expected = "a number such as data.tickers=50 or names such as data.tickers=[AAPL,MSFT]"
        require(self, "data.tickers", named or counted, expected)
        require(self, "data.tickers", len(self.tickers) > 0 if named else self.tickers > 0, expected)
        if named:
            self.tickers = [str(name) for name in self.tickers]
            require(self, "data.tickers", len(set(self.tickers)) == len(self.tickers), "different names")
        iso_date("data.start", self.start)
        iso_date("data.end", self.end)
        require(
            self,
            "data.end",
            "1960-01-01" <= self.start < self.end <= "2100-01-01",
            f"a date after data.start={self.start}, both between 1960 and 2099",
            example=f"{min(int(self.start[:4]) + 5, 2099)}-12-31",
        )
        require(self, "data.signal", 0 <= self.signal <= 1, "a number from 0 (null world) to 1")
        require(self, "data.seed", self.seed >= 0, "0 or more")


@dataclass
class MarketSettings(DataSettings):
    """Files of a real market.

    Attributes:
        bars: daily bars: ticker, date, open, high, low, close, volume and, if prices are not fully
            adjusted, adj_close.
        news, macro, policy: optional files; what is not given is filled by a neutral value.
        tickers: names to keep; None keeps all.
        start, end: first and last date of the table; None is what the bars allow.
    """

    bars: str = ""
    news: str | None = None
    macro: str | None = None
    policy: str | None = None
    tickers: list[str] | None = None
    start: str | None = None
    end: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "data.bars", bool(self.bars), "a file of daily bars", example="bars.csv")
        iso_date("data.start", self.start)
        iso_date("data.end", self.end)

    def files(self) -> dict[str, str]:
        """The files given, by kind."""
        named = {"bars": self.bars, "news": self.news, "macro": self.macro, "policy": self.policy}
        return {kind: path for kind, path in named.items() if path is not None}


@dataclass
class TableSettings(DataSettings):
    """Ready weekly tables.

    Attributes:
        train, validation, test: files; test may be missing. `labels.horizon` must be theirs.
    """

    train: str = ""
    validation: str = ""
    test: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "data.train", bool(self.train), "a weekly table", example="training_data.csv")
        require(self, "data.validation", bool(self.validation), "a weekly table", example="validation_data.csv")

    def files(self) -> dict[str, str]:
        """The files given, by split."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {split: path for split, path in named.items() if path is not None}


SOURCES: dict[str, type[DataSettings]] = {
    "world": WorldSettings,
    "seed": WorldSettings,
    "market": MarketSettings,
    "csv": TableSettings,
}
"""Settings class of each `data` group."""
