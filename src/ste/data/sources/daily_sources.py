"""Daily sources whole, or in blocks of tickers where they need not be in memory at once."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ste.config import DataSettings, MarketSettings, WorldSettings
from ste.market.daily import Market
from ste.market.ticker_groups import ticker_ranges, ticker_starts
from ste.synthetic.generator import draw, draw_blocks


def daily_sources(settings: DataSettings) -> Market:
    """The bars, news, macro releases and policy events that tables are built from."""
    if isinstance(settings, WorldSettings):
        return draw(settings)
    if isinstance(settings, MarketSettings):
        from ste.data.sources.market_files import read_market  # and the library of its contracts

        return read_market(settings)
    raise TypeError(f"{type(settings).__name__} has no daily sources")


def source_blocks(settings: DataSettings, rows: int) -> Iterator[Market]:
    """The same in blocks, in the order of tickers; no value depends on how many rows a block has.

    Args:
        settings: of a world or of market files.
        rows: bars in a block, at most, but for a ticker that alone has more.

    Yields:
        Markets of whole tickers, `ticker` as a category; `notes` is whole after the last one.
    """
    if isinstance(settings, WorldSettings):
        for market in draw_blocks(settings):
            yield from _cut(market, rows)
    elif isinstance(settings, MarketSettings):
        from ste.data.sources.market_blocks import market_blocks

        yield from market_blocks(settings, rows)
    else:
        raise TypeError(f"{type(settings).__name__} has no daily sources")


def _cut(market: Market, rows: int) -> Iterator[Market]:
    """A market in pieces; its news is sorted by ticker."""
    assert market.news is not None
    told = market.news["ticker"].cat.codes.to_numpy()
    starts = ticker_starts(market.bars)
    for first, last in ticker_ranges(np.append(starts, len(market.bars)), rows):
        bars = market.bars.iloc[first:last].reset_index(drop=True)
        codes = bars["ticker"].cat.codes
        begin, end = np.searchsorted(told, [codes.iloc[0], codes.iloc[-1] + 1])
        yield replace(market, bars=bars, news=market.news.iloc[begin:end].reset_index(drop=True))
