"""Labels hidden in a column's digits or in a handful of values, and columns that only count the rows."""

import numpy as np
from scipy.stats import chi2, rankdata

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import DIRECTION

CHECK = "codes"

_STRENGTH = 0.2  # Cramer's V of digits that say nothing is far below it
_DECISIVE = 0.65  # V of few values that all but name the class
_CHANCE = 1e-9
_FEW = 12
_SPREAD = 3.0  # of whole numbers, beyond which a remainder by 3 is no size
_PLACES = range(-8, 3)


def hidden_codes(table: AuditTable) -> CheckResult:
    """Columns whose low digits or few values name the class, and columns that are the time itself."""
    alarms = [found for name in table.features if (found := _clock(table, name))]
    if DIRECTION in table.frame:
        alarms += [found for name in table.features if (found := _digits(table, name))]
    elif not alarms:
        return skipped(CHECK, f"not run: the table has no {DIRECTION}")
    return CheckResult(CHECK, f"digits of {len(table.features)} columns say nothing; none counts rows", tuple(alarms))


def _clock(table: AuditTable, name: str) -> Alarm | None:
    """A column that grows with every period or every row."""
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
        "features that could come back: no later row has a value that training has seen",
        f"Leave {name} out.",
    )


def _digits(table: AuditTable, name: str) -> Alarm | None:
    values = table.column(name)
    distinct, code = np.unique(values, return_inverse=True)
    if not np.isfinite(values).all() or len(distinct) < 2:
        return None
    if len(distinct) <= _FEW:
        looks, least = [(f"its {len(distinct)} values", code)], _DECISIVE
    elif name in table.shared:
        return None  # one value for a whole period names the period, and with it its classes
    else:
        looks, least = _low_digits(values), _STRENGTH
    for what, digit in looks:
        strength, p = cramers_v(digit, table.labels)
        if strength > least and p < _CHANCE:
            return _code_alarm(name, what, strength, p)
    return None


def _low_digits(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Digits far below the column's spread, where nothing but a code can speak; codes `[N]` by name."""
    places = [10.0**place for place in _PLACES if 10.0**place < 0.02 * values.std()]
    looks = [(f"its digits at {place:g}", np.floor(np.abs(values) / place + 1e-6) % 10) for place in places]
    if np.array_equal(values, np.round(values)) and values.std() > _SPREAD:
        looks.append(("its remainders by 3", values % 3))
    return looks


def cramers_v(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Cramer's V of two codes `[N]`, 0 to 1, and the p-value of Pearson's chi-squared test of independence."""
    rows, columns = (np.unique(code, return_inverse=True)[1] for code in (first, second))
    seen = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(seen, (rows, columns), 1)
    if min(seen.shape) < 2:
        return 0.0, 1.0
    expected = seen.sum(1, keepdims=True) * seen.sum(0) / seen.sum()
    statistic = float(((seen - expected) ** 2 / expected).sum())
    freedom = (seen.shape[0] - 1) * (seen.shape[1] - 1)
    return float(np.sqrt(statistic / seen.sum() / (min(seen.shape) - 1))), float(chi2.sf(statistic, freedom))


def _code_alarm(name: str, what: str, strength: float, p: float) -> Alarm:
    return Alarm(
        CHECK,
        name,
        f"{what} go with the class (Cramer's V {strength:.2f}, p {p:.0e})",
        "digits below a value's own precision to say nothing",
        f"Look at how {name} is made; leave it out until that is known.",
    )
