"""The loop: read a chunk, check it, carry history, ask the model, write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ste.data.column_rules import Rule, high_and_low, rules
from ste.data.storage.files import whole_file
from ste.errors import DataError
from ste.inference.batch.rejects import Reject, RejectFile
from ste.inference.batch.row_checks import Checker, Rows
from ste.inference.batch.table_reader import Chunk, Table
from ste.inference.batch.ticker_history import LATE, TWICE, Ends, History
from ste.inference.batch.writers import Layout, Writer, open_writer
from ste.inference.inputs import missing_columns
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.market.calendar import periods
from ste.schema import FEATURE_SETS, KEYS, PERIOD, Column

CHUNK = 65_536
"""Rows that are read at once."""
BATCH = 1024
"""Windows that the model is asked at once."""

Advance = Callable[[int], None]


@dataclass
class Tally:
    """What became of the rows.

    Attributes:
        predicted: rows with a prediction in the output.
        rejected: rows in the reject file.
        short: rows whose ticker had too few consecutive periods by then.
        passed: rows that were not asked for, being older than the newest period.
    """

    predicted: int = 0
    rejected: int = 0
    short: int = 0
    passed: int = 0

    @property
    def rows(self) -> int:
        """All that were read."""
        return self.predicted + self.rejected + self.short + self.passed


def checker_of(table: Table, card: ModelCard) -> Checker:
    """The contract of a model's tables.

    Raises:
        DataError: a column that the model reads is not there.
    """
    missing = [name for name in (*KEYS, *card.features) if name not in table.names]
    if missing:
        raise DataError(f"{table.where}: {missing_columns(missing, card)}")
    known = {column.name: column for kind in FEATURE_SETS.values() for column in kind.columns}
    asked: dict[str, tuple[Rule, ...]] = {name: rules(known.get(name, Column(name, ""))) for name in card.features}
    ordered = high_and_low(asked)
    return Checker(asked, ordered if asked.keys() >= set(ordered) else None, table.where)


def predict_table(
    model: ServedModel,
    table: Table,
    output: Path,
    rejects: Path,
    advance: Advance = lambda done: None,
    only: int | None = None,
    before: list[Reject] | None = None,
) -> Tally:
    """Predict every row of a table that holds and has the history, in its own order.

    Both files appear whole at the end, or not at all.

    Args:
        model: asked.
        table: read in chunks.
        output: predictions, by its ending.
        rejects: CSV of the rows left out.
        advance: told how much of `table.size` is done.
        only: number of the period to predict; None is all.
        before: rejects of what the table was made of.

    Returns:
        What became of the rows; `rejected` counts `before` too.

    Raises:
        DataError: the file as a whole cannot be used.
    """
    predictor = Predictor(model, table, only)
    tally = predictor.tally
    with written(output, rejects, predictor.layout, table, before) as (writer, refused):
        for chunk, done in table.chunks(predictor.columns, CHUNK):
            answer = predictor(chunk)
            if answer.table is not None:
                writer.write(answer.table)
            refused.write(answer.rejects)
            advance(done)
        tally.rejected = refused.count
    return tally


@contextmanager
def written(
    output: Path, rejects: Path, layout: Layout, table: Table, before: list[Reject] | None = None
) -> Iterator[tuple[Writer, RejectFile]]:
    """Both files, to be written to; they appear whole at the end, or not at all."""
    with (
        whole_file(output) as partial,
        whole_file(rejects) as partial_rejects,
        partial_rejects.open("w", newline="", encoding="utf-8") as text,
        open_writer(partial, output, layout) as writer,
    ):
        refused = RejectFile(text, table.several)
        refused.write(before or [])
        yield writer, refused


@dataclass(frozen=True)
class Answer:
    """What a chunk came to.

    Attributes:
        table: predictions in the chunk's own order, or None where nothing was asked for.
        line: int64, of each (see `Reject`).
        rejects: rows left out.
    """

    table: Any
    line: np.ndarray
    rejects: list[Reject]


class Predictor:
    """Chunks of a table in, one after the other, predictions out.

    Args:
        model: asked.
        table: that the chunks are of.
        only: number of the period to predict; None is all.

    Attributes:
        layout: of the predictions.
        columns: that it reads.
        tally: of all chunks so far, but for the rejects.

    Raises:
        DataError: a column that the model reads is not there.
    """

    def __init__(self, model: ServedModel, table: Table, only: int | None = None) -> None:
        self._model, self._only = model, only
        self._check = checker_of(table, model.card)
        self._history = History(model.card)
        self.layout = Layout(model.card.classes, model.version)
        self.columns = self._check.columns
        self.tally = Tally()

    def __call__(self, chunk: Chunk) -> Answer:
        """The chunk after those before."""
        rows, faults = self._check(chunk)
        ends = self._history.take(rows)
        for bad, why in ((ends.late, LATE), (ends.twice, TWICE)):
            reason = why.format(PERIOD[self._model.card.frequency])
            faults += [rows.reject(int(row), "date", str(rows.date[row]), reason) for row in bad]
        table, at, infinite = self._predict(rows, ends)
        faults += infinite
        return Answer(table, rows.line[at], [fault._replace(file=chunk.file) for fault in faults])

    def _predict(self, rows: Rows, ends: Ends) -> tuple[Any, np.ndarray, list[Reject]]:
        """Predictions, the positions of their rows, and the rows that the model has no answer for."""
        short, wanted, only = ends.short, np.ones(len(ends.rows), dtype=bool), self._only
        if only is not None:
            number = periods(rows.date, self._model.card.frequency)
            wanted = number[ends.rows] == only
            self.tally.passed += int((~wanted).sum() + (number[short] != only).sum())
            short = short[number[short] == only]
        self.tally.short += len(short)
        asked = np.flatnonzero(wanted)
        if not len(asked):
            return None, asked, []
        shape = (-1, *self._model.card.shape)
        parts = [
            self._model.probabilities(ends.features(asked[start : start + BATCH]).reshape(shape))
            for start in range(0, len(asked), BATCH)
        ]
        chances, at = np.concatenate(parts), ends.rows[asked]
        finite = np.isfinite(chances).all(axis=1)
        self.tally.predicted += int(finite.sum())
        table = self.layout.table(rows.date[at[finite]], rows.ticker.take(pa.array(at[finite])), chances[finite])
        reason = "expected features that the model has a finite answer for; a value of the window is far out of range"
        return table, at[finite], [rows.reject(int(row), "", "", reason) for row in at[~finite]]
