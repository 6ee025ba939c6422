"""Open the daily sources of a table, complete or in blocks of tickers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from ste.config import DataSettings, RealMarketSettings, SyntheticSettings, TableSettings
from ste.config.header_check import check_columns
from ste.config.read_options import ReadOptions
from ste.data.columns import check_lines, typed_frame
from ste.data.sources.extra_blocks import ExtraBlocks
from ste.data.sources.market_files import file_periods, market_blocks, read_market
from ste.data.storage.files import read_frame
from ste.data.storage.parquet_shards import part_files
from ste.errors import ConfigError
from ste.features.feature_rows import is_cross_sectional
from ste.market.calendar import calendar_of_days
from ste.market.read_summary import ReadSummary
from ste.market.sources import Market
from ste.market.ticker_groups import ticker_ranges, ticker_starts
from ste.schema import BARS, KEYS
from ste.synthetic.generator import generate_market, generate_market_blocks, ticker_names

AnySettings = TypeVar("AnySettings", bound=DataSettings)


def with_calendar(settings: AnySettings) -> AnySettings:
    """Return settings whose calendar is known: with `data.calendar=bars`, that of the days in the bars or tables."""
    if settings.calendar != BARS:
        return settings
    if isinstance(settings, RealMarketSettings):
        calendar = file_periods(settings).calendar
    elif isinstance(settings, TableSettings):
        dates = [table_dates(Path(path)) for path in settings.files().values()]
        calendar = calendar_of_days(np.concatenate(dates))
    else:
        raise ConfigError(f"data.calendar={BARS}: data={settings.source} has no file of bars. Try data.calendar=XNYS.")
    return replace(settings, calendar=calendar.name)


def table_dates(path: Path) -> np.ndarray:
    """Return the dates of a table or of a folder of its parts, datetime64 `[N]`."""
    out = []
    for part in part_files(path) if path.is_dir() else [path]:
        frame = read_frame(part)
        check_columns(frame, KEYS, part)
        typed, violations = typed_frame(frame, (), names=())
        check_lines(violations, part, frame.index)
        out.append(typed["date"].to_numpy())
    return np.concatenate(out)


def daily_sources(settings: DataSettings) -> Market:
    """Return the bars, news, macro releases and policy events that a table is built from."""
    if isinstance(settings, SyntheticSettings):
        market = generate_market(settings)
        extra = _own_columns(settings, market.summary)
        market = replace(market, extra=extra.of(market.bars))
        extra.finish(market.bars["ticker"].unique().tolist(), market.bars["date"].max())
        return market
    assert isinstance(settings, RealMarketSettings)
    return read_market(settings)


def source_blocks(settings: DataSettings, max_rows: int) -> Iterator[Market]:
    """Yield the daily sources in blocks of complete tickers, in ticker order.

    No value depends on the size of the blocks: features across the tickers of a date get one block.

    Args:
        settings: of a synthetic or real market.
        max_rows: bars in a block; a ticker with more bars has a block of its own.

    Yields:
        Markets with `ticker` as a category; `summary` is complete after the last block.
    """
    if settings.feature_set.from_bars and is_cross_sectional(settings.feature_set):
        market = daily_sources(settings)
        names = pd.CategoricalDtype(sorted(market.bars["ticker"].unique()))
        news = None if market.news is None else market.news.astype({"ticker": names})
        yield replace(market, bars=market.bars.astype({"ticker": names}), news=news)
    elif isinstance(settings, SyntheticSettings):
        summary = ReadSummary()
        extra, last = _own_columns(settings, summary), pd.Timestamp(0)
        for market in generate_market_blocks(settings):
            for block in _split_market(market, max_rows):
                last = max(last, block.bars["date"].max())
                yield replace(block, summary=summary, extra=extra.of(block.bars))
        extra.finish(ticker_names(settings.tickers), last)
    else:
        assert isinstance(settings, RealMarketSettings)
        yield from market_blocks(settings, max_rows)


def _own_columns(settings: SyntheticSettings, summary: ReadSummary) -> ExtraBlocks:
    return ExtraBlocks.from_files(settings, ReadOptions(calendar=settings.calendar), summary)


def _split_market(market: Market, max_rows: int) -> Iterator[Market]:
    """Split a market whose news is sorted by ticker."""
    assert market.news is not None
    news_codes = market.news["ticker"].cat.codes.to_numpy()
    starts = ticker_starts(market.bars)
    for first, last in ticker_ranges(np.append(starts, len(market.bars)), max_rows):
        bars = market.bars.iloc[first:last].reset_index(drop=True)
        codes = bars["ticker"].cat.codes
        begin, end = np.searchsorted(news_codes, [codes.iloc[0], codes.iloc[-1] + 1])
        yield replace(market, bars=bars, news=market.news.iloc[begin:end].reset_index(drop=True))
