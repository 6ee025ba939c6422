"""Put daily bars on the adjusted scale, drop days that are no sessions, and doubt what looks wrong."""

from typing import Literal

import numpy as np
import pandas as pd

from ste.market.adjustment import adjusted_volume
from ste.market.calendar import WEEKS, Periods
from ste.market.calendar_check import on_sessions
from ste.market.histories import days_before, history_starts
from ste.market.price_checks import check_moves, check_prices
from ste.market.read_summary import ReadSummary
from ste.market.sources import RAW_CLOSE
from ste.market.ticker_groups import ticker_starts
from ste.schema import ADJUSTED_CLOSE, MARKET_COLUMNS

_PRICES = ("open", "high", "low", "close")


def adjusted_bars(
    bars: pd.DataFrame,
    summary: ReadSummary,
    where: object = "bars",
    periods: Periods = WEEKS,
    *,
    by_model: bool = False,
) -> pd.DataFrame:
    """Return bars on sessions and on the adjusted scale, sorted by ticker and date.

    Args:
        bars: checked, `schema.MARKET_COLUMNS["bars"]`, with `adj_close` where it is known.
        summary: of what is adjusted and set aside.
        where: file or source of the bars, for messages.
        periods: of the rows that the bars are for.
        by_model: whether the card of a model states them, rather than settings.

    Raises:
        DataError: no bar lies on a session, or the rows cannot be made from bars of this spacing.
    """
    frame = adjusted_block(bars, summary, periods, by_model=by_model)
    summary.check(where)
    return frame


def adjusted_block(
    frame: pd.DataFrame,
    summary: ReadSummary,
    periods: Periods = WEEKS,
    volume: Literal["raw", "adjusted"] | None = None,
    *,
    by_model: bool = False,
) -> pd.DataFrame:
    """Return the bars of some tickers on sessions and on the adjusted scale, sorted by ticker and date.

    Where `adj_close` is given, prices are multiplied by adj_close / close, so that neither a split nor a dividend looks
    like a move. Volume is put on the scale of the latest shares (`adjustment.adjusted_volume`): a split changes it
    where the source did not adjust it, a dividend never does.

    Args:
        frame: checked bars of complete tickers.
        summary: the block's counts are added.
        periods: of the rows that the bars are for.
        volume: whether the source adjusted it for splits; None finds it from the data.
        by_model: whether the card of a model states the periods, rather than settings.
    """
    if frame.empty:
        return frame
    frame = frame.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)
    adjusted = ADJUSTED_CLOSE.name in frame
    frame = on_sessions(frame, summary, periods, by_model).reset_index(drop=True)
    if frame.empty:
        return frame
    starts = history_starts(frame)
    _count_gaps(frame, starts, summary)
    check_prices(frame, starts, summary)
    if adjusted:
        frame["volume"] = adjusted_volume(frame, starts, summary.adjustment, volume)
        frame[RAW_CLOSE] = frame["close"]
        ratio = frame[ADJUSTED_CLOSE.name] / frame["close"]
        for name in _PRICES:
            frame[name] = frame[name] * ratio
    else:
        summary.adjustment.without += len(ticker_starts(frame))
    check_moves(frame, starts, summary)
    summary.add_bars(frame)
    return frame[[*MARKET_COLUMNS["bars"], *([RAW_CLOSE] if adjusted else [])]]


def _count_gaps(bars: pd.DataFrame, starts: np.ndarray, summary: ReadSummary) -> None:
    """Count the tickers with more than one history."""
    gaps = np.setdiff1d(starts, ticker_starts(bars))
    if len(gaps):
        first = bars.iloc[gaps[0]]
        text = f"{first['ticker']} {first['date']:%Y-%m-%d}, {days_before(bars)[gaps[0]]:,} days"
        summary.gaps.add(bars["ticker"].iloc[gaps].nunique(), text)
