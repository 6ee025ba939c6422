"""Settings of `python -m ste.judge`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Predicate

from ste.config.data_settings import CalendarName
from ste.config.read_options import DateFormat, ReadOptions
from ste.config.run_settings import PathSettings, ScoringSettings
from ste.config.validation import Expect, FileName, NonNegativeFloat, PositiveInt, Settings
from ste.errors import ConfigError

PREDICTION_COLUMNS = (
    *("date", "ticker", "score", "class", "label", "return", "close", "cutoff"),
    *("strong_downtrend", "downtrend", "neutral", "uptrend", "strong_uptrend"),
)
"""Columns that `columns` may name; the last five are those of probabilities."""


def _are_known(columns: dict[str, str | int]) -> bool:
    return set(columns) <= set(PREDICTION_COLUMNS)


def _is_count(classes: list[str] | None) -> bool:
    return classes is None or (len(classes) in (2, 3) and len(set(classes)) == len(classes))


PredictionColumns = Annotated[
    dict[str, str | int],
    Predicate(_are_known),
    Expect(f"names or positions of {', '.join(PREDICTION_COLUMNS)}", "{ticker: Sym, score: alpha}"),
]
ClassNames = Annotated[
    list[str] | None,
    Predicate(_is_count),
    Expect("two or three different names, that of the fall first", "[bear,flat,bull]"),
]
Trials = Annotated[int, Ge(1)] | list[str]


@dataclass
class JudgeSettings(Settings):
    """Predictions of any tool to judge.

    Attributes:
        predictions: CSV, Parquet or Feather file with date, ticker and probabilities, classes or a score.
        other: second file, which is compared with the first one on their common rows.
        returns: daily bars, or a table with the outcomes; None: the file of predictions has them.
        columns: name in the file, or position from 1, of what is not found by its usual name.
        classes: names or values of the classes in the file, from fall to rise.
        horizon: periods that a prediction looks ahead; None finds it in returns that overlap, else 1.
        threshold: a return above it is an Uptrend, one below minus it a Downtrend; None is 0.01 with three classes and
            0 with two, and for a score terciles of each date.
        cut: how a score becomes classes: `terciles` of each date or `sign`; None is terciles with three tickers or
            more on a date.
        frequency: `weekly`, `daily`, `monthly` or `intraday`; None finds it from the dates.
        calendar: of the exchange; `bars`: the days in the file are the sessions.
        dates: whether a date is the `decision`'s, or that of the `target`, as forecasting libraries write it; None
            decides by the shape of the file.
        values: what a score is: `return` (or any ranking) or `price`, which becomes a return; None decides by its size.
        date_format: of dates that are not ISO 8601, as `%d.%m.%Y`.
        trials: models that were tried on this data, this one included; or files with the others' predictions.
        scoring: of the predictions.
        page: HTML page to write; None is `judge/NAME.html` in the output folder.
    """

    paths: PathSettings
    scoring: ScoringSettings
    predictions: FileName | None = None
    other: FileName | None = None
    returns: FileName | None = None
    columns: PredictionColumns = field(default_factory=dict)
    classes: ClassNames = None
    horizon: PositiveInt | None = None
    threshold: NonNegativeFloat | None = None
    cut: Literal["terciles", "sign"] | None = None
    frequency: Literal["weekly", "daily", "monthly", "intraday"] | None = None
    calendar: CalendarName = "bars"
    dates: Literal["decision", "target"] | None = None
    values: Literal["return", "price"] | None = None
    date_format: DateFormat | None = None
    trials: Trials = 1
    page: FileName | None = None

    def check(self) -> None:
        """Require a file of predictions."""
        if self.predictions is None:
            raise ConfigError("judge: expected a file of predictions. Try python -m ste.judge predictions.csv.")

    def files(self) -> dict[str, str]:
        """Return the files of predictions by setting; several under `trials`."""
        others = self.trials if isinstance(self.trials, list) else []
        return self.given(("predictions", "other")) | {f"trials[{n}]": path for n, path in enumerate(others)}

    def read_options(self) -> ReadOptions:
        """Return the options of the readers of dates."""
        return ReadOptions(date_format=self.date_format, calendar=self.calendar, prefix="")
