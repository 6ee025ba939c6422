"""Bars whose values need a later day: interpolated closes, ranges that reach into the next day, backward fills."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ste.leakage.check_result import Alarm, CheckResult

CHECK = "bar values"

_MIN_LINEAR = 0.02  # fraction of the closes in the middle of their neighbours
_MIN_OVER = 3.0  # times the closes that are nearly there
_CENT = 0.0101
_MIN_INSIDE = 0.99  # fraction of the closes within the range of the day before
_MAX_USUAL = 0.9
_MIN_COPIES, _MIN_COPIED = 20, 0.003
_GAP = 2.0  # the gap before a bar that was filled backwards over that after it
_MIN_ROWS = 120


def bar_values(bars: pd.DataFrame, file: str = "bars") -> CheckResult:
    """Find bars that were interpolated, widened or filled with those of a later day.

    Args:
        bars: `ticker`, `date`, `open`, `high`, `low`, `close`, sorted by ticker and date.
        file: name of the file, for messages.
    """
    alarms = [found for check in (_interpolated, _wide_ranges, _backward_fills) for found in check(bars, file)]
    line = f"{len(bars):,} bars, none interpolated, filled backwards or with the range of two days"
    return CheckResult(CHECK, line, tuple(alarms))


def _shifted(bars: pd.DataFrame, column: str, steps: int) -> np.ndarray:
    """The column `steps` rows later of the same ticker, NaN beyond its ends, float64 `[N]`."""
    return bars.groupby("ticker", observed=True)[column].shift(-steps).to_numpy(dtype=np.float64)


def _interpolated(bars: pd.DataFrame, file: str) -> Iterator[Alarm]:
    """Closes halfway between their neighbours, far more often than nearly halfway."""
    for column in ("close", "open", "high", "low"):
        now, before, after = bars[column].to_numpy(dtype=np.float64), *(_shifted(bars, column, s) for s in (-1, 1))
        known = np.isfinite(before) & np.isfinite(after) & np.isfinite(now) & (now != before) & (now != after)
        if known.sum() < _MIN_ROWS:
            continue
        off = np.abs(before + after - 2 * now)[known]
        price = now[known]
        cents = np.abs(price * 100 - np.round(price * 100)).max() < 1e-6
        near = np.full(len(price), _CENT) if cents else 1e-6 * price
        exact, around = float((off <= near).mean()), float(((off > near) & (off <= 3 * near)).mean())
        if exact > _MIN_LINEAR and exact > _MIN_OVER * around:
            row = bars[known][off <= near].iloc[0]
            yield Alarm(
                CHECK,
                f"{file}: {column}",
                f"{exact:.0%} lie halfway between the day before and the day after, the first {row['ticker']} "
                f"{row['date']:%Y-%m-%d}: {row[column]:g} (by chance about {around / 2:.1%})",
                "days without a price to be left out",
                f"Remove the interpolated values of {column}: each needs the price of a later day.",
            )


def _wide_ranges(bars: pd.DataFrame, file: str) -> Iterator[Alarm]:
    """Ranges that hold the next day's close as they hold their own."""
    low, high = (bars[name].to_numpy(dtype=np.float64) for name in ("low", "high"))
    inside = []
    for steps in (1, -1):
        close = _shifted(bars, "close", steps)
        known = np.isfinite(close) & (high > low)
        if known.sum() < _MIN_ROWS:
            return
        inside.append(float(((close >= low * 0.9999) & (close <= high * 1.0001))[known].mean()))
    if inside[0] > _MIN_INSIDE and inside[1] < _MAX_USUAL:
        yield Alarm(
            CHECK,
            f"{file}: high and low",
            f"{inside[0]:.1%} of the closes lie between low and high of the day before, {inside[1]:.0%} between those "
            "of the day after",
            "about as many in both directions",
            "high and low cover the next day too: give those of the row's own day.",
        )


def _backward_fills(bars: pd.DataFrame, file: str) -> Iterator[Alarm]:
    """Bars that are copies of the next day's: the price jumps before the copy and not after the original."""
    prices = ["open", "high", "low", "close"]
    same = np.ones(len(bars), dtype=bool)
    for name in prices:
        same &= bars[name].to_numpy(dtype=np.float64) == _shifted(bars, name, 1)
    same &= (bars["high"] > bars["low"]).to_numpy()  # a day without trades has one price
    opened, close = (bars[name].to_numpy(dtype=np.float64) for name in ("open", "close"))
    last, following = _shifted(bars, "close", -1), _shifted(bars, "open", 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        before, after = np.abs(opened / last - 1), np.abs(following / close - 1)
    rows = same & np.isfinite(before) & np.isfinite(after)
    if rows.sum() < max(_MIN_COPIES, _MIN_COPIED * len(bars)):
        return
    gaps = float(np.median(before[rows])), float(np.median(after[rows]))
    if gaps[0] < _GAP * gaps[1] and gaps[1] >= _GAP * gaps[0]:
        return  # filled forwards
    row = bars[rows].iloc[0]
    backwards = gaps[0] >= _GAP * gaps[1]
    yield Alarm(
        CHECK,
        f"{file}: filled bars",
        f"{rows.sum():,} bars equal the next day's, the first {row['ticker']} {row['date']:%Y-%m-%d}; the median gap "
        f"from the close before them to their open is {gaps[0]:.2%}, after them {gaps[1]:.2%}"
        + (": they were filled backwards" if backwards else ""),
        "days without trading to be left out",
        "Remove the filled bars: a backward fill shows the price of a later day.",
    )
