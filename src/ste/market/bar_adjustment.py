"""Adjust daily bars for splits and dividends, and drop days that are no sessions."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.market.calendar import sessions
from ste.market.sources import RAW_CLOSE
from ste.market.ticker_groups import ticker_starts
from ste.schema import ADJUSTED_CLOSE, MARKET_COLUMNS

_PRICES = ("open", "high", "low", "close")
_JUMP = np.log(1.6)
"""A daily log return beyond this is more often an unadjusted split than news."""
_MAX_JUMPS_LISTED = 5


@dataclass
class BarSummary:
    """Counts of dropped, adjusted and suspicious bars, over one or more blocks.

    Attributes:
        incomplete: dropped rows without a price or volume.
        traded: rows on sessions.
        off_session: dropped rows on other days.
        first_off_session: date of the first of them.
        adjusted: whether any price was adjusted.
        jumps: daily moves that look like an unadjusted split.
        listed_jumps: the first few of them in words.
    """

    incomplete: int = 0
    traded: int = 0
    off_session: int = 0
    first_off_session: pd.Timestamp | None = None
    adjusted: bool = False
    jumps: int = 0
    listed_jumps: list[str] = field(default_factory=list)

    def check(self, where: object) -> None:
        """Raise `DataError` where no bar is left; `where` is the file or source of the bars."""
        if not self.traded and not self.off_session:
            raise DataError(f"{where}: no row has all of {', '.join(MARKET_COLUMNS['bars'])}. Expected daily bars.")
        if not self.traded:
            raise DataError(
                f"{where}: none of the dates is a session of the exchange. Expected daily bars of US stocks."
            )

    def notes(self) -> list[str]:
        """Return the summary in words."""
        notes = []
        if self.incomplete:
            notes.append(f"bars: {self.incomplete} rows without a price or volume dropped")
        if self.off_session:
            notes.append(
                f"bars: {self.off_session} rows on days without a session dropped (first "
                f"{self.first_off_session:%Y-%m-%d})"
            )
        if self.adjusted:
            notes.append("bars: prices and volume adjusted by adj_close / close")
        if self.jumps:
            notes.append(
                f"warning: {self.jumps} daily moves beyond +60 % or -38 % that no adjustment explains "
                f"({', '.join(self.listed_jumps)}); an unadjusted split would look like this"
            )
        return notes


def adjusted_bars(
    bars: pd.DataFrame, notes: list[str], summary: BarSummary | None = None, where: object = "bars"
) -> pd.DataFrame:
    """Return bars on sessions and on the adjusted scale, sorted by ticker and date.

    Args:
        bars: checked, `schema.MARKET_COLUMNS["bars"]`, with `adj_close` where it is known.
        notes: the summary in words is appended.
        summary: with the counts of rows that were dropped before.
        where: file or source of the bars, for messages.

    Raises:
        DataError: no bar lies on a session.
    """
    summary = summary or BarSummary()
    frame = adjusted_block(bars, summary)
    summary.check(where)
    notes += summary.notes()
    return frame


def adjusted_block(frame: pd.DataFrame, summary: BarSummary) -> pd.DataFrame:
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
    traded = frame["date"].isin(sessions(frame["date"].min(), frame["date"].max()))
    summary.traded += int(traded.sum())
    if not traded.all():
        summary.off_session += int((~traded).sum())
        summary.first_off_session = summary.first_off_session or frame.loc[~traded, "date"].iloc[0]
        frame = frame[traded].reset_index(drop=True)
    if adjusted:
        frame[RAW_CLOSE] = frame["close"]
        ratio = frame[ADJUSTED_CLOSE.name] / frame["close"]
        for name in _PRICES:
            frame[name] = frame[name] * ratio
        frame["volume"] = frame["volume"] / ratio
        summary.adjusted |= not np.allclose(ratio, 1.0)
    _count_jumps(frame, summary)
    return frame[[*MARKET_COLUMNS["bars"], *([RAW_CLOSE] if adjusted else [])]]


def _count_jumps(bars: pd.DataFrame, summary: BarSummary) -> None:
    if bars.empty:
        return
    move = np.diff(np.log(bars["close"].to_numpy()), prepend=np.nan)
    move[ticker_starts(bars)] = np.nan
    jumps = bars[np.abs(move) > _JUMP]
    summary.jumps += len(jumps)
    listed = jumps.head(_MAX_JUMPS_LISTED - len(summary.listed_jumps))
    summary.listed_jumps += [f"{row.ticker} {row.date:%Y-%m-%d}" for row in listed.itertuples()]
