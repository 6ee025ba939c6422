"""Predict a table chunk by chunk: read, check, assemble windows, run the model, write."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ste.data.storage.files import atomic_file
from ste.errors import DataError
from ste.inference.batch.rejects import Reject, RejectFile
from ste.inference.batch.row_checks import CheckedRows, RowChecker
from ste.inference.batch.table_chunk import TableChunk, TableReader
from ste.inference.batch.ticker_history import OUT_OF_ORDER, REPEATED, TickerHistory, WindowEnds
from ste.inference.batch.writers import PredictionSchema, open_writer
from ste.inference.inputs import missing_columns
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.schema import KEYS, PERIOD

CHUNK = 65_536
"""Rows that are read at once."""
BATCH = 1024
"""Windows per call of the model."""

Advance = Callable[[int], None]
"""Called with the part of the work that is done."""


@dataclass
class RowCounts:
    """What became of the rows of a table.

    Attributes:
        predicted: rows with a prediction in the output.
        rejected: rows in the reject file.
        short: rows whose ticker had too few consecutive periods up to them.
    """

    predicted: int = 0
    rejected: int = 0
    short: int = 0

    def __add__(self, other: "RowCounts") -> "RowCounts":
        return RowCounts(self.predicted + other.predicted, self.rejected + other.rejected, self.short + other.short)


def check_columns(table: TableReader, card: ModelCard) -> None:
    """Raise `DataError` unless a table has every column that a model reads."""
    missing = [name for name in (*KEYS, *card.features) if name not in table.names]
    if missing:
        raise DataError(f"{table.where}: {missing_columns(missing, card)}")


def row_checker(table: TableReader, card: ModelCard) -> RowChecker:
    """Give the checker of the columns of a table that a model reads.

    Raises:
        DataError: the table does not have one of them.
    """
    check_columns(table, card)
    return RowChecker(list(card.feature_set.columns), table.where)


def predict_table(
    model: ServedModel,
    table: TableReader,
    output: Path,
    rejects: Path,
    advance: Advance = lambda done: None,
    earlier_rejects: list[Reject] | None = None,
    predictor: "ChunkPredictor | None" = None,
) -> RowCounts:
    """Predict every valid row of a table that has enough history, in the order of the table.

    Both files appear complete at the end, or not at all.

    Args:
        model: to predict with.
        table: read in chunks.
        output: predictions; the ending names the format.
        rejects: CSV file of the rejected rows.
        advance: called with the part of `table.size` that is done.
        earlier_rejects: rejects of the data that the table was computed from.
        predictor: of the table's chunks; None is a `ChunkPredictor`.

    Returns:
        Counts of the rows; `rejected` includes `earlier_rejects`.

    Raises:
        DataError: the table cannot be used.
    """
    predictor = predictor or ChunkPredictor(model, table)
    counts = predictor.counts
    with (
        atomic_file(output) as partial,
        atomic_file(rejects) as partial_rejects,
        partial_rejects.open("w", newline="", encoding="utf-8") as text,
        open_writer(partial, output, predictor.schema) as write,
    ):
        reject_file = RejectFile(text, multiple_files=table.multiple_files)
        reject_file.write(earlier_rejects or [])
        for chunk, done in table.chunks(predictor.columns, CHUNK):
            predictions, refused = predictor(chunk)
            if predictions is not None:
                write(predictions)
            reject_file.write(refused)
            advance(done)
        for predictions, refused in predictor.finish():
            write(predictions)
            reject_file.write(refused)
        counts.rejected = reject_file.count
    return counts


class ChunkPredictor:
    """Predicts the chunks of a table, which must come in order.

    Args:
        model: to predict with.
        table: that the chunks are of.

    Attributes:
        schema: of the predictions.
        columns: names of the columns to read.
        counts: of all chunks so far, except for the rejected rows.

    Raises:
        DataError: the table does not have a column that the model reads.
    """

    def __init__(self, model: ServedModel, table: TableReader) -> None:
        self._model = model
        self._check = row_checker(table, model.card)
        self._history = TickerHistory(model.card)
        self.schema = PredictionSchema(model.card.classes, model.version)
        self.columns = self._check.columns
        self.counts = RowCounts()

    def __call__(self, chunk: TableChunk) -> tuple[Any, list[Reject]]:
        """Predict the next chunk.

        Returns:
            Predictions in the order of the chunk as an Arrow table, None if there are none; and the rejected rows.
        """
        rows, rejects = self._check(chunk)
        ends = self._history.add(rows)
        for bad, reason in ((ends.out_of_order, OUT_OF_ORDER), (ends.repeated, REPEATED)):
            text = reason.format(PERIOD[self._model.card.frequency])
            rejects += [rows.reject(int(row), "date", str(rows.date[row]), text) for row in bad]
        predictions, not_finite = self._predict(rows, ends, chunk.file)
        return predictions, [*(reject._replace(file=chunk.file) for reject in rejects), *not_finite]

    def finish(self) -> Iterator[tuple[Any, list[Reject]]]:
        """Yield what the end of the table completes, as `__call__` does for a chunk."""
        yield from ()

    def _predict(self, rows: CheckedRows, ends: WindowEnds, file: str) -> tuple[Any, list[Reject]]:
        """Run the model on the windows; rows without a finite prediction are rejected."""
        self.counts.short += len(ends.short)
        if not len(ends.rows):
            return None, []
        windows = np.arange(len(ends.rows))
        shape = (-1, *self._model.card.shape)
        batches = (windows[start : start + BATCH] for start in range(0, len(windows), BATCH))
        probs = np.concatenate([self._model.probabilities(ends.features(at).reshape(shape)) for at in batches])
        at = ends.rows
        return self.result(rows.line[at], rows.date[at], rows.ticker.take(pa.array(at)), probs, file)

    def result(
        self, line: np.ndarray, date: np.ndarray, ticker: Any, probs: np.ndarray, file: str
    ) -> tuple[Any, list[Reject]]:
        """Count predictions and return them as an Arrow table, and rejects of the rows without a finite one.

        Args:
            line: of each row, see `Reject`, int64 `[E]`.
            date: datetime64[D] `[E]`.
            ticker: Arrow text `[E]`.
            probs: float32 `[E, C]`.
            file: that the lines are in.
        """
        finite = np.isfinite(probs).all(axis=1)
        self.counts.predicted += int(finite.sum())
        table = self.schema.table(date[finite], ticker.filter(pa.array(finite)), probs[finite])
        reason = "expected features that give a finite prediction; a value of the window is far out of range"
        bad = np.flatnonzero(~finite).tolist()
        return table, [Reject(int(line[i]), str(ticker[i]), str(date[i]), "", "", reason, file) for i in bad]
