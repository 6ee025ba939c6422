"""Gaps that were filled with later values: interpolated, or filled backwards."""

import numpy as np
from scipy.stats import norm, rankdata

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.single_columns import single_returns
from ste.schema import RETURN

CHECK = "filled gaps"

_MIN_LINEAR = 0.05  # fraction of the steps that equal the next one
_SAME = 1e-7  # relative, of a step
_MIN_REPEATS, _MAX_REPEATS = 0.01, 0.6  # fraction of a column's rows that equal the next
_MIN_ROWS = 60
_MIN_CORRELATION = 0.2
_FALSE_ALARM = 1e-6


def filled_gaps(table: AuditTable) -> CheckResult:
    """Find columns with equal steps, which an interpolation leaves, and repeated values that move with the future."""
    alarms = []
    returns = single_returns(table) if RETURN in table.frame else None
    names = [name for name in table.features if not _counts(table.column(name))]
    if not names:
        return skipped(CHECK, "not run: every column holds whole numbers")
    bound = float(norm.isf(_FALSE_ALARM / len(names)))
    for name in names:
        values = table.column(name)
        before, ahead = table.ahead(values, -1), table.ahead(values, 1)
        fraction = _linear(values, before, ahead)
        if fraction > _MIN_LINEAR:
            alarms.append(_interpolated(name, fraction, table.word))
        elif returns is not None and name not in table.shared:
            found = _backwards(table, name, (before, values, ahead), returns, bound)
            alarms += [found] if found else []
    line = f"{len(names)} columns without interpolated values or backward fills"
    return CheckResult(CHECK, line, tuple(alarms))


def _counts(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return len(np.unique(known[:5000])) < 20 or bool(np.array_equal(known, np.round(known)))


def _linear(values: np.ndarray, before: np.ndarray, ahead: np.ndarray) -> float:
    """Fraction of the rows between two others whose step equals the next one, where they move."""
    known = np.isfinite(values) & np.isfinite(before) & np.isfinite(ahead)
    if known.sum() < _MIN_ROWS:
        return 0.0
    step, following = (values - before)[known], (ahead - values)[known]
    size = np.abs(values[known]) + values[known].std() * 0.01
    moved = np.abs(step) > 1e-6 * size
    equal = moved & (np.abs(step - following) < _SAME * size)
    coarse = moved & (np.abs(step - following) >= _SAME * size) & (np.abs(step - following) < 100 * _SAME * size)
    if coarse.sum() * 2 > equal.sum() or _grid(values[known]):
        return 0.0
    whole = equal.sum() / max(moved.sum(), 1)
    return float(whole) if whole < 0.98 else 0.0  # a clock, which another check names


def _grid(values: np.ndarray) -> bool:
    """Whether the values lie on a coarse grid, on which equal steps are chance."""
    return len(np.unique(np.round(values, 12))) < 0.2 * len(values) and bool(
        np.abs(values * 1e4 - np.round(values * 1e4)).max() < 1e-6
    )


def _interpolated(name: str, fraction: float, word: str) -> Alarm:
    return Alarm(
        CHECK,
        name,
        f"{fraction:.0%} of its steps equal the next to the last digit: values between two others were interpolated",
        f"values known at the row's close; an interpolation needs that of a later {word}",
        f"Carry the last value of {name} forward instead.",
    )


def _backwards(
    table: AuditTable, name: str, values: tuple[np.ndarray, np.ndarray, np.ndarray], returns: np.ndarray, bound: float
) -> Alarm | None:
    """Alarm where a value equals the next one and moved from the last one with the return in between."""
    before, now, ahead = values
    pairs = np.isfinite(now) & np.isfinite(ahead)
    repeated = pairs & (now == ahead)
    fraction = repeated.sum() / max(pairs.sum(), 1)
    change = now - before
    rows = repeated & np.isfinite(change) & np.isfinite(returns) & (change != 0)
    if not _MIN_REPEATS < fraction < _MAX_REPEATS or rows.sum() < _MIN_ROWS:
        return None
    close = table.close
    if close is not None:
        change = change / np.where(close > 0, close, np.nan)
    rows &= np.isfinite(change)
    correlation = _spearman(change[rows], returns[rows])
    other = pairs & ~repeated & np.isfinite(change) & np.isfinite(returns)
    usual = _spearman(change[other], returns[other])
    excess = abs(correlation) - abs(usual)
    if excess < _MIN_CORRELATION or excess * np.sqrt(rows.sum() - 3) < bound:
        return None
    return Alarm(
        CHECK,
        name,
        f"{fraction:.0%} of its values equal the next one, and where they do, the change before has a correlation of "
        f"{correlation:+.2f} with the coming return ({usual:+.2f} elsewhere): gaps were filled with later values",
        "gaps filled with the last value known",
        f"Fill {name} forwards (ffill), or leave the gaps.",
    )


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < _MIN_ROWS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
