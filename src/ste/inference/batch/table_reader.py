"""Open a table on disk by its kind."""

from pathlib import Path

from ste.errors import DataError
from ste.inference.batch.csv_reader import CsvReader
from ste.inference.batch.parquet_reader import ParquetReader
from ste.inference.batch.table_chunk import TableReader


def open_table(path: Path) -> TableReader:
    """Open a CSV file (compressed or not), a Parquet file (`.parquet`) or a folder of Parquet files.

    Raises:
        DataError: the table cannot be read, or its header repeats a name.
    """
    table: TableReader = ParquetReader(path) if path.is_dir() or path.suffix == ".parquet" else CsvReader(path)
    repeated = sorted({name for name in table.names if table.names.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: the header names {', '.join(repeated[:5])} twice. Expected each column once.")
    return table
