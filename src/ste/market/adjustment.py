"""Find out per ticker how bars with an adjusted close are adjusted, and put prices and volume on one scale.

The ratio r = adj_close / close steps up at a dividend and at a split. A step beyond `_SPLIT` that the close mirrors is
a split, a smaller one a dividend. Where r has splits the close is raw, where it has dividends only the close is
adjusted for splits, where it is constant the close is adjusted for both.

Volume follows no such column. A source that adjusts it for splits (as Yahoo does) shows the same volume before and
after a split, any other source shows it multiplied by the split. N bars.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from ste.market.ticker_groups import ticker_starts
from ste.schema import ADJUSTED_CLOSE

_SPLIT = np.log(1.18)
"""A larger step of log(r) is a split; the smallest usual one is 6:5."""
_CONSTANT = 1e-3  # relative spread of r; smaller ones come from rounded prices
SESSIONS, MIN_SESSIONS = 20, 5
"""Sessions on either side of a split whose median volumes are compared, and the fewest that are enough."""
_STATED = {"raw": np.inf, "adjusted": -np.inf}
_DECISIVE = 0.15
"""Evidence for or against raw volume that decides: with volumes that vary by a third, odds of about 2:1. One split
of 2:1 is enough where the volumes fit, one of 3:2 is not."""


@dataclass(frozen=True)
class Split:
    """A split of one ticker.

    Attributes:
        row: first bar after it.
        factor: new shares for an old one.
    """

    row: int
    factor: float


@dataclass
class AdjustmentCounts:
    """How the bars of several tickers are adjusted.

    Attributes:
        without: tickers without an adjusted close.
        raw, split_adjusted, fully_adjusted: tickers by what their close is adjusted for.
        splits: number of splits.
        first_split: the first one in words.
        volume_raw, volume_adjusted, volume_assumed: tickers with splits, by what their volume shows; names.
    """

    without: int = 0
    raw: int = 0
    split_adjusted: int = 0
    fully_adjusted: int = 0
    splits: int = 0
    first_split: str = ""
    volume_raw: list[str] = field(default_factory=list)
    volume_adjusted: list[str] = field(default_factory=list)
    volume_assumed: list[str] = field(default_factory=list)

    @property
    def adjusted(self) -> bool | None:
        """Whether any ticker has an adjusted close; None before any bar."""
        known = self.raw + self.split_adjusted + self.fully_adjusted
        return known > 0 if known or self.without else None

    def statement(self) -> str:
        """Return the counts in one sentence; empty before any bar."""
        known = self.raw + self.split_adjusted + self.fully_adjusted
        if not known:
            if not self.without:
                return ""
            return f"bars: no adjusted close: prices and volume of {_tickers(self.without)} taken as they are"
        closes = [
            f"{kind} in {count:,}"
            for kind, count in (
                ("raw", self.raw),
                ("adjusted for splits", self.split_adjusted),
                ("fully adjusted", self.fully_adjusted),
            )
            if count
        ]
        text = f"bars: prices of {_tickers(known)} x adj_close / close; the close is {', '.join(closes)}"
        if not self.splits:
            return f"{text}; volume taken as it is"
        noun = "splits" if self.splits > 1 else "split"
        text += f"; {self.splits:,} {noun} (first: {self.first_split})"
        for names, what in (
            (self.volume_raw, "volume multiplied by the later splits in"),
            (self.volume_adjusted, "volume adjusted already in"),
            (self.volume_assumed, "volume without evidence at the splits, taken as adjusted, in"),
        ):
            if names:
                text += f"; {what} {_tickers(len(names))} (first: {names[0]})"
        return text


def _tickers(count: int) -> str:
    return f"{count:,} ticker{'s' * (count != 1)}"


def adjusted_volume(
    bars: pd.DataFrame,
    starts: np.ndarray,
    counts: AdjustmentCounts,
    stated: Literal["raw", "adjusted"] | None = None,
) -> np.ndarray:
    """Return the volume on the scale of the latest shares, float64 `[N]`, and count how the tickers are adjusted.

    Volume that a source did not adjust is multiplied by the factors of the later splits of its history. Volume that is
    adjusted already, and that of a ticker without splits in r, stays as it is: a dividend changes no number of shares.
    Each ticker is decided from its own bars, so that a block of tickers gives what all of them give.

    Args:
        bars: with `close` as in the file and `adj_close`, sorted by ticker and date.
        starts: first bar of each history.
        counts: the tickers are added.
        stated: whether the source adjusted the volume; None decides by the volumes at the splits.
    """
    volume = bars["volume"].to_numpy(dtype=np.float64)
    ratio = (bars[ADJUSTED_CLOSE.name] / bars["close"]).to_numpy(dtype=np.float64)
    splits = find_splits(bars["close"].to_numpy(dtype=np.float64), ratio, starts)
    begins = ticker_starts(bars)
    first = np.searchsorted(begins, [split.row for split in splits], side="right") - 1
    by_ticker: dict[int, list[Split]] = {}
    for number, split in zip(first.tolist(), splits, strict=True):
        by_ticker.setdefault(number, []).append(split)
    _count_closes(ratio, starts, begins, by_ticker, counts)
    out = volume.copy() if splits else volume
    for number, own in by_ticker.items():
        name = str(bars["ticker"].iloc[begins[number]])
        counts.splits += len(own)
        when = bars["date"].iloc[own[0].row]
        counts.first_split = counts.first_split or f"{name} {when:%Y-%m-%d}, {split_text(own[0].factor)}"
        evidence = _STATED[stated] if stated else _evidence_of_raw(volume, own, starts, len(bars))
        if abs(evidence) < _DECISIVE:
            counts.volume_assumed.append(name)
        elif evidence < 0:
            counts.volume_adjusted.append(name)
        else:
            counts.volume_raw.append(name)
            for split in own:
                begin = starts[np.searchsorted(starts, split.row, side="right") - 1]
                out[begin : split.row] *= split.factor
    return out


def find_splits(close: np.ndarray, ratio: np.ndarray, starts: np.ndarray) -> list[Split]:
    """Return the splits among the steps of r, in the order of the bars.

    Args:
        close: as in the file `[N]`.
        ratio: adj_close / close `[N]`.
        starts: first bar of each history.
    """
    if len(close) < 2:
        return []
    step = ratio[1:] / ratio[:-1]
    limit = np.exp(_SPLIT)
    rows = np.setdiff1d(np.flatnonzero((step > limit) | (step < 1.0 / limit)) + 1, starts)
    steps = np.log(step[rows - 1])
    moves = np.log(close[rows] / close[rows - 1])
    mirrored = np.abs(moves + steps) < 0.5 * np.abs(steps)
    return [
        Split(row, _usual_factor(float(np.exp(each))))
        for row, each in zip(rows[mirrored].tolist(), steps[mirrored], strict=True)
    ]


def split_text(factor: float) -> str:
    """Return a factor as people write splits: `7:1`, `3:2`, `1:10`."""
    for old in range(1, 101):
        new = round(factor * old)
        if new and abs(new / old / factor - 1.0) < 1e-6:
            return f"{new}:{old}"
    return f"{factor:.4g}:1"


def _usual_factor(factor: float) -> float:
    """Return the ratio of small numbers that a measured factor is rounded from, else the factor itself."""
    large = max(factor, 1.0 / factor)
    for old in range(1, 21):
        new = round(large * old)
        if abs(new / old / large - 1.0) < 0.004:
            return new / old if factor > 1.0 else old / new
    return factor


def _count_closes(
    ratio: np.ndarray,
    starts: np.ndarray,
    begins: np.ndarray,
    splits: dict[int, list[Split]],
    counts: AdjustmentCounts,
) -> None:
    """Count the tickers by what their close is adjusted for."""
    spread = np.maximum.reduceat(ratio, starts) / np.minimum.reduceat(ratio, starts) - 1.0
    varies = np.logical_or.reduceat(spread > _CONSTANT, np.searchsorted(starts, begins))
    raw = np.zeros(len(begins), dtype=bool)
    raw[list(splits)] = True
    counts.raw += int(raw.sum())
    counts.split_adjusted += int((varies & ~raw).sum())
    counts.fully_adjusted += int((~varies & ~raw).sum())


def _evidence_of_raw(volume: np.ndarray, splits: list[Split], starts: np.ndarray, rows: int) -> float:
    """Return how much better raw volume explains the volumes at a ticker's splits than adjusted volume does.

    With x the log ratio of the median volumes after and before a split of factor f, it is the sum of
    x^2 - (x - log f)^2: positive where x is nearer to log f.
    """
    ends = np.append(starts[1:], rows)
    evidence = 0.0
    for i, split in enumerate(splits):
        own = int(np.searchsorted(starts, split.row, side="right")) - 1
        first = max(int(starts[own]), split.row - SESSIONS, splits[i - 1].row if i else 0)
        last = min(int(ends[own]), split.row + SESSIONS, splits[i + 1].row if i + 1 < len(splits) else rows)
        change = volume_change(volume, first, split.row, last)
        if np.isfinite(change):
            log = np.log(split.factor)
            evidence += change**2 - (change - log) ** 2
    return float(evidence)


def volume_change(volume: np.ndarray, first: int, row: int, last: int) -> float:
    """Return the log ratio of the median volumes of the bars `[row, last)` and `[first, row)`.

    NaN where one of them has fewer than `MIN_SESSIONS` bars or a median of 0.
    """
    if min(row - first, last - row) < MIN_SESSIONS:
        return float("nan")
    before, after = np.median(volume[first:row]), np.median(volume[row:last])
    return float(np.log(after / before)) if min(before, after) > 0 else float("nan")
