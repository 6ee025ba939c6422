"""Columns whose digits or few values encode the label, and columns that encode the date."""

import numpy as np
from scipy.stats import chi2, rankdata

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import DIRECTION

CHECK = "encoded labels"

_MAX_V_DIGITS = 0.2  # Cramer's V of uninformative digits is far below
_MAX_V_VALUES = 0.65  # of a column with few values; above, the values nearly determine the class
_MAX_P = 1e-9
_FEW_VALUES = 12
_MODULI = range(2, 14)
_MIN_DEVIATIONS = 3.0  # of integers, in moduli; above, a remainder does not follow from the size
_DECIMALS = 9
_PLACES = range(-8, 3)


def encoded_labels(table: AuditTable) -> CheckResult:
    """Find columns whose low digits or few values depend on the class, and columns that encode the date."""
    alarms = [found for name in table.features if (found := _clock(table, name))]
    if DIRECTION in table.frame:
        alarms += [found for name in table.features if (found := _digits(table, name))]
    elif not alarms:
        return skipped(CHECK, f"not run: the table has no {DIRECTION}")
    return CheckResult(
        CHECK,
        f"{len(table.features)} columns; no digits depend on the class, and no column encodes the date",
        tuple(alarms),
    )


def _clock(table: AuditTable, name: str) -> Alarm | None:
    """Alarm for a column that grows with every period or every row."""
    values, time = table.column(name), table.periods.astype(np.float64)
    weeks = len(np.unique(time))
    if weeks < 20 or not np.isfinite(values).all() or len(np.unique(values)) < 0.9 * weeks:
        return None
    straight = abs(float(np.corrcoef(values, time)[0, 1]))
    ranked = abs(float(np.corrcoef(rankdata(values), rankdata(time))[0, 1]))
    if min(straight, ranked) < 0.999:
        return None
    return Alarm(
        CHECK,
        name,
        f"correlates {straight:.5f} with the date: it is a row number, an index or a date",
        "features whose values recur: no later row has a value of the training rows",
        f"Leave {name} out.",
    )


def _digits(table: AuditTable, name: str) -> Alarm | None:
    """Alarm for a column whose low digits or few values depend on the class."""
    values = table.column(name)
    distinct, code = np.unique(values, return_inverse=True)
    if not np.isfinite(values).all() or len(distinct) < 2:
        return None
    if len(distinct) <= _FEW_VALUES:
        candidates, max_v = [(f"its {len(distinct)} values", code)], _MAX_V_VALUES
    elif name in table.shared:
        return None  # one value per period depends on the classes of the period
    else:
        candidates, max_v = _low_digits(values), _MAX_V_DIGITS
    for what, digit in candidates:
        strength, p = cramers_v(digit, table.labels)
        if strength > max_v and p < _MAX_P:
            return _code_alarm(name, what, strength, p)
    return None


def _low_digits(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Digits far below the column's deviation, which should be random: name and codes `[N]`."""
    places = [10.0**place for place in _PLACES if 10.0**place < 0.02 * values.std()]
    digits = [(f"its digits at {place:g}", np.floor(np.abs(values) / place + 1e-6) % 10) for place in places]
    decimals = _decimals(values)
    if len(np.unique(decimals)) > 1:
        digits.append(("its numbers of decimals", decimals))
    if decimals.max() <= 2:  # integers, or prices in cents
        whole = np.round(values * 10.0 ** decimals.max())
        unit = "" if decimals.max() == 0 else " in units of its last decimal"
        apart = [modulus for modulus in _MODULI if whole.std() > _MIN_DEVIATIONS * modulus]
        digits += [(f"its remainders by {modulus}{unit}", whole % modulus) for modulus in apart]
    return digits


def _decimals(values: np.ndarray) -> np.ndarray:
    """Decimals that each value is written with, int64 `[N]`; `_DECIMALS` for more."""
    out = np.full(len(values), _DECIMALS, dtype=np.int64)
    for places in reversed(range(_DECIMALS)):
        left = out == places + 1  # one more decimal sufficed
        if not left.any():
            break
        exact = np.abs(np.round(values[left], places) - values[left]) <= 1e-12 * np.maximum(np.abs(values[left]), 1.0)
        out[np.flatnonzero(left)[exact]] = places
    return out


def cramers_v(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Cramer's V of two codes `[N]`, 0 to 1, and the p-value of Pearson's chi-squared test of independence."""
    codes = [np.unique(values, return_inverse=True) for values in (first, second)]
    rows, columns = (len(distinct) for distinct, _ in codes)
    if min(rows, columns) < 2:
        return 0.0, 1.0
    counts = np.bincount(codes[0][1] * columns + codes[1][1], minlength=rows * columns).reshape(rows, columns)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / len(first)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    p = float(chi2.sf(statistic, (rows - 1) * (columns - 1)))
    return float(np.sqrt(statistic / (len(first) * (min(rows, columns) - 1)))), p


def _code_alarm(name: str, what: str, strength: float, p: float) -> Alarm:
    return Alarm(
        CHECK,
        name,
        f"{what} depend on the class (Cramer's V {strength:.2f}, p {p:.0e})",
        "digits below the precision of a value to be independent of the class",
        f"Check how {name} is computed; leave it out until that is known.",
    )
