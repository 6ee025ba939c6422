"""Files of a real market in blocks of tickers: the bars are never whole in memory where their file is in order.

A Parquet file sorted by ticker is read in batches, cut between tickers. Any other file is read once, as columns
with numbers for names, and taken apart. A block gets the checks of `market_files` as plain arithmetic; where one
fails, the file is read whole and told by those in words.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ste.config import MarketSettings
from ste.data.sources.market_files import BAR_COLUMNS, Findings, adjusted_block, check_tickers, market_of, read_bars
from ste.data.storage.files import check_columns, read_frame
from ste.features.feature_rows import ticker_starts
from ste.market.daily import Market
from ste.market.ticker_groups import pieces

_BATCH, _BUFFER = 1 << 15, 1 << 18  # rows, and bytes of each column, that are read at once
_ADJUSTED = "adj_close"
_NUMBERS = (*BAR_COLUMNS[2:], _ADJUSTED)


def market_blocks(settings: MarketSettings, rows: int) -> Iterator[Market]:
    """The files of `data=market` in blocks of at most `rows` bars, see `sources.source_blocks`.

    Raises:
        DataError: as `market_files.read_market`, for a block's fault when the block is read.
    """
    notes: list[str] = []
    filled: list[str] = []
    others = market_of(pd.DataFrame(), settings, filled)
    news = None if others.news is None else _News(others.news)
    for bars in _bar_blocks(Path(settings.bars), settings.tickers, rows, notes):
        yield replace(others, bars=bars, news=None if news is None else news.of(bars["ticker"].dtype), notes=notes)
    notes += filled


class _News:
    """News by ticker."""

    def __init__(self, news: pd.DataFrame) -> None:
        self._news = news.astype({"ticker": "category"}).sort_values(["ticker", "date"], kind="stable")
        self._codes = self._news["ticker"].cat.codes.to_numpy()
        self._names = self._news["ticker"].cat.categories.to_numpy(dtype=object)

    def of(self, tickers: Any) -> pd.DataFrame:
        """The news of a block's tickers, its category."""
        names = tickers.categories
        span = [np.searchsorted(self._names, names[0]), np.searchsorted(self._names, names[-1], side="right")]
        first, last = np.searchsorted(self._codes, span)
        own = self._news.iloc[first:last]
        return own.assign(ticker=own["ticker"].astype(tickers)).reset_index(drop=True)


def _bar_blocks(path: Path, tickers: list[str] | None, rows: int, notes: list[str]) -> Iterator[pd.DataFrame]:
    """Bars on the adjusted scale, as `read_bars` has them, block by block."""
    raw = _in_order(path) or _taken_apart(path)
    if raw is None:
        yield from _blocks_of(read_bars(path, notes, tickers), rows)
        return
    check_tickers(tickers or [], set(raw.names), path)
    found = Findings()
    for names, counts, table in raw.pieces(rows):
        bars = _checked(names, counts, table, tickers, found)
        if bars is None:
            break
        if len(bars) and len(bars := adjusted_block(bars, found)):
            yield bars
    else:
        if found.traded:
            notes += found.notes()
            return
    read_bars(path, [], tickers)  # tells what is wrong, with all its lines
    raise AssertionError(f"{path}: a fault that the whole file does not show")


def _blocks_of(bars: pd.DataFrame, rows: int) -> Iterator[pd.DataFrame]:
    starts = ticker_starts(bars)
    for first, last in pieces(np.append(starts, len(bars)), rows):
        block = bars.iloc[first:last].reset_index(drop=True)
        yield block.astype({"ticker": "category"})


Piece = tuple[list[str], np.ndarray, pa.Table]
"""Some tickers' names, the number of rows of each, and the rows' other columns in that order."""


@dataclass(frozen=True)
class _Raw:
    """Bars of a file in the order of tickers, as they stand there.

    Attributes:
        names: of the tickers, sorted.
        counts: rows of each.
        read: of ranges of rows, one after the other, to their columns.
    """

    names: list[str]
    counts: np.ndarray
    read: Callable[[list[tuple[int, int]]], Iterator[pa.Table]]

    def pieces(self, rows: int) -> Iterator[Piece]:
        """Whole tickers with at most `rows` rows together, but for one that alone has more."""
        bounds = np.append(0, np.cumsum(self.counts))
        ranges = list(pieces(bounds, rows))
        for (first, last), table in zip(ranges, self.read(ranges), strict=True):
            own = slice(*np.searchsorted(bounds, (first, last)))
            yield self.names[own], self.counts[own], table


def _in_order(path: Path) -> _Raw | None:
    """A Parquet file with tickers in order, or None."""
    try:
        # Buffered streams: otherwise the columns of a whole row group are held at once.
        file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) if path.suffix == ".parquet" else None
        if file is None or not _is_plain(file.schema_arrow):
            return None
        names: list[str] = []
        counts: list[int] = []
        for batch in file.iter_batches(_BATCH, columns=["ticker"]):
            runs = pc.run_end_encode(batch.column(0).cast(pa.string()))
            lengths = np.diff(np.asarray(runs.run_ends), prepend=0).tolist()
            for name, count in zip(runs.values.to_pylist(), lengths, strict=True):
                if names and name == names[-1]:
                    counts[-1] += count
                elif name and (not names or name > names[-1]):
                    names.append(name)
                    counts.append(count)
                else:
                    return None
    except (pa.ArrowException, OSError):
        return None  # told by whoever reads it whole

    def read(ranges: list[tuple[int, int]]) -> Iterator[pa.Table]:
        batches = file.iter_batches(_BATCH, columns=_columns(file.schema_arrow.names))
        held: list[pa.RecordBatch] = []
        for first, last in ranges:
            while sum(map(len, held)) < last - first:
                held.append(next(batches))
            table = pa.Table.from_batches(held)
            yield table[: last - first]
            held = table[last - first :].to_batches()

    return _Raw(names, np.array(counts, dtype=np.int64), read) if names else None


def _taken_apart(path: Path) -> _Raw | None:
    """Any other file, read once, its rows in the order of tickers; None where a column is not what it should be."""
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(
                path, columns=["ticker", *_columns(pq.read_schema(path).names)], read_dictionary=["ticker"]
            )
        else:
            frame = read_frame(path)
            check_columns(frame, BAR_COLUMNS, path, strict=False)
            table = pa.Table.from_pandas(
                frame[["ticker", *_columns([str(name) for name in frame])]], preserve_index=False
            )
            dates = table["date"].cast(pa.date32())
            table = table.set_column(table.column_names.index("date"), "date", dates)
    except (pa.ArrowException, OSError, KeyError):
        return None
    if not len(table) or not _is_plain(table.schema):
        return None
    named = table["ticker"].combine_chunks().dictionary_encode()
    named = named.combine_chunks() if isinstance(named, pa.ChunkedArray) else named
    known = np.asarray(named.dictionary, dtype=object)
    codes = named.indices
    if codes.null_count or (known == "").any():
        return None
    by_name = np.argsort(known)
    ranks = np.argsort(by_name)[codes.to_numpy()]
    order = np.argsort(ranks, kind="stable")
    table = table.drop_columns("ticker").combine_chunks()

    def read(ranges: list[tuple[int, int]]) -> Iterator[pa.Table]:
        for first, last in ranges:
            yield table.take(pa.array(order[first:last]))

    return _Raw(known[by_name].tolist(), np.bincount(ranks), read)


def _columns(names: Sequence[str]) -> list[str]:
    return [name for name in ("date", *_NUMBERS) if name != _ADJUSTED or _ADJUSTED in names]


def _is_plain(schema: pa.Schema) -> bool:
    """Whether the columns are there, of types whose values need no reading of words."""
    names = ["ticker", *_columns(schema.names)]
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    if any(schema.names.count(name) != 1 or name in index for name in names):
        return False
    ticker, date = schema.field("ticker").type, schema.field("date").type
    text = ticker.value_type if pa.types.is_dictionary(ticker) else ticker
    days = pa.types.is_date32(date) or (pa.types.is_timestamp(date) and date.tz is None)
    numbers = (schema.field(name).type for name in names[2:])
    return (
        (pa.types.is_string(text) or pa.types.is_large_string(text))
        and days
        and all(pa.types.is_integer(number) or pa.types.is_floating(number) for number in numbers)
    )


def _checked(
    names: list[str], counts: np.ndarray, table: pa.Table, tickers: list[str] | None, found: Findings
) -> pd.DataFrame | None:
    """A piece sorted by ticker and date, rows without a price or volume left out; None where a value is impossible."""
    wanted = np.ones(len(names), dtype=bool) if tickers is None else np.isin(names, tickers)
    code = np.repeat(np.arange(len(names)), counts)
    values = {
        name: table[name].to_numpy().astype(np.float64, copy=False) for name in table.column_names if name != "date"
    }
    dates = table["date"].cast(pa.timestamp("ns")).to_numpy()
    keep = wanted[code]
    empty = keep & np.logical_or.reduce([np.isnan(column) for column in values.values()])
    found.empty += int(empty.sum())
    keep &= ~empty
    order = np.flatnonzero(keep)
    if not ((np.diff(code[order]) > 0) | (np.diff(dates[order]) > np.timedelta64(0))).all():
        order = order[np.lexsort((dates[order], code[order]))]
    code, dates = code[order], dates[order]
    values = {name: column[order] for name, column in values.items()}
    twice = (np.diff(code) == 0) & (np.diff(dates) == np.timedelta64(0))
    fault = (
        np.isnat(dates).any()
        or (dates.astype("datetime64[D]") != dates).any()
        or twice.any()
        or any(not (np.isfinite(column) & (column > 0)).all() for name, column in values.items() if name != "volume")
        or not (np.isfinite(values["volume"]) & (values["volume"] >= 0)).all()
        or (values["high"] < values["low"] * (1 - 1e-6)).any()
    )
    if fault:
        return None
    ticker = pd.Categorical.from_codes(code, dtype=pd.CategoricalDtype(names))
    return pd.DataFrame({"ticker": ticker, "date": dates, **values}, copy=False)
