"""Predictions to CSV or Parquet, a chunk at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ste.schema import probability_names

CLASS, VERSION = "class", "model_version"


class Writer(Protocol):
    """Where tables of predictions go, one after the other."""

    def write(self, table: Any) -> None:
        """Append."""


class Layout:
    """The columns of a file of predictions: `date`, `ticker`, `class`, a probability for each class, `model_version`.

    Args:
        classes: names in the order of the probabilities.
        version: of the model.
    """

    def __init__(self, classes: list[str], version: str) -> None:
        self.classes = pa.array(classes)
        self.version = version
        self.schema = pa.schema(
            [
                ("date", pa.timestamp("ms")),
                ("ticker", pa.string()),
                (CLASS, pa.string()),
                *((name, pa.float32()) for name in probability_names(tuple(classes))),
                (VERSION, pa.string()),
            ]
        )

    def table(self, date: np.ndarray, ticker: Any, chances: np.ndarray) -> Any:
        """Predictions as an Arrow table.

        Args:
            date: datetime64[D] `[N]`.
            ticker: Arrow text `[N]`.
            chances: float32 `[N, C]`; the class is the likeliest, the first of equals.
        """
        said = self.classes.take(pa.array(chances.argmax(axis=1)))
        columns = [
            pa.array(date.astype("datetime64[ms]")),
            ticker,
            said,
            *(pa.array(np.ascontiguousarray(column)) for column in chances.T),
            pa.repeat(self.version, len(date)),
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)


@contextmanager
def open_writer(path: Path, final: Path, layout: Layout) -> Iterator[Writer]:
    """A writer into `path`, in the format and compression that the ending of `final` says."""
    if final.suffix == ".parquet":
        with pq.ParquetWriter(path, layout.schema) as writer:
            yield _ParquetWriter(writer)
    else:
        with pa.output_stream(str(path), compression="gzip" if final.suffix == ".gz" else None) as stream:
            yield _CsvWriter(stream, layout)


class _ParquetWriter:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, table: Any) -> None:
        """A row group."""
        self._writer.write_table(table)


class _CsvWriter:
    def __init__(self, stream: Any, layout: Layout) -> None:
        self._stream = stream
        self._stream.write((",".join(layout.schema.names) + "\n").encode())

    def write(self, table: Any) -> None:
        """Rows; text is quoted only where a ticker of the chunk needs it."""
        table = table.set_column(0, "date", table.column("date").cast(pa.date32()))
        tickers = table.column("ticker").unique()
        quoting = "needed" if any(set(',"\r\n') & set(name) for name in tickers.to_pylist()) else "none"
        options = pa.csv.WriteOptions(include_header=False, quoting_style=quoting, batch_size=8192)
        pa.csv.write_csv(table, self._stream, options)
