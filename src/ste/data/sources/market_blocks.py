"""Read the files of a real market in blocks of tickers, so that the bars need not fit in memory.

A Parquet file sorted by ticker is read in batches that are cut between tickers. Any other file is read at once by
`market_files.read_bars`. So is a file of which a block breaks a rule: `read_bars` reports the lines.
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
from ste.data.columns import find_violations
from ste.data.sources.market_files import bar_numbers, check_tickers, market_of_bars, read_bars
from ste.market.bar_adjustment import BarSummary, adjusted_block
from ste.market.sources import Market
from ste.market.ticker_groups import ticker_ranges, ticker_starts

_BATCH, _BUFFER = 1 << 15, 1 << 18  # rows, and bytes of each column, in one read


def market_blocks(settings: MarketSettings, max_rows: int) -> Iterator[Market]:
    """Yield the files of `data=market` in blocks of at most `max_rows` bars, see `daily_sources.source_blocks`.

    Raises:
        DataError: as `market_files.read_market`; a block's fault is raised when the block is read.
    """
    notes: list[str] = []
    filled: list[str] = []
    others = market_of_bars(pd.DataFrame(), settings, filled)
    news = None if others.news is None else _NewsByTicker(others.news)
    for bars in _bar_blocks(Path(settings.bars), settings.tickers, max_rows, notes):
        own = None if news is None else news.select(bars["ticker"].dtype)
        yield replace(others, bars=bars, news=own, notes=notes)
    notes += filled


class _NewsByTicker:
    def __init__(self, news: pd.DataFrame) -> None:
        self._news = news.astype({"ticker": "category"}).sort_values(["ticker", "date"], kind="stable")
        self._codes = self._news["ticker"].cat.codes.to_numpy()
        self._names = self._news["ticker"].cat.categories.to_numpy(dtype=object)

    def select(self, tickers: Any) -> pd.DataFrame:
        """Return the news of a block's tickers, given as the block's categorical type."""
        names = tickers.categories
        span = [np.searchsorted(self._names, names[0]), np.searchsorted(self._names, names[-1], side="right")]
        first, last = np.searchsorted(self._codes, span)
        own = self._news.iloc[first:last]
        return own.assign(ticker=own["ticker"].astype(tickers)).reset_index(drop=True)


def _bar_blocks(path: Path, tickers: list[str] | None, max_rows: int, notes: list[str]) -> Iterator[pd.DataFrame]:
    """Yield bars on the adjusted scale, as `read_bars` returns them, block by block."""
    raw = _sorted_parquet(path)
    if raw is None:
        bars = read_bars(path, notes, tickers)
        for first, last in ticker_ranges(np.append(ticker_starts(bars), len(bars)), max_rows):
            yield bars.iloc[first:last].reset_index(drop=True).astype({"ticker": "category"})
        return
    check_tickers(tickers or [], set(raw.names), path)
    summary = BarSummary()
    for names, counts, table in raw.blocks(max_rows):
        block = _checked_block(names, counts, table, tickers, summary)
        if block is None:
            break
        if len(block) and len(block := adjusted_block(block, summary)):
            yield block
    else:
        if summary.traded:
            notes += summary.notes()
            return
    read_bars(path, [], tickers)  # raises with the lines at fault
    raise AssertionError(f"{path}: a fault of a block that the complete file does not show")


_RawBlock = tuple[list[str], np.ndarray, pa.Table]
"""Names of some tickers, the number of rows of each, and the rows' other columns in that order."""


@dataclass(frozen=True)
class _RawBars:
    """Unchecked bars of a file in ticker order.

    Attributes:
        names: tickers, sorted.
        counts: rows of each ticker.
        read: reads consecutive ranges of rows as columns.
    """

    names: list[str]
    counts: np.ndarray
    read: Callable[[list[tuple[int, int]]], Iterator[pa.Table]]

    def blocks(self, max_rows: int) -> Iterator[_RawBlock]:
        """Yield blocks of complete tickers (`ticker_ranges`)."""
        bounds = np.append(0, np.cumsum(self.counts))
        ranges = list(ticker_ranges(bounds, max_rows))
        for (first, last), table in zip(ranges, self.read(ranges), strict=True):
            own = slice(*np.searchsorted(bounds, (first, last)))
            yield self.names[own], self.counts[own], table


def _sorted_parquet(path: Path) -> _RawBars | None:
    """Open a Parquet file whose rows are sorted by ticker; None where it is not one."""
    try:
        # Buffered streams: otherwise the columns of a complete row group are in memory at once.
        file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) if path.suffix == ".parquet" else None
        if file is None or not _has_bar_types(file.schema_arrow):
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
        return None  # `read_bars` reports the fault

    def read(ranges: list[tuple[int, int]]) -> Iterator[pa.Table]:
        batches = file.iter_batches(_BATCH, columns=_columns(file.schema_arrow.names))
        pending: list[pa.RecordBatch] = []
        for first, last in ranges:
            while sum(map(len, pending)) < last - first:
                pending.append(next(batches))
            table = pa.Table.from_batches(pending)
            yield table[: last - first]
            pending = table[last - first :].to_batches()

    return _RawBars(names, np.array(counts, dtype=np.int64), read) if names else None


def _columns(names: Sequence[str]) -> list[str]:
    return ["date", *(column.name for column in bar_numbers(names))]


def _has_bar_types(schema: pa.Schema) -> bool:
    """Return whether the columns of bars exist, with types that need no parsing."""
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


def _checked_block(
    names: list[str], counts: np.ndarray, table: pa.Table, tickers: list[str] | None, summary: BarSummary
) -> pd.DataFrame | None:
    """Sort a block by ticker and date and drop its incomplete rows; None where a value breaks a rule."""
    wanted = np.ones(len(names), dtype=bool) if tickers is None else np.isin(names, tickers)
    code = np.repeat(np.arange(len(names)), counts)
    values = {
        name: table[name].to_numpy().astype(np.float64, copy=False) for name in table.column_names if name != "date"
    }
    dates = table["date"].cast(pa.timestamp("ns")).to_numpy()
    complete = wanted[code]
    incomplete = complete & np.logical_or.reduce([np.isnan(column) for column in values.values()])
    summary.incomplete += int(incomplete.sum())
    complete &= ~incomplete
    order = np.flatnonzero(complete)
    if not ((np.diff(code[order]) > 0) | (np.diff(dates[order]) > np.timedelta64(0))).all():
        order = order[np.lexsort((dates[order], code[order]))]
    code, dates = code[order], dates[order]
    values = {name: column[order] for name, column in values.items()}
    repeated = (np.diff(code) == 0) & (np.diff(dates) == np.timedelta64(0))
    if (
        np.isnat(dates).any()
        or (dates.astype("datetime64[D]") != dates).any()
        or repeated.any()
        or find_violations(values, bar_numbers(values))
    ):
        return None
    ticker = pd.Categorical.from_codes(code, dtype=pd.CategoricalDtype(names))
    return pd.DataFrame({"ticker": ticker, "date": dates, **values}, copy=False)
