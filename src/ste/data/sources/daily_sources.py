"""Open the daily sources of a table, complete or in blocks of tickers."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ste.config import DataSettings, RealMarketSettings, SyntheticSettings
from ste.data.sources.market_files import market_blocks, read_market
from ste.market.sources import Market
from ste.market.ticker_groups import ticker_ranges, ticker_starts
from ste.synthetic.generator import generate_market, generate_market_blocks


def daily_sources(settings: DataSettings) -> Market:
    """Return the bars, news, macro releases and policy events that a table is built from."""
    if isinstance(settings, SyntheticSettings):
        return generate_market(settings)
    assert isinstance(settings, RealMarketSettings)
    return read_market(settings)


def source_blocks(settings: DataSettings, max_rows: int) -> Iterator[Market]:
    """Yield the daily sources in blocks of complete tickers, in ticker order.

    No value depends on the size of the blocks.

    Args:
        settings: of a synthetic or real market.
        max_rows: bars in a block; a ticker with more bars has a block of its own.

    Yields:
        Markets with `ticker` as a category; `summary` is complete after the last block.
    """
    if isinstance(settings, SyntheticSettings):
        for market in generate_market_blocks(settings):
            yield from _split_market(market, max_rows)
    else:
        assert isinstance(settings, RealMarketSettings)
        yield from market_blocks(settings, max_rows)


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
