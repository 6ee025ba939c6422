"""Which rows of a real market are history only, and what became of tickers that end, over one or more blocks."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ste.config import RealMarketSettings
from ste.data.sources.universe import read_delistings, read_universe
from ste.errors import DataError
from ste.labels.delisting import close_ends, history_ends
from ste.market.histories import history_starts
from ste.market.read_summary import Finding
from ste.market.spelling import Spellings
from ste.market.untraded import untraded_bars
from ste.schema import PERIOD, ROW_PERIOD


@dataclass(frozen=True)
class _End:
    """End of a ticker's last history: name, last bar and its period, and whether a delisting gives it a value."""

    ticker: str
    date: pd.Timestamp
    period: int
    delisted: bool


@dataclass
class MarketRows:
    """Applies membership, delistings and the rule of untraded rows to blocks of complete tickers.

    Attributes:
        settings: of the market.
        last_bar: date of the latest bar of all tickers; needed with `delisting_return` only.
    """

    settings: RealMarketSettings
    last_bar: pd.Timestamp | None = None
    _ends: list[_End] = field(default_factory=list)
    _missing: list[str] = field(default_factory=list)
    _outside: Finding = field(default_factory=Finding)
    _untraded: Finding = field(default_factory=Finding)

    def __post_init__(self) -> None:
        """Read the files of members and delistings."""
        settings, options = self.settings, self.settings.read_options()
        self._universe = read_universe(settings.universe, options) if settings.universe else None
        self._delistings = read_delistings(settings.delisted, options) if settings.delisted else None
        self._members = Spellings("universe", () if self._universe is None else self._universe.tickers)
        self._gone = Spellings("delisted", () if self._delistings is None else self._delistings["ticker"].unique())
        self._used = np.zeros(0 if self._delistings is None else len(self._delistings), dtype=bool)

    def ends(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Return the ends of a block's histories with their values, for `targets.future_returns`."""
        settings = self.settings
        ends = history_ends(bars, settings.periods)
        if self._delistings is not None:
            spelled = self._gone.match(ends["ticker"].unique())
            own = self._delistings[self._delistings["ticker"].isin(list(spelled))]
            own = own.assign(ticker=own["ticker"].map(spelled)).sort_values(["ticker", "date"], kind="stable")
            self._used[own.index] |= close_ends(ends, own, settings.periods, settings.labels.horizon)
        last = ends["until"].isna()  # of a ticker's histories
        self._ends += [
            _End(str(ticker), date, period, not np.isnan(value))
            for ticker, date, period, value in zip(
                *(ends.loc[last, name].tolist() for name in ("ticker", "date", "period", "value")), strict=True
            )
        ]
        if settings.delisting_return is not None:
            assert self.last_bar is not None
            latest = settings.periods.index(np.array([self.last_bar], dtype="datetime64[D]"))[0]
            early = last & (ends["period"] < latest) & ends["value"].isna()
            ends.loc[early, "value"] = ends["close"] * (1.0 + settings.delisting_return)
            ends.loc[early, "known"] = ends["period"]
        return ends

    def history_only(self, rows: pd.DataFrame, bars: pd.DataFrame) -> np.ndarray:
        """Return which rows of a block are history only, bool `[N]`, and count them.

        Args:
            rows: of the table, with `schema.ROW_PERIOD`.
            bars: of the block.
        """
        outside = np.zeros(len(rows), dtype=bool)
        if self._universe is not None:
            spelled = self._members.match(bars["ticker"].unique())
            outside = ~self._universe.renamed(spelled).members(rows)
            _count(self._outside, rows, outside)
        if self.settings.score_untraded:
            return outside
        untraded = self._without_trades(rows, bars) & ~outside
        _count(self._untraded, rows, untraded)
        return outside | untraded

    def check(self) -> None:
        """Raise `DataError` where no ticker of the universe has bars, or a name fits several tickers."""
        known = sorted({end.ticker for end in self._ends})
        self._gone.finish(known)
        self._missing = self._members.finish(known)
        if self._universe is not None and not self._members.matched:
            raise DataError(
                f"data.universe={self._universe.path}: none of its {len(self._universe.tickers):,} tickers has bars "
                f"({', '.join(map(str, self._universe.tickers[:4]))}, ...). The bars are of {', '.join(known[:4])}, "
                "... Expected the same names."
            )

    def notes(self) -> list[str]:
        """Return what was found, one line each."""
        out = []
        if self._universe is not None:
            others = sorted({end.ticker for end in self._ends} - set(self._members.matched.values()))
            missing = self._missing
            text = f"universe: {len(self._members.matched):,} of {len(self._universe.tickers):,} tickers have bars"
            text += f" (first without: {missing[0]})" if missing else ""
            text += f"; {_tickers(len(others))} with bars not in it (first: {others[0]})" if others else ""
            out += [text, *self._members.statements()]
        for found, why in ((self._outside, "outside data.universe"), (self._untraded, "without trades")):
            if found.rows:
                rows = f"{found.rows:,} row{'s' * (found.rows > 1)}"
                out.append(f"data: {rows} {why}: history only, not trained on or scored (first: {found.first})")
        return out + self._delisting_notes()

    def _delisting_notes(self) -> list[str]:
        out = []
        if self._delistings is not None:
            text = f"delisted: {int(self._used.sum()):,} of {len(self._used):,} entries close a ticker's last labels"
            if not self._used.all():
                other = self._delistings[~self._used].iloc[0]
                text += (
                    f"; the others lie before the ticker's last bar, after the end of its last label, or have no bars "
                    f"(first: {other['ticker']} {other['date']:%Y-%m-%d})"
                )
            out += [text, *self._gone.statements()]
        if not self._ends:
            return out
        last_bar = max(end.date for end in self._ends)
        latest = max(end.period for end in self._ends)
        early = [end for end in self._ends if end.period < latest and not end.delisted]
        if early:
            end = "end" if len(early) > 1 else "ends"
            horizon, word = self.settings.labels.horizon, PERIOD[self.settings.frequency]
            last = f"last {word}" if horizon == 1 else f"last {horizon} {word}s"
            assumed = self.settings.delisting_return
            what = f"no label for the {last}" if assumed is None else f"labels there with an assumed {assumed:+.0%}"
            first = f"{early[0].ticker} {early[0].date:%Y-%m-%d}"
            out.append(
                f"data: {_tickers(len(early))} {end} before {last_bar:%Y-%m-%d} without a delisting: {what} "
                f"(first: {first})"
            )
        return out

    def _without_trades(self, rows: pd.DataFrame, bars: pd.DataFrame) -> np.ndarray:
        """Return the rows in whose period no bar of the ticker is of a trade, bool `[N]`."""
        starts = history_starts(bars)
        untraded = untraded_bars(bars, starts)
        if not untraded.any():
            return np.zeros(len(rows), dtype=bool)
        period = self.settings.periods.index(bars["date"])
        begins = np.append(True, np.diff(period) != 0)
        begins[starts] = True
        first = np.flatnonzero(begins)
        quiet = first[np.logical_and.reduceat(untraded, first)]
        keys = pd.MultiIndex.from_arrays([bars["ticker"].iloc[quiet].astype(object), period[quiet]])
        return pd.MultiIndex.from_arrays([rows["ticker"].astype(object), rows[ROW_PERIOD]]).isin(keys)


def _count(found: Finding, rows: pd.DataFrame, mask: np.ndarray) -> None:
    if mask.any():
        first = rows.iloc[int(np.argmax(mask))]
        found.add(int(mask.sum()), f"{first['ticker']} {first['date']:%Y-%m-%d}")


def _tickers(count: int) -> str:
    return f"{count:,} ticker{'s' * (count != 1)}"
