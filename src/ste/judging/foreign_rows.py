"""Rows of a file of predictions: dates, tickers, what is predicted, and the outcomes that the file has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config.file_locations import stem_of
from ste.config.judge_settings import JudgeSettings
from ste.errors import DataError
from ste.judging.class_words import as_word, trend_of, words_of_classes
from ste.judging.column_values import (
    class_codes,
    class_words,
    dates_of,
    distinct_values,
    holds_classes,
    names_of,
    numbers_of,
    probabilities_of,
)
from ste.judging.prediction_columns import PredictionColumns, find_prediction_columns
from ste.judging.prediction_table import PredictionTable

PROBABILITIES, SCORE, CLASS = "probabilities", "score", "class"
ONE_SERIES = "series"
"""Ticker of a file without one."""

LEFT_OUT = {
    "untrusted": "with do_predict other than 1",
    "other_split": "of another split than test, or validation without one,",
    "unpredicted": "without a prediction",
}
"""Columns of `ForeignRows.frame` that mark rows which are not scored, and why; their outcomes count."""

_LABEL_NUMBERS = {2: (("0", "1"), ("-1", "1"), ("0", "2")), 3: (("0", "1", "2"), ("-1", "0", "1"), ("1", "2", "3"))}


@dataclass(eq=False)
class ForeignRows:
    """Predictions of N rows as a tool wrote them.

    Attributes:
        where: file, for messages.
        name: to print.
        form: `probabilities`, `score` or `class`.
        frame: `date` (datetime64[ns]), `ticker`, and as far as the file has them `label` (index of the class, -1 is
            none), `return`, `close`, `cutoff`, the columns
            of baselines and those of `LEFT_OUT`.
        values: probabilities `[N, C]`, scores `[N]`, or indices of classes `[N]`.
        classes: names in the file, from fall to rise; empty for a score.
        columns: which column is which.
        notes: what was left out or assumed, with a number and a first example.
    """

    where: str
    name: str
    form: str
    frame: pd.DataFrame
    values: np.ndarray
    classes: tuple[str, ...]
    columns: PredictionColumns
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.frame)

    def leave_out(self, rows: np.ndarray, why: str) -> None:
        """Leave rows out, bool `[N]`, and note their number and the first one.

        Args:
            rows: which ones.
            why: completes "rows ...", such as `without a prediction`.
        """
        if not rows.any():
            return
        first = self.frame.iloc[int(np.argmax(rows))]
        of = f"{first['ticker']} {first['date']:%Y-%m-%d}"
        self.notes.append(f"{rows.sum():,} rows {why} left out (first: {of})")
        if rows.all():
            raise DataError(f"{self.where}: all {len(rows):,} rows are {why}. Expected predictions to judge.")
        self.frame = self.frame[~rows].reset_index(drop=True)
        self.values = self.values[~rows]


def read_foreign_rows(what: str, settings: JudgeSettings, key: str = "predictions") -> ForeignRows:
    """Read a file of predictions.

    Args:
        what: path, as typed.
        settings: names of columns and classes.
        key: the setting, for messages.

    Raises:
        DataError: a file or value that cannot be used.
    """
    table = PredictionTable.open(what, key)
    found = find_prediction_columns(
        table.header, settings.columns, table.where, has_returns=settings.returns is not None
    )
    text = {found.at[name] for name in ("date", "ticker", "cutoff", "split") if name in found.at}
    needed = [*found.at.values(), *found.classes.values(), *found.wide.values(), *found.baselines.values()]
    cells = table.read([*needed, *([] if found.predicted is None else [found.predicted])], text)
    reader = _Reader(table, found, cells, settings)
    frame = reader.keys()
    form, values, classes = reader.predicted()
    rows = ForeignRows(table.where, stem_of(Path(what)), form, frame, values, classes, found, reader.notes)
    if found.wide:
        _melt(rows, list(found.wide))
    reader.add_outcomes(rows)
    frame = rows.frame
    if "do_predict" in found.at:
        trusted = numbers_of(cells[found.at["do_predict"]], "do_predict", table.where, is_csv=reader.is_csv)
        frame["untrusted"] = trusted != 1
    if "split" in found.at:
        split = pd.Series(cells[found.at["split"]].to_pandas())
        chosen = next((name for name in ("test", "validation") if (split == name).any()), None)
        frame["other_split"] = chosen is not None and (split != chosen).to_numpy()
    frame["unpredicted"] = _without_value(rows)
    return rows


@dataclass
class _Reader:
    """Reads the columns of one table."""

    table: PredictionTable
    found: PredictionColumns
    cells: Mapping[int, Any]
    settings: JudgeSettings
    notes: list[str] = field(default_factory=list)

    @property
    def is_csv(self) -> bool:
        """Whether rows are lines of text."""
        return self.table.source is None

    def keys(self) -> pd.DataFrame:
        """Return date and ticker of each row."""
        where, at, header = self.table.where, self.found.at, self.table.header
        options = self.settings.read_options()
        frame: dict[str, Any] = {}
        for name in ("date", "cutoff"):
            if name in at:
                frame[name] = dates_of(self.cells[at[name]], header[at[name]], where, options, is_csv=self.is_csv)
        if "ticker" in at:
            frame["ticker"] = names_of(self.cells[at["ticker"]], header[at["ticker"]], where, is_csv=self.is_csv)
        elif not self.found.wide:
            frame["ticker"] = pd.Categorical([ONE_SERIES]).repeat(len(frame["date"]))
        frame |= {name: self._numbers(number) for name, number in self.found.baselines.items()}
        return pd.DataFrame(frame)

    def predicted(self) -> tuple[str, np.ndarray, tuple[str, ...]]:
        """Return the form of the predictions, their values and the names of the classes."""
        where, header = self.table.where, self.table.header
        if self.found.classes:
            return self._probabilities()
        if self.found.wide:
            columns = [self._numbers(number) for number in self.found.wide.values()]
            return SCORE, np.stack(columns, axis=1), ()
        assert self.found.predicted is not None
        cells, name = self.cells[self.found.predicted], header[self.found.predicted]
        is_class = self.found.must_be_class or (not self.found.must_score and holds_classes(cells))
        if not is_class or self._is_score_name(name):
            return SCORE, self._numbers(self.found.predicted), ()
        words = self._words_with_labels(cells, name)
        return CLASS, class_codes(cells, words, name, where), words

    def _is_score_name(self, name: str) -> bool:
        return name.strip().lower() in ("score", "alpha") and not self.found.must_be_class

    def _words_with_labels(self, cells: Any, name: str) -> tuple[str, ...]:
        """Return the classes of predictions and labels together: a model need not predict all of them."""
        words = distinct_values(cells)
        if "label" in self.found.at and holds_classes(self.cells[self.found.at["label"]]):
            words = sorted({*words, *distinct_values(self.cells[self.found.at["label"]])})
        try:
            return words_of_classes(words, self.settings.classes, f"{self.table.where}: column {name}")
        except DataError:  # labels are written in another way
            return class_words(cells, self.settings.classes, name, self.table.where)

    def _probabilities(self) -> tuple[str, np.ndarray, tuple[str, ...]]:
        where, classes = self.table.where, dict(self.found.classes)
        columns = {self.table.header[number]: self._numbers(number) for number in classes.values()}
        if len(classes) == 1:  # the probability of a rise, as tools write it for two classes
            word, (name, rise) = next(iter(classes)), next(iter(columns.items()))
            if trend_of(word) == 0:
                raise DataError(f"{where}: has only the probability of a fall, {name}. Expected one of a rise too.")
            probs, _ = probabilities_of({f"1 - {name}": 1.0 - rise, name: rise}, where, is_csv=self.is_csv)
            return PROBABILITIES, probs, ("down", "up")
        ordered = self._class_order(list(classes))
        index = {as_word(name): position for position, name in enumerate(classes)}
        names = list(columns)
        sorted_columns = {names[index[word]]: columns[names[index[word]]] for word in ordered}
        probs, rescaled = probabilities_of(sorted_columns, where, is_csv=self.is_csv)
        if rescaled:
            self.notes.append(f"{rescaled:,} rows of probabilities rescaled to a sum of 1, which rounding had changed")
        return PROBABILITIES, probs, ordered

    def _class_order(self, names: Sequence[str]) -> tuple[str, ...]:
        five = ("strong downtrend", "downtrend", "neutral", "uptrend", "strong uptrend")
        spaced = {as_word(name).replace("_", " "): as_word(name) for name in names}
        if set(spaced) <= set(five) and len(spaced) in (2, 4, 5):
            return tuple(spaced[name] for name in five if name in spaced)
        words = words_of_classes(names, self.settings.classes, f"{self.table.where}: columns of probabilities")
        missing = [word for word in words if word not in set(map(as_word, names))]
        if missing:
            raise DataError(
                f"{self.table.where}: has probabilities of {', '.join(names)}, none of {missing[0]}. Expected a column "
                "for each class."
            )
        return words

    def add_outcomes(self, rows: ForeignRows) -> None:
        """Add the labels, returns and closes that the file has."""
        at = self.found.at
        for name in ("return", "close"):
            if name in at and name != "label":
                rows.frame[name] = self._numbers(at[name])
        if "label" not in at:
            return
        cells, header = self.cells[at["label"]], self.table.header[at["label"]]
        if not holds_classes(cells):
            if "return" not in at:
                rows.frame["return"] = self._numbers(at["label"])
            return
        words = rows.classes or class_words(cells, self.settings.classes, header, self.table.where)
        rows.frame["label"] = label_codes(cells, words, self.settings.classes, header, self.table.where)
        if not rows.classes:
            rows.classes = words

    def _numbers(self, number: int) -> np.ndarray:
        return numbers_of(self.cells[number], self.table.header[number], self.table.where, is_csv=self.is_csv)


def label_codes(cells: Any, words: Sequence[str], stated: Sequence[str] | None, name: str, where: str) -> np.ndarray:
    """Return the class of each label as an index of `words`, int64 `[N]`; -1 where a cell is empty.

    Labels may be written as the classes are, as numbers in their order, or as other names of fall, neutral and rise.
    """
    found = {word for word in distinct_values(cells) if word not in ("", "nan")}
    if found <= set(words):
        return class_codes(cells, words, name, where)
    for numbers in _LABEL_NUMBERS.get(len(words), (tuple(map(str, range(len(words)))),)):
        if found <= set(numbers):
            return class_codes(cells, numbers, name, where)
    other = words_of_classes(found, stated, f"{where}: column {name}")
    if len(other) != len(words):
        raise DataError(
            f"{where}: column {name}: found the classes {', '.join(other)}. Expected those of the predictions, "
            f"{', '.join(words)}."
        )
    return class_codes(cells, other, name, where)


def _melt(rows: ForeignRows, tickers: Sequence[str]) -> None:
    """Turn forecasts of K tickers side by side into a row for each date and ticker."""
    dates = rows.frame["date"].to_numpy()
    codes = np.tile(np.arange(len(tickers)), len(dates))
    names = pd.Categorical.from_codes(codes, categories=pd.Index(list(tickers), dtype=object))
    rows.frame = pd.DataFrame({"date": np.repeat(dates, len(tickers)), "ticker": names})
    rows.values = rows.values.reshape(-1)


def _without_value(rows: ForeignRows) -> np.ndarray:
    """Return which rows have no prediction, bool `[N]`."""
    if rows.form == CLASS:
        return rows.values < 0
    return np.isnan(rows.values) if rows.values.ndim == 1 else np.isnan(rows.values).any(axis=1)


def check_repeats(rows: ForeignRows, period: np.ndarray, unit: str) -> None:
    """Raise `DataError` where a ticker has two rows in a period.

    Args:
        rows: of the file.
        period: index of each row's period, int64 `[N]`.
        unit: of a period in words.
    """
    codes = pd.Categorical(rows.frame["ticker"]).codes.astype(np.int64)
    keys = (period - period.min()) * (codes.max() + 1) + codes
    repeated = pd.Series(keys).duplicated().to_numpy()
    if repeated.any():
        first = rows.frame.iloc[int(np.argmax(repeated))]
        raise DataError(
            f"{rows.where}: {first['ticker']} has two predictions in the {unit} of {first['date']:%Y-%m-%d} "
            f"({repeated.sum():,} such rows). "
            f"Expected one row for each ticker and {unit}. Is the ticker in another column (columns={{ticker: NAME}}), "
            "or frequency= another?"
        )
