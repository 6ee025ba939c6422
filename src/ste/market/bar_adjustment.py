"""Adjust daily bars for splits and dividends, and drop days that are no sessions."""

import numpy as np
import pandas as pd

from ste.market.calendar import sessions
from ste.market.read_summary import ReadSummary
from ste.market.sources import RAW_CLOSE
from ste.market.ticker_groups import ticker_starts
from ste.schema import ADJUSTED_CLOSE, MARKET_COLUMNS

_PRICES = ("open", "high", "low", "close")
_JUMP = np.log(1.6)
"""A daily log return beyond this is more often an unadjusted split than news."""


def adjusted_bars(bars: pd.DataFrame, summary: ReadSummary, where: object = "bars") -> pd.DataFrame:
    """Return bars on sessions and on the adjusted scale, sorted by ticker and date.

    Args:
        bars: checked, `schema.MARKET_COLUMNS["bars"]`, with `adj_close` where it is known.
        summary: of what is adjusted and set aside.
        where: file or source of the bars, for messages.

    Raises:
        DataError: no bar lies on a session.
    """
    frame = adjusted_block(bars, summary)
    summary.check(where)
    return frame


def adjusted_block(frame: pd.DataFrame, summary: ReadSummary) -> pd.DataFrame:
    """Return the bars of some tickers on sessions and on the adjusted scale, sorted by ticker and date.

    Where `adj_close` is given, prices are multiplied by adj_close / close and volume is divided by it, so that
    neither a split nor a dividend looks like a move and the dollar volume stays the same.

    Args:
        frame: checked bars.
        summary: the block's counts are added.
    """
    if frame.empty:
        return frame
    frame = frame.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)
    adjusted = ADJUSTED_CLOSE.name in frame
    traded = frame["date"].isin(sessions(frame["date"].min(), frame["date"].max())).to_numpy()
    frame = summary.drop(frame, ~traded, "on days without a session").reset_index(drop=True)
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
