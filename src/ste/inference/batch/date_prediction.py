"""Predict a table date by date, with a model that reads all tickers of a date.

A table is in any order of the tickers, so that a date is complete only at its end. The feature values of all rows go to
a temporary file, about 4 F bytes a row; memory holds some 60 bytes a row, and the values of one batch of dates.
"""

import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ste.data.windows import MAX_EXAMPLES, gather_windows
from ste.inference.batch.prediction_loop import ChunkPredictor
from ste.inference.batch.rejects import Reject
from ste.inference.batch.row_checks import CheckedRows
from ste.inference.batch.table_chunk import TableReader
from ste.inference.batch.ticker_history import WindowEnds
from ste.inference.by_date import predict_in_batches
from ste.inference.onnx_model import ServedModel


class _Chunk(NamedTuple):
    """The windows that end in a chunk, without their values."""

    line: np.ndarray
    date: np.ndarray
    ticker: Any
    period: np.ndarray
    at: np.ndarray  # position in the temporary file of the last row
    file: str


class DatePredictor(ChunkPredictor):
    """Predicts the chunks of a table at their end: `finish` gives what `ChunkPredictor` gives for each chunk.

    Rows that are rejected, and those with too few periods, are absent from their date, as in training. Rows without a
    finite prediction are rejected after all others.
    """

    def __init__(self, model: ServedModel, table: TableReader) -> None:
        super().__init__(model, table)
        self._values = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the predictor
        self._written = 0
        self._chunks: list[_Chunk] = []

    def _predict(self, rows: CheckedRows, ends: WindowEnds, file: str) -> tuple[Any, list[Reject]]:
        self.counts.short += len(ends.short)
        self._values.write(ends.values.tobytes())
        at, ticker = ends.rows, rows.ticker.take(pa.array(ends.rows))
        period = np.asarray(self._model.card.periods.index(rows.date[at]))
        self._chunks.append(_Chunk(rows.line[at], rows.date[at], ticker, period, ends.at + self._written, file))
        self._written += len(ends.values)
        return None, []

    def finish(self) -> Iterator[tuple[Any, list[Reject]]]:
        """Predict all chunks; yields the predictions of each in the order of the table, and its rejects."""
        card = self._model.card
        if not self._written:
            return
        self._values.flush()
        values = np.memmap(self._values, np.float32, "r", shape=(self._written, len(card.features)))
        period, ends = (np.concatenate([getattr(one, name) for one in self._chunks]) for name in ("period", "at"))

        def gather(rows: np.ndarray) -> np.ndarray:
            return gather_windows(values, ends[rows], card.sequence_length).reshape(-1, *card.shape)

        probs = predict_in_batches(self._model, period, gather, MAX_EXAMPLES)
        parts = np.split(probs, np.cumsum([len(one.at) for one in self._chunks])[:-1])
        for chunk, own in zip(self._chunks, parts, strict=True):
            yield self.result(chunk.line, chunk.date, chunk.ticker, own, chunk.file)
        self._values.close()
