"""Compute feature rows again from a part of the data, and compare them with those of all data.

A feature of the past alone has the same value at a close whether or not later data exists. The audit and the build of a
table both use this comparison. R rows, F features.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from ste.market.sources import Market
from ste.market.ticker_groups import ticker_starts
from ste.schema import KEYS

_SCALE_ROWS = 2000

Compute = Callable[[Market], pd.DataFrame]
"""From daily sources to rows of `date`, `ticker` and numeric features."""

ROUNDING = 1e-9
"""Relative change that another order of the same sums may make."""


@dataclass(frozen=True)
class Cut:
    """What remains of a market.

    Attributes:
        last: date of its last data.
        tickers: those that remain; None is all.
        bars: number of the latest bars of each ticker that remain; None is all.
        since: first date of the rows to compare; None is the first of all.
    """

    last: pd.Timestamp
    tickers: Collection[str] | None = None
    bars: int | None = None
    since: pd.Timestamp | None = None


@dataclass(frozen=True, eq=False)
class RecomputedRows:
    """Rows of all data next to the same rows of a part of it.

    Attributes:
        keys: `date` and `ticker` of R rows.
        names: F features.
        complete: values with all data, float64 `[R, F]`.
        part: values with the part, NaN where the row is missing, float64 `[R, F]`.
        missing: rows that the part does not have, bool `[R]`.
        last: date of the part's last data.
    """

    keys: pd.DataFrame
    names: tuple[str, ...]
    complete: np.ndarray
    part: np.ndarray
    missing: np.ndarray
    last: pd.Timestamp

    def changed(self, tolerance: float | np.ndarray = 0.0) -> np.ndarray:
        """Return which values of rows in both differ by more than rounding, bool `[R, F]`; NaN equals NaN.

        Args:
            tolerance: absolute change that is allowed as well, a number or `[F]`.
        """
        a, b = self.complete, self.part
        with np.errstate(invalid="ignore"):
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            same |= np.abs(a - b) <= ROUNDING * np.maximum(np.abs(a), np.abs(b)) + tolerance
        return ~same & ~self.missing[:, None]


@dataclass(frozen=True, eq=False)
class Recomputation:
    """Computes rows from parts of a market, and puts them next to those of all of it.

    Attributes:
        market: daily sources; bars sorted by ticker and date.
        complete: rows that were computed from all of `market`, in any order: `date`, `ticker` and numeric features.
    """

    market: Market
    complete: pd.DataFrame

    def compare(self, compute: Compute, cut: Cut, names: Sequence[str] | None = None) -> RecomputedRows:
        """Compute the rows that a cut leaves.

        Args:
            compute: computes rows from sources alone, as `complete` was.
            cut: what remains.
            names: features to compare; None is all.
        """
        part = compute(self._remaining(cut))
        day, code = self._rows
        rows = day <= _day(cut.last)
        if cut.since is not None:
            rows &= day >= _day(cut.since)
        if cut.tickers is not None:
            rows &= np.isin(code, [self._codes[ticker] for ticker in cut.tickers])
        before = self.complete.take(np.flatnonzero(rows))
        keys = before[list(KEYS)]
        chosen = tuple(str(name) for name in names or self._features)
        at = _index(part).get_indexer(_index(keys))
        values = part.reindex(columns=list(chosen)).to_numpy(dtype=np.float64)
        missing = at < 0
        found = np.full((len(keys), len(chosen)), np.nan)
        found[~missing] = values[at[~missing]]
        whole = before[list(chosen)].to_numpy(dtype=np.float64)
        return RecomputedRows(keys.reset_index(drop=True), chosen, whole, found, missing, cut.last)

    @cached_property
    def _features(self) -> list[str]:
        return [str(name) for name in self.complete.select_dtypes("number").columns]

    @cached_property
    def _starts(self) -> np.ndarray:
        """First bar of each ticker, and the number of bars."""
        return np.append(ticker_starts(self.market.bars), len(self.market.bars))

    @cached_property
    def _codes(self) -> dict[str, int]:
        """Position of each ticker among those of the bars."""
        names = self.market.bars["ticker"].iloc[self._starts[:-1]]
        return {str(name): code for code, name in enumerate(names)}

    @cached_property
    def _bar_days(self) -> np.ndarray:
        return _days(self.market.bars)

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Day and ticker of each complete row."""
        return _days(self.complete), self._code(self.complete["ticker"])

    @cached_property
    def _news(self) -> tuple[np.ndarray, np.ndarray]:
        news = self.market.news
        return (np.empty(0), np.empty(0)) if news is None else (_days(news), self._code(news["ticker"]))

    def _code(self, tickers: pd.Series) -> np.ndarray:
        names = tickers.astype("category")
        own = np.array([self._codes.get(str(name), -1) for name in names.cat.categories], dtype=np.int64)
        return own[names.cat.codes.to_numpy()] if len(names) else np.empty(0, dtype=np.int64)

    def _remaining(self, cut: Cut) -> Market:
        """Take the bars, and the news of their days, by position: a few windows are a small part of a market."""
        last, market = _day(cut.last), self.market
        codes = range(len(self._codes)) if cut.tickers is None else sorted(self._codes[name] for name in cut.tickers)
        taken = []
        for code in codes:
            first, end = self._starts[code : code + 2]
            end = first + np.searchsorted(self._bar_days[first:end], last, side="right")
            taken.append(np.arange(first if cut.bars is None else max(first, end - cut.bars), end))
        at = np.concatenate(taken)
        news = market.news
        if news is not None:
            day, owner = self._news
            used = (day <= last) & np.isin(owner, codes)
            if cut.bars is not None and len(at):
                used &= day >= self._bar_days[at].min()
            news = news[used].reset_index(drop=True)
        return replace(market, bars=market.bars.take(at).reset_index(drop=True), news=news).until(cut.last)


def _index(rows: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([rows["date"], rows["ticker"].astype(object)])


def _days(frame: pd.DataFrame) -> np.ndarray:
    return frame["date"].to_numpy().astype("datetime64[D]").astype(np.int64)


def _day(date: pd.Timestamp) -> int:
    return int(date.to_datetime64().astype("datetime64[D]").astype(np.int64))


def spread(rows: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Return the scale of each feature, above 0, float64 `[F]`.

    It is half the distance between the 16th and 84th percentile of some rows, or the size of a nearly constant value.
    """
    if rows.empty:
        return np.ones(len(names))
    values = rows.iloc[:: max(1, len(rows) // _SCALE_ROWS)][list(names)].to_numpy(dtype=np.float64)
    low, high = np.percentile(values, (16, 84), axis=0)
    size = np.abs(values).mean(axis=0)
    scale = np.where(high > low, (high - low) / 2, np.where(size > 0, size, 1.0))
    return np.where(np.isfinite(scale), scale, 1.0)
