"""The shape of a table by its header: rows of many tickers, of one, or tickers side by side."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ste.config.read_options import FIELDS, ReadOptions
from ste.data.bar_files.column_names import ColumnMap, field_of, is_date_name, map_columns, unknown_columns
from ste.data.bar_files.raw_table import RawTable
from ste.errors import DataError

_SEPARATORS = r"[._ |:/\\-]+"


@dataclass(frozen=True)
class Shape:
    """How the columns of a table become bars.

    Attributes:
        name: in words, for the summary.
        by_ticker: columns of each ticker; the key is None where a column or the file's name holds the ticker.
        ignored: names of columns that are not read.
    """

    name: str
    by_ticker: dict[str | None, ColumnMap]
    ignored: tuple[str, ...] = ()

    @property
    def has_ticker_column(self) -> bool:
        """Whether the rows name their ticker."""
        columns = self.by_ticker.get(None)
        return columns is not None and "ticker" in columns.positions


def shape_of(table: RawTable, options: ReadOptions) -> Shape:
    """Find the shape of a table.

    Raises:
        DataError: its columns are not those of bars; the message shows them and the line to type.
    """
    if len(table.header) > 1:
        return _side_by_side(table.header, table.where)
    header = table.header[0]
    found = map_columns(header, options, table.where)
    if not found.missing():
        several = "ticker" in found.positions
        name = "a row for each ticker and date" if several else "one ticker, named by the file"
        return Shape(name, {None: found}, found.ignored)
    if not options.columns and (levels := _split_names(header)):
        return _side_by_side(levels, table.where)
    if set(found.missing()) == set(FIELDS) and "date" in found.positions and "ticker" not in found.positions:
        raise DataError(
            f"{table.where}: holds one column for each of {', '.join(header[1:4])}, ..., but no open, high, low, close "
            "and volume. Give a folder with such a file for each of them: open.csv, high.csv, low.csv, close.csv, "
            "volume.csv."
        )
    raise unknown_columns(header, found, options, table.where)


def _side_by_side(header: Sequence[Sequence[str]], where: str) -> Shape:
    """Return the shape of a table whose header names a ticker and a field for each column.

    The levels may come in either order; a level of the index alone (`Date` and nothing else) is not read.
    """
    counts = [sum(field_of(name) is not None for name in level) for level in header]
    at = counts.index(max(counts))
    if not counts[at]:
        raise DataError(
            f"{where}: its {len(header)} header lines have no open, high, low, close or volume. Expected such names in "
            f"one of them; the first begins with {', '.join(header[0][:4])}."
        )
    fields = header[at]
    named = [level for number, level in enumerate(header) if number != at and any(name.strip() for name in level[1:])]
    tickers = named[0] if named else [""] * len(fields)
    dates = [number for number in range(len(fields)) if _is_index(header, number)]
    if not dates:
        raise DataError(f"{where}: no column of dates. Expected it to be the first column.")
    by_ticker: dict[str | None, ColumnMap] = {}
    ignored: dict[str, None] = {}
    for number, (name, ticker) in enumerate(zip(fields, tickers, strict=True)):
        field = field_of(name)
        if number in dates:
            continue
        if field is None or (named and not ticker.strip()):
            ignored[name] = None
            continue
        columns = by_ticker.setdefault(ticker.strip() or None, ColumnMap({"date": dates[0]}, ()))
        if field in columns.positions:
            raise DataError(f"{where}: two columns {name} of {ticker or 'one ticker'}. Expected one of each.")
        columns.positions[field] = number
    for one, columns in by_ticker.items():
        if columns.missing():
            raise DataError(
                f"{where}: {one or 'the table'} has no column for {', '.join(columns.missing())}. Expected open, "
                "high, low, close and volume of every ticker."
            )
    shape = f"tickers side by side in {len(header)} header lines" if len(header) > 1 else "tickers side by side"
    return Shape(shape if named else "one ticker, named by the file", by_ticker, tuple(ignored))


def _is_index(header: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column is the dates: named so in one level, and after nothing else but a level's name in the others."""
    names = [level[column].strip() for level in header]
    if any(name and is_date_name(name) and name.casefold() not in ("t", "index") for name in names):
        return True
    return column == 0 and all(field_of(name) is None or name.casefold() == "price" for name in names)


def _split_names(header: Sequence[str]) -> list[list[str]] | None:
    """Split names such as `AAPL.Open` or `Close_AAPL` into two levels; None where they are not such names."""
    levels: list[list[str]] = [[], []]
    known = 0
    for name in header:
        first, last = re.match(rf"^(.+?){_SEPARATORS}(.+)$", name), re.match(rf"^(.+){_SEPARATORS}(.+)$", name)
        for split in (last, first):
            if split and field_of(split[2]) and not field_of(split[1]):
                levels[0].append(split[2])
                levels[1].append(split[1])
                break
            if split and field_of(split[1]) and not field_of(split[2]):
                levels[0].append(split[1])
                levels[1].append(split[2])
                break
        else:
            levels[0].append(name)
            levels[1].append("")
            continue
        known += 1
    if known < len(FIELDS):
        return None
    return levels


def field_files(tables: Sequence[RawTable]) -> dict[str, RawTable] | None:
    """Return the tables by field where each file is named after one: `open.csv`, `close.csv` and so on; else None."""
    by_field = {name: table for table in tables if (name := field_of(table.stem)) and not _has_prices(table)}
    if len(by_field) == len(tables) and "close" in by_field:
        return by_field
    others = [table for table in tables if table not in by_field.values()]
    if set(FIELDS) <= set(by_field):
        raise DataError(
            f"{others[0].where}: is next to a file for each of open, high, low, close and volume, and none of them. "
            "Move it out of the folder."
        )
    return None


def _has_prices(table: RawTable) -> bool:
    """Whether a table has prices of its own: `C.csv` and `V.csv` may be tickers."""
    return sum(field_of(name) in FIELDS[:4] for level in table.header for name in level) >= len(FIELDS[:4])
