"""Read the files of a real market: daily bars, news, macro releases and policy events."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ste.config import MarketSettings, RealMarketSettings, SampleSettings
from ste.data.bar_files.bar_files import BarFiles, open_bar_files
from ste.data.bar_files.bar_frame import OnFaults
from ste.data.sources.extra_blocks import ExtraBlocks, joined_extra
from ste.data.sources.sample_market import SAMPLE, sample_tables
from ste.data.sources.side_files import SideFiles
from ste.features.feature_rows import needed_fields
from ste.market.bar_adjustment import adjusted_block
from ste.market.calendar import Periods, calendar_of_days
from ste.market.calendar_check import check_calendar
from ste.market.read_summary import ReadSummary
from ste.market.sources import Market
from ste.market.spelling import spelled_twice
from ste.schema import BARS, FeatureSet

_ALL, _DAYS_BLOCK = 1 << 62, 1 << 20  # bars in a block


def read_market(
    settings: RealMarketSettings, on_faults: OnFaults | None = None, features: FeatureSet | None = None
) -> Market:
    """Read a real market.

    Args:
        settings: names the files.
        on_faults: gets the bars with a fault, which are left out; None raises an error for them.
        features: that will be computed; None are those of the settings.

    Returns:
        The market; its bars are on the adjusted scale, sorted by ticker and date.

    Raises:
        DataError: a file that is missing, is of no known shape or holds impossible values.
    """
    blocks = list(market_blocks(settings, _ALL, on_faults, features))
    bars = [block.bars.astype({"ticker": "str"}) for block in blocks]
    news = None
    if blocks[0].news is not None:
        frames = [one.news for one in blocks if one.news is not None]
        news = pd.concat(frames).astype({"ticker": "str"}).sort_index(kind="stable").reset_index(drop=True)
    extra = joined_extra([block.extra for block in blocks])
    return replace(blocks[0], bars=pd.concat(bars, ignore_index=True), news=news, extra=extra)


def market_blocks(
    settings: RealMarketSettings,
    max_rows: int,
    on_faults: OnFaults | None = None,
    features: FeatureSet | None = None,
) -> Iterator[Market]:
    """Yield the files of `data=market` in blocks of complete tickers, in ticker order.

    No value depends on the size of the blocks. A folder of one file for each ticker, and a Parquet file that is sorted
    by ticker, are streamed; any other file is read at once.

    Args:
        settings: names the files.
        max_rows: bars in a block; a ticker with more bars has a block of its own.
        on_faults: gets the bars with a fault, which are left out; None raises an error for them.
        features: that will be computed; None are those of the settings.

    Yields:
        Markets with `ticker` as a category, at least one; their summary is the same and complete after the last block.

    Raises:
        DataError: as `read_market`; a block's fault is raised when the block is read.
    """
    summary, periods = ReadSummary(), file_periods(settings, on_faults)
    side = SideFiles(settings, summary, needed_fields(features or settings.feature_set))
    extra = ExtraBlocks.from_files(settings, settings.read_options(), summary)
    for bars in bar_blocks(settings, max_rows, summary, on_faults, periods):
        news = side.news_of(bars)
        yield Market(bars, news, side.macro, side.policy, periods.calendar, summary, extra.of(bars))
    side.finish()
    extra.finish(summary.tickers, summary.last)


def bar_blocks(
    settings: RealMarketSettings,
    max_rows: int,
    summary: ReadSummary,
    on_faults: OnFaults | None = None,
    periods: Periods | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield the bars of `market_blocks`; `periods` None are those of the settings."""
    periods = periods or file_periods(settings, on_faults)
    files = _bar_files(settings, summary)
    for raw in files.blocks(max_rows, on_faults):
        block = adjusted_block(raw, summary, periods, settings.volume, by_model=settings.by_model)
        if len(block):
            yield block
    check_calendar(summary, periods.calendar, files.where, by_model=settings.by_model)
    summary.check(files.where)
    for first, second in spelled_twice(summary.tickers):
        summary.state(f"bars: {first} and {second} differ in spelling alone and are two tickers")


def file_periods(settings: RealMarketSettings, on_faults: OnFaults | None = None) -> Periods:
    """Return the periods of the rows; with `data.calendar=bars` the days of the bars are the sessions."""
    if settings.calendar != BARS:
        return settings.periods

    def ignored(*_: Any) -> None:
        """Leave the faults to the reading itself."""

    files = _bar_files(settings, ReadSummary())
    days = [raw["date"].unique() for raw in files.blocks(_DAYS_BLOCK, None if on_faults is None else ignored)]
    return Periods(settings.frequency, calendar_of_days(np.concatenate(days)))


def _bar_files(settings: RealMarketSettings, summary: ReadSummary) -> BarFiles:
    options = settings.read_options()
    if isinstance(settings, SampleSettings):
        return BarFiles(sample_tables(summary), SAMPLE, options, summary, settings.tickers)
    assert isinstance(settings, MarketSettings)
    return open_bar_files(settings.bars, options, summary, settings.tickers)
