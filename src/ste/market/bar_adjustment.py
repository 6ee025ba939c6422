"""Adjust daily bars for splits and dividends, and drop days that are no sessions."""

import numpy as np
import pandas as pd

from ste.market.calendar import WEEKS, Periods
from ste.market.calendar_check import check_calendar, on_sessions
from ste.market.read_summary import ReadSummary
from ste.market.sources import RAW_CLOSE
from ste.market.ticker_groups import ticker_starts
from ste.schema import ADJUSTED_CLOSE, MARKET_COLUMNS

_PRICES = ("open", "high", "low", "close")
_JUMP = np.log(1.6)
"""A daily log return beyond this is more often an unadjusted split than news."""


def adjusted_bars(
    bars: pd.DataFrame,
    notes: list[str],
    summary: ReadSummary | None = None,
    where: object = "bars",
    periods: Periods = WEEKS,
    *,
    compare: bool = True,
) -> pd.DataFrame:
    """Return bars on sessions and on the adjusted scale, sorted by ticker and date.

    Args:
        bars: checked, `schema.MARKET_COLUMNS["bars"]`, with `adj_close` where it is known.
        notes: the summary in words is appended.
        summary: with the counts of rows that were dropped before.
        where: file or source of the bars, for messages.
        periods: of the rows that the bars are for.
        compare: whether bars of another exchange are refused; else their days are set aside.

    Raises:
        DataError: no bar lies on a session, or the bars are of another exchange or spacing.
    """
    summary = summary or ReadSummary()
    frame = adjusted_block(bars, summary, periods)
    if compare:
        check_calendar(summary, periods.calendar, where)
    summary.check(where)
    notes += summary.notes()
    return frame


def adjusted_block(frame: pd.DataFrame, summary: ReadSummary, periods: Periods = WEEKS) -> pd.DataFrame:
    """Return the bars of some tickers on sessions and on the adjusted scale, sorted by ticker and date.

    Where `adj_close` is given, prices are multiplied by adj_close / close and volume is divided by it, so that
    neither a split nor a dividend looks like a move and the dollar volume stays the same.

    Args:
        frame: checked bars.
        summary: the block's counts are added.
        periods: of the rows that the bars are for.
    """
    if frame.empty:
        return frame
    frame = frame.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)
    adjusted = ADJUSTED_CLOSE.name in frame
    frame = on_sessions(frame, summary, periods).reset_index(drop=True)
    if adjusted:
        frame[RAW_CLOSE] = frame["close"]
        ratio = frame[ADJUSTED_CLOSE.name] / frame["close"]
        for name in _PRICES:
            frame[name] = frame[name] * ratio
        frame["volume"] = frame["volume"] / ratio
        statement = "bars: prices and volume adjusted by adj_close / close"
        if statement not in summary.statements and not np.allclose(ratio, 1.0):
            summary.statements.append(statement)
    _find_jumps(frame, summary)
    summary.add_bars(frame)
    return frame[[*MARKET_COLUMNS["bars"], *([RAW_CLOSE] if adjusted else [])]]


def _find_jumps(bars: pd.DataFrame, summary: ReadSummary) -> None:
    if bars.empty:
        return
    move = np.diff(np.log(bars["close"].to_numpy()), prepend=np.nan)
    move[ticker_starts(bars)] = np.nan
    jumps = np.abs(move) > _JUMP
    summary.doubt(bars, jumps, "move beyond +60 % or -38 % in a day, as an unadjusted split would")
