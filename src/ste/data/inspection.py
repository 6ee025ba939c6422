"""Health and coverage of a market's bars, read in blocks of tickers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.config import RealMarketSettings
from ste.data.sources.market_files import market_blocks
from ste.market.read_summary import ReadSummary
from ste.market.ticker_groups import ticker_starts

_ALL_DAYS = "datetime64[D]"
_BLOCK = 1 << 19


@dataclass(frozen=True)
class Inspection:
    """What was found in the bars of a market.

    Attributes:
        summary: of the reading.
        health: a row for each ticker: `ticker`, `bars`, `first`, `last`, `missing` (days between them on which other
            tickers have bars and it has none), `untraded` (bars with no volume) and `move` (largest move of the close
            in a day, a fraction).
        coverage: number of tickers with a bar, by day.
    """

    summary: ReadSummary
    health: pd.DataFrame
    coverage: pd.Series


def inspect_market(settings: RealMarketSettings) -> Inspection:
    """Read the bars of a market and describe each ticker.

    Args:
        settings: names the files.

    Raises:
        DataError: a file that cannot be used.
    """
    rows: list[pd.DataFrame] = []
    counts: dict[np.datetime64, int] = {}
    summary = ReadSummary()
    for market in market_blocks(settings, _BLOCK):
        summary = market.summary
        bars = market.bars
        own = bars["date"].to_numpy().astype(_ALL_DAYS)
        for day, count in zip(*np.unique(own, return_counts=True), strict=True):
            counts[day] = counts.get(day, 0) + int(count)
        rows.append(_health(bars, own))
    coverage = pd.Series(counts, dtype=np.int64).sort_index()
    health = pd.concat(rows, ignore_index=True)
    known = coverage.index.to_numpy().astype(_ALL_DAYS)
    possible = np.searchsorted(known, health["last"].to_numpy().astype(_ALL_DAYS), side="right")
    possible -= np.searchsorted(known, health["first"].to_numpy().astype(_ALL_DAYS))
    return Inspection(summary, health.assign(missing=possible - health["bars"].to_numpy()), coverage)


def _health(bars: pd.DataFrame, days: np.ndarray) -> pd.DataFrame:
    """Describe the tickers of a block, sorted by ticker and date."""
    starts = ticker_starts(bars)
    ends = np.append(starts[1:], len(bars))
    move = np.abs(np.diff(bars["close"].to_numpy(), prepend=np.nan) / np.roll(bars["close"].to_numpy(), 1))
    move[starts] = 0.0
    return pd.DataFrame(
        {
            "ticker": bars["ticker"].astype(str).to_numpy()[starts],
            "bars": ends - starts,
            "first": days[starts].astype("datetime64[ns]"),
            "last": days[ends - 1].astype("datetime64[ns]"),
            "untraded": np.add.reduceat(bars["volume"].to_numpy() == 0, starts),
            "move": np.maximum.reduceat(move, starts),
        }
    )
