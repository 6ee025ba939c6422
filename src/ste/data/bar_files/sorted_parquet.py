"""Stream a Parquet file that is sorted by ticker, so that its bars need not fit in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ste.config.read_options import ReadOptions
from ste.data.bar_files.bar_part import BarPart, read_part
from ste.data.bar_files.raw_table import ArrowTable
from ste.data.bar_files.table_shapes import Shape
from ste.errors import DataError
from ste.market.ticker_groups import ticker_ranges

_BATCH, _BUFFER = 1 << 15, 1 << 18  # rows, and bytes of each column, in one read


@dataclass(frozen=True)
class SortedParquet:
    """A Parquet file sorted by ticker.

    Attributes:
        path: of the file.
        counts: rows of each ticker, in the file's order.
        shape: of its columns.
        options: how to read.
        max_rows: bars in one part.
    """

    path: Path
    counts: dict[str, int]
    shape: Shape
    options: ReadOptions
    max_rows: int

    @property
    def tickers(self) -> set[str | None]:
        """Names of the tickers."""
        return set(self.counts)

    def parts(self) -> Iterator[BarPart]:
        """Yield the bars of complete tickers."""
        try:
            yield from self._parts()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path}: cannot be read ({str(error).splitlines()[0]}).") from None

    def _parts(self) -> Iterator[BarPart]:
        columns = self.shape.by_ticker[None]
        bounds = np.cumsum([0, *self.counts.values()])
        # Buffered streams: otherwise the columns of a complete row group are in memory at once.
        with pq.ParquetFile(self.path, buffer_size=_BUFFER, pre_buffer=False) as file:
            names = file.schema_arrow.names
            used = {name: names[at] for name, at in columns.positions.items()}
            order = list(dict.fromkeys(used.values()))
            here = replace(columns, positions={name: order.index(column) for name, column in used.items()})
            batches = file.iter_batches(_BATCH, columns=order)
            pending: list[pa.RecordBatch] = []
            if file.metadata.num_rows != bounds[-1]:
                raise DataError(f"{self.path}: changed while it was read. Run again when it is complete.")
            for first, last in ticker_ranges(bounds, self.max_rows):
                while sum(map(len, pending)) < last - first:
                    pending.append(next(batches))
                table = pa.Table.from_batches(pending).select(order)
                pending = table[last - first :].to_batches()
                cells = [column.combine_chunks() for column in table[: last - first].columns]
                raw = ArrowTable(str(self.path), self.path.stem, [order], cells, first_line=first + 1)
                yield read_part(raw, here, None, self.options)


def sorted_parts(path: Path, shape: Shape, options: ReadOptions, max_rows: int) -> SortedParquet | None:
    """Return a Parquet file as a stream; None where it is no Parquet file or not sorted by ticker.

    Args:
        path: of the file.
        shape: of its columns, with one of tickers.
        options: how to read.
        max_rows: bars in one part; a ticker with more has a part of its own.
    """
    if not path.is_file() or options.aggregate or path.suffix.lower() not in (".parquet", ".pq"):
        return None
    counts: dict[str, int] = {}
    last = ""
    try:
        with pq.ParquetFile(path) as file:
            column = file.schema_arrow.names[shape.by_ticker[None].positions["ticker"]]
            for batch in file.iter_batches(_BATCH, columns=[column]):
                runs = pc.run_end_encode(batch.column(0).cast(pa.string()))
                lengths = np.diff(np.asarray(runs.run_ends), prepend=0).tolist()
                for name, length in zip(runs.values.to_pylist(), lengths, strict=True):
                    if not name or name < last or name != name.strip():
                        return None
                    counts[name] = counts.get(name, 0) + length
                    last = name
    except (pa.ArrowException, OSError, IndexError):
        return None  # the reader of complete files reports the fault
    return SortedParquet(path, counts, shape, options, max_rows)
