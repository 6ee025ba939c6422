"""Write predictions to CSV or Parquet, chunk by chunk."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ste.schema import probability_names

CLASS, VERSION = "class", "model_version"


class PredictionSchema:
    """The columns of predictions: `date`, `ticker`, `class`, a probability per class, `model_version`.

    Args:
        classes: names in the order of the probabilities, C of them.
        version: of the model.
    """

    def __init__(self, classes: list[str], version: str) -> None:
        self.classes = pa.array(classes)
        self.version = version
        self.arrow = pa.schema(
            [
                ("date", pa.timestamp("ms")),
                ("ticker", pa.string()),
                (CLASS, pa.string()),
                *((name, pa.float32()) for name in probability_names(tuple(classes))),
                (VERSION, pa.string()),
            ]
        )

    def table(self, date: np.ndarray, ticker: Any, probs: np.ndarray) -> Any:
        """Build an Arrow table of predictions.

        Args:
            date: datetime64[D] `[N]`.
            ticker: Arrow text `[N]`.
            probs: float32 `[N, C]`; the predicted class is the most likely one, the first of equals.
        """
        columns = [
            pa.array(date.astype("datetime64[ms]")),
            ticker,
            self.classes.take(pa.array(probs.argmax(axis=1))),
            *(pa.array(np.ascontiguousarray(column)) for column in probs.T),
            pa.repeat(self.version, len(date)),
        ]
        return pa.Table.from_arrays(columns, schema=self.arrow)


@contextmanager
def open_writer(path: Path, final: Path, schema: PredictionSchema) -> Iterator[Callable[[Any], None]]:
    """Give a function that appends an Arrow table to `path`, in the format that the ending of `final` names."""
    if final.suffix == ".parquet":
        with pq.ParquetWriter(path, schema.arrow) as writer:
            yield writer.write
    else:
        with pa.output_stream(str(path), compression="gzip" if final.suffix == ".gz" else None) as stream:
            stream.write((",".join(schema.arrow.names) + "\n").encode())
            yield lambda table: _write_csv(table, stream)


def _write_csv(table: Any, stream: Any) -> None:
    """Write rows without a header; text is quoted only if a ticker of the table needs it."""
    table = table.set_column(0, "date", table.column("date").cast(pa.date32()))
    tickers = table.column("ticker").unique()
    quoting = "needed" if any(set(',"\r\n') & set(name) for name in tickers.to_pylist()) else "none"
    pa.csv.write_csv(table, stream, pa.csv.WriteOptions(include_header=False, quoting_style=quoting, batch_size=8192))
