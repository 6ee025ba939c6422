"""From a file of any tool to the predictions that STE scores: `Predictions` with truth and baselines."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ste.config.judge_settings import JudgeSettings
from ste.errors import DataError
from ste.evaluation.predictions import Predictions, row_columns
from ste.judging.file_outcomes import (
    add_outcomes_of_closes,
    add_outcomes_of_table,
    are_prices,
    is_outcome_table,
    is_unnamed_series,
    returns_of_prices,
)
from ste.judging.foreign_rows import CLASS, LEFT_OUT, SCORE, ForeignRows, check_repeats, read_foreign_rows
from ste.judging.outcomes_by_row import (
    Outcomes,
    classes_of_returns,
    outcome_method,
    outcomes_of_bars,
    read_bars,
    values_at,
)
from ste.judging.reference_models import reference_models
from ste.judging.row_periods import RowPeriods, find_frequency, find_horizon, row_periods, ticker_codes
from ste.judging.score_classes import SIGN, TERCILES, columns_of_scores, one_hot
from ste.labels.label_method import LabelMethod
from ste.market.sources import Market
from ste.schema import TRADING_COLUMNS, class_names, probability_names

SPLIT = "predictions"
"""Name of the rows of a file, where a run has a split."""

_MIN_TICKERS = 3  # on a usual date, for terciles of it


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """Predictions of a file with their truth and baselines.

    Attributes:
        predictions: as they are scored.
        where: the file.
        shape: of the file in words.
        notes: what was left out, found or assumed.
    """

    predictions: Predictions
    where: str
    shape: str
    notes: list[str] = field(default_factory=list)


def read_judged_rows(
    what: str, settings: JudgeSettings, key: str = "predictions", *, baselines: bool = True
) -> JudgedRows:
    """Read a file of predictions, find its outcomes, and fit the baselines.

    Args:
        what: path, as typed.
        settings: of the command.
        key: the setting, for messages.
        baselines: whether to fit baselines.

    Raises:
        DataError: a file, column or value that cannot be used.
    """
    rows = read_foreign_rows(what, settings, key)
    maker = _Maker(rows, settings)
    maker.find_outcomes()
    return maker.judged(baselines=baselines)


class _Maker:
    """Turns the rows of one file into predictions, step by step.

    Args:
        rows: of the file.
        settings: of the command.
    """

    def __init__(self, rows: ForeignRows, settings: JudgeSettings) -> None:
        self.rows, self.settings = rows, settings
        self.market: Market | None = None
        self.outcomes: Outcomes | None = None
        self.horizon = settings.horizon or 1
        self.method: LabelMethod | None = None
        self.target = settings.dates == "target" or (settings.dates is None and rows.columns.target_dates)
        if settings.returns is not None and is_outcome_table(settings.returns):
            add_outcomes_of_table(rows, settings)
        elif settings.returns is not None:
            frequency = find_frequency(rows.frame["date"].to_numpy(), settings.frequency, rows.where)
            self.market = read_bars(settings, frequency)
        calendar = None if self.market is None else self.market.calendar
        dates = rows.frame["date"].to_numpy()
        steps = "cutoff" in rows.frame
        every = np.concatenate([dates, rows.frame["cutoff"].to_numpy()]) if steps else dates
        self.grid: RowPeriods = row_periods(every, settings.frequency, settings.calendar, rows.where, calendar)
        if self.grid.note:
            rows.notes.append(self.grid.note)
        rows.frame["period"] = self.grid.period[: len(dates)]
        if steps:
            self._choose_steps(self.grid.period[len(dates) :])
        check_repeats(rows, self.period, self.grid.word)

    @property
    def period(self) -> np.ndarray:
        """Index of each row's period, int64 `[N]`."""
        return self.rows.frame["period"].to_numpy(dtype=np.int64)

    def _choose_steps(self, cutoff: np.ndarray) -> None:
        """Leave out forecasts of other steps ahead than the horizon."""
        ahead = self.period - cutoff
        self.horizon = self.settings.horizon or int(ahead.min())
        self.rows.leave_out(ahead != self.horizon, f"of other steps ahead than horizon={self.horizon}")

    def find_outcomes(self) -> None:
        """Add `return` and `label` to the rows, from bars or from the file."""
        rows, word = self.rows, self.grid.word
        if self.market is not None:
            self._from_bars(self.market)
            return
        if "return" not in rows.frame and "label" not in rows.frame:
            if "close" not in rows.frame:
                raise DataError(
                    f"{rows.where}: has no outcome of its predictions. Expected a column return or label (columns="
                    "{return: NAME}), or give daily bars: returns=bars.csv."
                )
            add_outcomes_of_closes(rows, self.period, self.settings.horizon, word)
        elif self.target and rows.form == SCORE and "return" in rows.frame:
            self._from_levels()
        elif "cutoff" not in rows.frame:
            self._find_horizon()
        self._add_labels()
        frame = rows.frame.assign(ticker=rows.frame["ticker"].astype(object))
        self.outcomes = Outcomes(frame)

    def _find_horizon(self) -> None:
        frame, classes = self.rows.frame, "return" not in self.rows.frame
        values = frame["label" if classes else "return"].to_numpy(dtype=np.float64)
        values = np.where(values < 0, np.nan, values) if classes else values
        codes = ticker_codes(frame["ticker"])
        self.horizon, note = find_horizon(
            self.settings.horizon, values, codes, self.period, self.grid.word, classes=classes
        )
        self.rows.notes += [note] if note else []

    def _note_horizon(self) -> None:
        """State a horizon that nobody stated, and what dates of targets mean."""
        ahead = f"{self.horizon} {self.grid.word}{'s' * (self.horizon > 1)}"
        if self.settings.horizon is None:
            self.rows.notes.append(f"horizon: {ahead}, as none is stated")
        if self.target:
            self.rows.notes.append(f"dates are those of the targets: a forecast counts as made {ahead} before its date")

    def _from_levels(self) -> None:
        """Turn forecasts of a series and its values into returns, where they are prices."""
        rows, period = self.rows, self.period
        self._note_horizon()
        before = values_at(rows.frame, rows.frame["ticker"], period - self.horizon)
        values = rows.frame["return"].to_numpy()
        level = np.where(before < 0, np.nan, values[before])
        if are_prices(rows.values, level, self.settings.values):
            with np.errstate(divide="ignore", invalid="ignore"):
                rows.frame["return"] = values / level - 1.0
            returns_of_prices(rows, level)

    def _from_bars(self, market: Market) -> None:
        rows = self.rows
        names = sorted(market.bars["ticker"].unique())
        if is_unnamed_series(rows):
            if len(names) > 1:
                raise DataError(
                    f"{rows.where}: has no column of tickers, and returns={self.settings.returns} has {len(names)}. "
                    "Expected a column ticker, or bars of one ticker."
                )
            rows.frame["ticker"] = pd.Categorical([names[0]]).repeat(len(rows))
        self.method = self._method()
        self.outcomes = outcomes_of_bars(market, self.grid.frequency, self.method)
        rows.notes += self.outcomes.notes
        self._note_horizon()
        frame = self.outcomes.frame
        at = values_at(frame, rows.frame["ticker"], self.period - self.horizon * self.target)
        unknown = at < 0
        if unknown.all():
            own = sorted(map(str, rows.frame["ticker"].unique()))
            raise DataError(
                f"{rows.where}: no prediction has bars in returns={self.settings.returns}. The predictions are "
                f"of {', '.join(own[:4])} from {rows.frame['date'].min():%Y-%m-%d} to "
                f"{rows.frame['date'].max():%Y-%m-%d}, the bars of {', '.join(names[:4])} from "
                f"{frame['date'].min():%Y-%m-%d} to {frame['date'].max():%Y-%m-%d}."
            )
        for name in ("return", "label", "close", "period", *TRADING_COLUMNS):
            rows.frame[name] = frame[name].to_numpy()[at]
        early = ~unknown & (frame["date"].to_numpy()[at] != rows.frame["date"].to_numpy().astype("datetime64[D]"))
        if early.any() and not self.target:
            rows.notes.append(
                f"{early.sum():,} rows are dated on another day than the last session of their {self.grid.word}, at "
                f"whose close they count as made (first: {rows.frame['date'].iloc[int(np.argmax(early))]:%Y-%m-%d})"
            )
        rows.frame["date"] = frame["date"].to_numpy()[at]
        rows.leave_out(unknown, "without bars of their ticker and date")
        if rows.form == SCORE and are_prices(rows.values, rows.frame["close"].to_numpy(), self.settings.values):
            returns_of_prices(rows, rows.frame["close"].to_numpy(dtype=np.float64))

    @property
    def _many_tickers(self) -> bool:
        return float(np.median(np.unique(self.period, return_counts=True)[1])) >= _MIN_TICKERS

    @property
    def _cut(self) -> str:
        return self.settings.cut or (TERCILES if self._many_tickers else SIGN)

    def _method(self) -> LabelMethod:
        """Return how returns become classes."""
        threshold, given = self.settings.threshold, len(self.rows.classes)
        if self.rows.form != SCORE:
            return outcome_method(given, threshold, self.horizon, of_dates=False)
        if threshold is None and self._cut == TERCILES:
            return outcome_method(3, None, self.horizon, of_dates=True)
        return outcome_method(3 if threshold else 2, threshold, self.horizon, of_dates=False)

    def _add_labels(self) -> None:
        """Make classes of the returns where the file has no labels."""
        rows = self.rows
        if "label" in rows.frame:
            if "return" not in rows.frame:
                rows.frame["return"] = np.nan
            return
        self.method = self._method()
        rows.frame["label"] = classes_of_returns(rows.frame["return"].to_numpy(), self.period, self.method)

    def _note_labels(self) -> None:
        if self.method is None:
            return
        labels, names = self.rows.frame["label"].to_numpy(), class_names(self.method.classes)
        counts = np.bincount(labels[labels >= 0], minlength=len(names))
        shares = ", ".join(f"{name} {count / counts.sum():.0%}" for name, count in zip(names, counts, strict=True))
        edges = self.method.fixed_edges()
        how = "terciles of each date" if edges is None else f"returns below {edges[0]:+.2%} and above {edges[-1]:+.2%}"
        how = "the sign of the return" if edges is not None and not any(edges) else how
        self.rows.notes.append(f"classes: {how} ({shares})".replace("%", " %"))

    def judged(self, *, baselines: bool) -> JudgedRows:
        """Return the predictions."""
        rows = self.rows
        for name, why in LEFT_OUT.items():
            if name in rows.frame:
                rows.leave_out(rows.frame[name].to_numpy(), why)
        rows.leave_out(rows.frame["label"].to_numpy() < 0, "without a known outcome or class")
        self._note_labels()
        classes = class_names(self.method.classes if self.method else len(rows.classes))
        labels, period = rows.frame["label"].to_numpy(dtype=np.int64), self.period
        names = list(probability_names(classes))
        frame = row_columns(rows.frame, SPLIT, labels, rows.frame["return"].to_numpy(dtype=np.float64))
        probs = self._columns(len(classes), period)
        frame = pd.concat([frame, pd.DataFrame(probs, columns=names)], axis=1)
        frame["period"] = period
        frame = frame.assign(**{name: rows.frame[name] for name in TRADING_COLUMNS if name in rows.frame})
        if rows.form == SCORE:
            frame["score"] = rows.values
        if baselines:
            assert self.outcomes is not None
            given = self._own_baselines(names)
            references = reference_models(
                self.outcomes,
                rows.frame["ticker"],
                period,
                labels,
                classes=len(classes),
                horizon=self.horizon,
                word=self.grid.word,
            )
            columns = {
                f"{name}.{column}": values
                for name, own in references.probs.items()
                for column, values in zip(names, own.T, strict=True)
            }
            columns |= given
            frame = pd.concat([frame, pd.DataFrame(columns)], axis=1)
            rows.notes += [note for note in references.notes if f"{note.partition(':')[0]}.{names[0]}" not in given]
        predictions = Predictions(
            frame,
            classes,
            self.grid.frequency,
            self.horizon,
            rows.name,
            calendar=self.grid.calendar,
            without_probabilities=() if rows.form not in (SCORE, CLASS) else ("",),
        )
        return JudgedRows(predictions, rows.where, rows.columns.shape, rows.notes)

    def _own_baselines(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the columns of baselines that the file has, where it names its classes as STE does."""
        known = [name for name in self.rows.columns.baselines if name.partition(".")[2] in names]
        if known:
            own = ", ".join(dict.fromkeys(name.partition(".")[0] for name in known))
            self.rows.notes.append(f"baselines of the file: {own}")
        return {name: self.rows.frame[name].to_numpy(dtype=np.float64) for name in known}

    def _columns(self, classes: int, period: np.ndarray) -> np.ndarray:
        """Return the columns of classes, `[N, C]`."""
        rows = self.rows
        if rows.form == SCORE:
            how = "terciles of each date's scores" if self._cut == TERCILES else "the sign of the score"
            rows.notes.append(f"predicted classes: {how}; a score has no log-loss, Brier score or calibration")
            return columns_of_scores(rows.values, period, self._cut, classes)
        if rows.form == CLASS:
            rows.notes.append("predictions are classes: no log-loss, Brier score or calibration")
            return one_hot(rows.values, classes)
        return rows.values
