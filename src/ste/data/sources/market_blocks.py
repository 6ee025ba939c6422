"""Read the files of a real market in blocks of tickers, so that the bars need not fit in memory.

A Parquet file sorted by ticker is streamed and cut between tickers. Any other file is read at once.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ste.config import MarketSettings
from ste.config.header_check import check_columns
from ste.data.sources.market_files import (
    bar_numbers,
    check_tickers,
    checked_bars,
    file_periods,
    market_of_bars,
    read_bars,
)
from ste.market.bar_adjustment import adjusted_block
from ste.market.calendar import Periods
from ste.market.calendar_check import check_calendar
from ste.market.read_summary import ReadSummary
from ste.market.sources import Market
from ste.market.ticker_groups import ticker_ranges, ticker_starts
from ste.schema import MARKET_COLUMNS

_BATCH, _BUFFER = 1 << 15, 1 << 18  # rows, and bytes of each column, in one read


def market_blocks(settings: MarketSettings, max_rows: int) -> Iterator[Market]:
    """Yield the files of `data=market` in blocks of at most `max_rows` bars, see `daily_sources.source_blocks`.

    Raises:
        DataError: as `market_files.read_market`; a block's fault is raised when the block is read.
    """
    notes: list[str] = []
    filled: list[str] = []
    periods, summary = file_periods(settings), ReadSummary()
    others = market_of_bars(pd.DataFrame(), settings, filled, periods.calendar)
    news = None if others.news is None else others.news.astype({"ticker": "category"})
    for bars in _bar_blocks(Path(settings.bars), settings.tickers, max_rows, notes, periods, summary):
        tickers = bars["ticker"]
        own = None if news is None else news[news["ticker"].isin(tickers.cat.categories)]
        own = None if own is None else own.astype({"ticker": tickers.dtype})
        yield replace(others, bars=bars, news=own, spacing=summary.spacing or "daily", notes=notes)
    notes += filled


def _bar_blocks(
    path: Path, tickers: list[str] | None, max_rows: int, notes: list[str], periods: Periods, summary: ReadSummary
) -> Iterator[pd.DataFrame]:
    """Yield bars on the adjusted scale, as `read_bars` returns them, block by block."""
    counts = _ticker_counts(path) if path.suffix == ".parquet" else None
    if not counts:
        bars = read_bars(path, notes, tickers, periods, summary)
        for first, last in ticker_ranges(np.append(ticker_starts(bars), len(bars)), max_rows):
            yield bars.iloc[first:last].reset_index(drop=True).astype({"ticker": "category"})
        return
    check_tickers(tickers or [], set(counts), path)
    for raw in _raw_blocks(path, counts, max_rows):
        wanted = raw if tickers is None else raw[raw["ticker"].isin(tickers)]
        block = adjusted_block(checked_bars(wanted, path, summary), summary, periods)
        if len(block):
            yield block
    check_calendar(summary, periods.calendar, path)
    summary.check(path)
    notes += summary.notes()


def _ticker_counts(path: Path) -> dict[str, int] | None:
    """Return the rows of each ticker of a Parquet file that is sorted by ticker; None of any other file."""
    counts: dict[str, int] = {}
    last = ""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH, columns=["ticker"]):
                runs = pc.run_end_encode(batch.column(0).cast(pa.string()))
                lengths = np.diff(np.asarray(runs.run_ends), prepend=0).tolist()
                for name, length in zip(runs.values.to_pylist(), lengths, strict=True):
                    if not name or name < last:
                        return None
                    counts[name] = counts.get(name, 0) + length
                    last = name
    except (pa.ArrowException, OSError, IndexError):
        return None  # `read_bars` reports the fault
    return counts


def _raw_blocks(path: Path, counts: dict[str, int], max_rows: int) -> Iterator[pd.DataFrame]:
    """Yield the unchecked bars of complete tickers; the index counts the rows of the file."""
    names, bounds = list(counts), np.cumsum([0, *counts.values()])
    # Buffered streams: otherwise the columns of a complete row group are in memory at once.
    with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
        check_columns(file.schema_arrow.names, MARKET_COLUMNS["bars"], path)
        columns = ["date", *(column.name for column in bar_numbers(file.schema_arrow.names))]
        batches = file.iter_batches(_BATCH, columns=columns)
        pending: list[pa.RecordBatch] = []
        for first, last in ticker_ranges(bounds, max_rows):
            while sum(map(len, pending)) < last - first:
                pending.append(next(batches))
            table = pa.Table.from_batches(pending)
            pending = table[last - first :].to_batches()
            own = slice(*np.searchsorted(bounds, (first, last)))
            codes = np.repeat(np.arange(own.stop - own.start), np.diff(bounds)[own])
            frame = table[: last - first].to_pandas(ignore_metadata=True, date_as_object=False)
            frame.insert(0, "ticker", pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(names[own])))
            yield frame.set_axis(pd.RangeIndex(first, last))
