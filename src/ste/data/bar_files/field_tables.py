"""Wide tables: a file for each field, with a column for each ticker."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from ste.config.read_options import FIELDS, ReadOptions
from ste.data.bar_files.bar_part import BarPart
from ste.data.bar_files.column_names import is_date_name
from ste.data.bar_files.date_cells import to_times
from ste.data.bar_files.number_cells import to_floats
from ste.data.bar_files.raw_table import RawTable
from ste.data.bar_files.table_cells import read_cells
from ste.errors import DataError


def field_part(tables: Mapping[str, RawTable], where: str, options: ReadOptions) -> BarPart:
    """Join wide tables to bars; a day of a ticker without any value is no row.

    Args:
        tables: by field.
        where: folder of them, for messages.
        options: how to read dates and numbers.

    Raises:
        DataError: a field has no file, or a file cannot be read.
    """
    missing = [name for name in FIELDS if name not in tables]
    if missing:
        raise DataError(
            f"{where}: has no file for {', '.join(missing)} next to {', '.join(sorted(tables))}. Expected open, high, "
            "low, close and volume, each with a column for each ticker."
        )
    wide = {name: _wide(table, options) for name, table in tables.items()}
    stacked = {name: frame.stack() for name, frame in wide.items()}
    joined = (
        pd.DataFrame(stacked).reset_index(names=["day", "ticker"]).sort_values(["ticker", "day"], ignore_index=True)
    )
    values = {name: joined[name].to_numpy(dtype=np.float64) for name in tables}
    return BarPart(
        where=where,
        ticker=pa.array(joined["ticker"], pa.string()),
        day=joined["day"].to_numpy().astype("datetime64[D]"),
        time=None,
        values=values,
        missing=np.any([np.isnan(column) for column in values.values()], axis=0),
        raw={
            "date": pa.array(joined["day"].dt.strftime("%Y-%m-%d")),
            **{name: pa.array(one) for name, one in values.items()},
        },
        line=np.arange(1, len(joined) + 1),
    )


def _wide(table: RawTable, options: ReadOptions) -> pd.DataFrame:
    header = [name.strip() for name in table.header[-1]]
    dates = [at for at, name in enumerate(header) if is_date_name(name) and name.casefold() != "t"] or [0]
    tickers = [at for at in range(len(header)) if at != dates[0]]
    names = [header[at] for at in tickers]
    if len(set(names)) < len(names):
        raise DataError(f"{table.where}: two columns of one ticker. Expected one column for each.")
    cells, mark = read_cells(table, {"date": dates[0]} | dict(zip(names, tickers, strict=True)), names, options)
    times = to_times(cells["date"], f"{table.where}: column date", options)
    if np.isnat(times.day).any() or len(np.unique(times.day)) < len(times.day):
        raise DataError(f"{table.where}: a date is missing, unreadable or there twice. Expected one row for each day.")
    columns = {name: to_floats(cells[name], mark) for name in names}
    return pd.DataFrame(columns, index=times.day.astype("datetime64[ns]"))
