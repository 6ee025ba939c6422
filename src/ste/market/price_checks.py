"""Doubts about bars that are used all the same: prices that no market makes, or written by mistake. N bars."""

import numpy as np
import pandas as pd

from ste.market.adjustment import SESSIONS, split_text, volume_change
from ste.market.histories import row_groups
from ste.market.read_summary import ReadSummary
from ste.market.untraded import untraded_bars

_JUMP = np.log(1.6)
"""A larger daily log return is more often a fault than news."""
_FACTORS = np.array([1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 100])
_NEAR = 0.06  # difference of a split's log factor and the move, which includes the day's return
_STAYS = 5  # bars on either side of a split whose median closes are compared
_PENCE = np.log(100.0)
_FAR, _USUAL_RANGES = 1.25, 10.0
_ROUNDING = 1e-3
_STALE = 5


def check_prices(bars: pd.DataFrame, starts: np.ndarray, summary: ReadSummary) -> None:
    """Count bars whose own prices contradict each other, or repeat, and bars without a trade.

    Args:
        bars: prices and volume as in the file, sorted by ticker and date.
        starts: first bar of each history.
        summary: the doubts are added.
    """
    opened, high, low, close = (bars[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close"))
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    outside = (top > high * (1.0 + _ROUNDING)) | (bottom < low * (1.0 - _ROUNDING))
    summary.doubt(bars, outside, "with an open or close outside low to high")
    far = (high > _FAR * top) | (low * _FAR < bottom)
    far[far] = _beyond_usual_range(np.flatnonzero(far), high, low, top, bottom, starts)
    summary.doubt(bars, far, "with a high or low far from open and close")
    untraded = untraded_bars(bars, starts)
    summary.remark(bars, untraded, "without trades")
    summary.doubt(bars, _stale(bars, starts) & ~untraded, f"that repeat the four prices before {_STALE} times or more")


def check_moves(bars: pd.DataFrame, starts: np.ndarray, summary: ReadSummary) -> None:
    """Count moves of the close that are no return: unadjusted splits, prices in pence, and other jumps.

    A row is counted once: as part of a run of prices in pence, else as a split, else as a jump.

    Args:
        bars: on the adjusted scale, sorted by ticker and date.
        starts: first bar of each history.
        summary: the doubts are added.
    """
    if len(bars) < 2:
        return
    close = bars["close"].to_numpy(dtype=np.float64)
    ratio = close[1:] / close[:-1]
    rows = np.setdiff1d(np.flatnonzero((ratio > 1.4) | (ratio * 1.4 < 1.0)) + 1, starts)
    if not len(rows):
        return
    moves = np.log(ratio[rows - 1])
    factors = np.array([_split_factor(bars, row, move, starts) for row, move in zip(rows, moves, strict=True)])
    split = factors > 0
    pence = (np.abs(np.abs(moves) - _PENCE) < 0.25) & ~split
    in_pence = _in_pence(rows[pence], moves[pence], starts, len(bars))
    summary.doubt(bars, in_pence, "in pence: 100 or 1/100 times others")
    at = _mask(rows[split], len(bars))
    found = [f"as of {split_text(factor)}" for factor in factors[split]]
    summary.doubt(bars, at, "moving as at an unadjusted split, volume the other way", found)
    jump = _mask(rows[(np.abs(moves) > _JUMP) & ~split & ~pence], len(bars))
    summary.doubt(bars, jump, "moving beyond +60 % or -38 % in a day, as an unadjusted split would")


def _mask(rows: np.ndarray, size: int) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[rows] = True
    return mask


def _beyond_usual_range(
    rows: np.ndarray, high: np.ndarray, low: np.ndarray, top: np.ndarray, bottom: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Return which rows reach further than 10 times the median range of their history, bool `[len(rows)]`."""
    ends = np.append(starts[1:], len(high))
    own = np.searchsorted(starts, rows, side="right") - 1
    usual = {
        number: float(np.median(high[starts[number] : ends[number]] / low[starts[number] : ends[number]]))
        for number in np.unique(own).tolist()
    }
    limit = np.array([_USUAL_RANGES * (usual[number] - 1.0) for number in own.tolist()])
    return np.maximum(high[rows] / top[rows], bottom[rows] / low[rows]) - 1.0 > limit


def _stale(bars: pd.DataFrame, starts: np.ndarray) -> np.ndarray:
    """Return the bars in runs of `_STALE` or more that repeat the four prices of the bar before, bool `[N]`."""
    same = np.ones(len(bars), dtype=bool)
    for name in ("open", "high", "low", "close"):
        values = bars[name].to_numpy()
        same[1:] &= values[1:] == values[:-1]
    same[starts] = False
    if not same.any():
        return same
    runs = np.cumsum(~same)
    return same & (np.bincount(runs, weights=same)[runs] >= _STALE)


def _split_factor(bars: pd.DataFrame, row: int, move: float, starts: np.ndarray) -> float:
    """Return the factor of the split that a move looks like, 0 for a move that looks like none.

    Open and close move together, the prices stay there, and the volume moves the other way.
    """
    logs = np.log(_FACTORS)
    nearest = int(np.argmin(np.abs(logs - abs(move))))
    log = -np.sign(move) * logs[nearest]  # a fall by half is a split of two for one
    begin = int(starts[np.searchsorted(starts, row, side="right") - 1])
    end = int(np.append(starts, len(bars))[np.searchsorted(starts, row, side="right")])
    close, opened = bars["close"].to_numpy(), bars["open"].to_numpy()
    overnight = float(np.log(opened[row] / close[row - 1]))
    if max(abs(move + log), abs(overnight + log)) > _NEAR:
        return 0.0
    levels = [np.median(close[max(begin, row - _STAYS) : row]), np.median(close[row : min(end, row + _STAYS)])]
    if abs(np.log(levels[1] / levels[0]) + log) > 2 * _NEAR:
        return 0.0
    first, last = max(begin, row - SESSIONS), min(end, row + SESSIONS)
    change = volume_change(bars["volume"].to_numpy(), first, row, last)
    return float(np.exp(log)) if change / log > 0.5 else 0.0


def _in_pence(rows: np.ndarray, moves: np.ndarray, starts: np.ndarray, size: int) -> np.ndarray:
    """Return the bars that are 100 times or 1/100 of most of their history, bool `[size]`.

    Args:
        rows: bars at which prices move by about 100 times or 1/100.
        moves: log returns of these.
        starts: first bar of each history.
        size: number of bars.
    """
    out = np.zeros(size, dtype=bool)
    if not len(rows):
        return out
    steps = np.zeros(size, dtype=np.int64)
    steps[rows] = np.sign(moves).astype(np.int64)
    group = row_groups(starts, size)
    for number in np.unique(group[rows]).tolist():
        own = slice(int(starts[number]), int(np.append(starts, size)[number + 1]))
        levels, counts = np.unique(np.cumsum(steps[own]), return_counts=True)
        out[own] = np.cumsum(steps[own]) != levels[counts.argmax()]
    return out
