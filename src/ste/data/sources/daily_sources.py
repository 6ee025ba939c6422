"""Open the daily sources of a table, complete or in blocks of tickers."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ste.config import DataSettings, MarketSettings, SampleSettings, SyntheticSettings
from ste.data.sources.market_blocks import market_blocks
from ste.data.sources.market_files import read_market
from ste.data.sources.sample_market import read_sample
from ste.market.sources import Market
from ste.market.ticker_groups import ticker_ranges, ticker_starts
from ste.synthetic.generator import generate_market, generate_market_blocks


def daily_sources(settings: DataSettings) -> Market:
    """Return the bars, news, macro releases and policy events that a table is built from."""
    if isinstance(settings, SyntheticSettings):
        return generate_market(settings)
    if isinstance(settings, SampleSettings):
        return read_sample(settings)
    assert isinstance(settings, MarketSettings)
    return read_market(settings)


def source_blocks(settings: DataSettings, max_rows: int) -> Iterator[Market]:
    """Yield the daily sources in blocks of complete tickers, in ticker order.

    No value depends on the size of the blocks.

    Args:
        settings: of a synthetic market or of market files.
        max_rows: bars in a block; a ticker with more bars has a block of its own.

    Yields:
        Markets with `ticker` as a category; `notes` is complete after the last block.
    """
    if isinstance(settings, SyntheticSettings):
        for market in generate_market_blocks(settings):
            yield from _split_market(market, max_rows)
    elif isinstance(settings, SampleSettings):
        yield from _split_market(_sorted_by_ticker(read_sample(settings)), max_rows)
    else:
        assert isinstance(settings, MarketSettings)
        yield from market_blocks(settings, max_rows)


def _sorted_by_ticker(market: Market) -> Market:
    """Return a market with tickers as categories, and with the news of its tickers in their order."""
    bars = market.bars.astype({"ticker": "category"})
    if market.news is None:
        return replace(market, bars=bars)
    news = market.news[market.news["ticker"].isin(bars["ticker"].cat.categories)]
    news = news.astype({"ticker": bars["ticker"].dtype}).sort_values("ticker", kind="stable")
    return replace(market, bars=bars, news=news)


def _split_market(market: Market, max_rows: int) -> Iterator[Market]:
    """Split a market with tickers as categories; its news, if there are any, are sorted by ticker."""
    starts = ticker_starts(market.bars)
    for first, last in ticker_ranges(np.append(starts, len(market.bars)), max_rows):
        bars = market.bars.iloc[first:last].reset_index(drop=True)
        codes = bars["ticker"].cat.codes
        news = None
        if market.news is not None:
            news_codes = market.news["ticker"].cat.codes.to_numpy()
            begin, end = np.searchsorted(news_codes, [codes.iloc[0], codes.iloc[-1] + 1])
            news = market.news.iloc[begin:end].reset_index(drop=True)
        yield replace(market, bars=bars, news=news)
