"""Preprocessing leakage: scalers and thresholds that were fitted to rows of validation or test.

A scaled column has mean 0 and deviation 1, or a range of 0 to 1, or evenly spread ranks, to the last digit on the rows
that the scaler was fitted to and on no others. Quantile thresholds give equal classes on the rows that they were fitted
to.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from ste.config.feature_sets import shipped_sets
from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import DIRECTION, RETURN

SCALERS = "scalers"
THRESHOLDS = "thresholds"

_FITTED, _NOT_FITTED = 0.004, 0.04  # distance from a scaler's form: below on fitted rows, above on others
_EXACT, _NOT_EXACT = 1e-4, 1e-3  # the same where no row was dropped after scaling
_MIN_VALUES = 20  # distinct values; with fewer, a column may look scaled by chance
_QUANTILES = {"terciles": (1 / 3, 2 / 3), "quarters": (1 / 4, 3 / 4), "fifths": (1 / 5, 4 / 5), "30/40/30": (0.3, 0.7)}
_MIN_ROWS = 300  # with fewer, exact counts may be chance
_GRID = 0.0005  # a threshold on this grid was typed and not computed


@cache
def _bounded() -> frozenset[str]:
    """Return the names of shipped features with a lower and an upper bound."""
    columns = (column for one in shipped_sets() for column in one.columns)
    return frozenset(column.name for column in columns if column.low is not None and column.high is not None)


def _standard(values: np.ndarray) -> float:
    """Distance of mean and deviation from 0 and 1."""
    spread = min(abs(values.std() - 1.0), abs(values.std(ddof=1) - 1.0))
    return float(max(abs(values.mean()), spread))


def _minmax(values: np.ndarray) -> float:
    """Distance of the range from [0, 1], or from [-1, 1]; infinite where many values equal a bound."""
    low, high = values.min(), values.max()
    if max(np.mean(values == low), np.mean(values == high)) > 0.05:
        return np.inf
    return float(min(max(abs(low - floor), abs(high - 1.0)) for floor in (0.0, -1.0)) * 1e4)  # a fitted range is exact


def _ranks(values: np.ndarray) -> float:
    """Largest distance of the values from their own ranks in (0, 1], times 4, since fitted ranks are closer."""
    ranks, n = rankdata(values), len(values)
    forms = (ranks / n, (ranks - 0.5) / n, (ranks - 1) / max(n - 1, 1))
    return float(4 * min(np.abs(values - form).max() for form in forms))


_SCALER_FORMS: dict[str, tuple[Callable[[np.ndarray], float], str]] = {
    "z-score": (_standard, "mean 0 and deviation 1"),
    "min-max": (_minmax, "a range of exactly 0 to 1"),
    "ranks": (_ranks, "evenly spread ranks"),
}


def future_scalers(table: AuditTable) -> CheckResult:
    """Find columns scaled with rows of validation or test, over the table or ticker by ticker."""
    spans = _spans(table)
    if not spans:
        return skipped(SCALERS, "not run: the table has only one split")
    alarms = [found for name in table.features if (found := _scaled(table, name, spans))]
    seen = f"{len(table.features)} columns; no scaler was fitted beyond training"
    return CheckResult(SCALERS, seen, tuple(alarms))


def _spans(table: AuditTable) -> dict[str, np.ndarray]:
    """Sets of rows that a scaler may have been fitted to, by name; each includes rows beyond training."""
    later = int(table.split.max())
    if later == 0 or not table.training.any():
        return {}
    spans = {"all rows": np.ones(len(table.split), dtype=bool)}
    if later == 2 and (table.split == 1).any():
        spans["the rows of train and validation"] = table.split <= 1
    return spans


def _scaled(table: AuditTable, name: str, spans: dict[str, np.ndarray]) -> Alarm | None:
    values = table.column(name)
    if not np.isfinite(values).all() or len(np.unique(values[:5000])) < _MIN_VALUES:
        return None
    for kind, (distance, words) in _SCALER_FORMS.items():
        if kind == "min-max" and name in _bounded():
            continue
        for span, rows in spans.items():
            over, train = distance(values[rows]), distance(values[table.training])
            together = _fits(over, train)
            each = not together and name not in table.shared and _per_ticker(table, values, rows, distance)
            if together or each:
                return _scaled_alarm(table, name, span, rows, words, each)
    return None


def _fits(over: float, train: float) -> bool:
    """Whether a scaler was fitted to the rows with distance `over` and not to the training rows alone."""
    return (over < _FITTED and train > _NOT_FITTED) or (over < _EXACT and train > _NOT_EXACT)


def _per_ticker(
    table: AuditTable, values: np.ndarray, rows: np.ndarray, distance: Callable[[np.ndarray], float]
) -> bool:
    """Whether most tickers are scaled by themselves over `rows`, and not over their training rows."""
    count = int(table.tickers.max()) + 1
    if count < 2:
        return False
    scaled = tried = 0
    for ticker in range(count):
        own = table.tickers == ticker
        over, train = values[own & rows], values[own & table.training]
        if len(train) < _MIN_VALUES or len(over) == len(train):
            continue
        tried += 1
        scaled += _fits(distance(over), distance(train))
        if tried >= 4 and scaled == 0:
            return False
    return tried >= 2 and scaled > 0.7 * tried


def _scaled_alarm(table: AuditTable, name: str, span: str, rows: np.ndarray, words: str, each: bool) -> Alarm:
    values = table.column(name)
    what = f"{'ticker by ticker ' if each else ''}{words} over {span}"
    if not each:
        over, train = values[rows], values[table.training]
        what += (
            f" (mean {over.mean():+.4f}, deviation {over.std():.4f}, {over.min():.3g} to {over.max():.3g}), over the "
            f"training rows mean {train.mean():+.4f}, deviation {train.std():.4f}, {train.min():.3g} to "
            f"{train.max():.3g}"
        )
    return Alarm(
        SCALERS,
        name,
        f"has {what}",
        "a scaler fitted to the training rows, or raw values",
        f"Give {name} unscaled (ste.train scales by the training rows), or fit its scaler to the training rows.",
    )


def future_thresholds(table: AuditTable) -> CheckResult:
    """Find classes cut at quantiles of rows beyond training."""
    spans = _spans(table)
    if not spans or RETURN not in table.frame or DIRECTION not in table.frame or table.trends != 3:
        return skipped(THRESHOLDS, "not run: needs returns, labels of three trends and more than one split")
    train = _fractions(table, table.training)
    limits = _limits(table)
    typed = limits is not None and all(_typed(low, high) for low, high in limits)
    shown = ", ".join(f"{fraction:.4f}" for fraction in train)
    line = f"class fractions in training {shown}" + ("; thresholds are round numbers" if typed else "")
    free = limits is not None and not typed
    for span, rows in spans.items():
        fractions, n = _fractions(table, rows), int(rows.sum())
        if not free and n < _MIN_ROWS:
            continue
        for kind, cuts in _QUANTILES.items():
            wanted = np.array([cuts[0], cuts[1] - cuts[0], 1 - cuts[1]])
            near = 0.002 if free else 1.5 / n  # round or scaled thresholds need an exact count
            if np.abs(fractions - wanted).max() <= near and np.abs(train - wanted).max() > max(2 * near, 0.003):
                alarm = Alarm(
                    THRESHOLDS,
                    DIRECTION,
                    f"its classes are {kind} of {span} ({', '.join(f'{s:.4f}' for s in fractions)}), and not of the "
                    f"training rows ({shown})",
                    "thresholds fixed beforehand, or quantiles of the training rows",
                    "Cut the classes again: labels=terciles takes the terciles of the training rows.",
                )
                return CheckResult(THRESHOLDS, line, (alarm,))
    return CheckResult(THRESHOLDS, line)


def _fractions(table: AuditTable, rows: np.ndarray) -> np.ndarray:
    """Fraction of each class among the rows, `[C]`."""
    counts = np.bincount(table.labels[rows], minlength=table.trends)[: table.trends]
    return counts / counts.sum()


def _limits(table: AuditTable) -> list[tuple[float, float]] | None:
    """Returns between which each threshold lies, or None where no common threshold separates the classes."""
    groups = [table.returns[table.labels == trend] for trend in range(table.trends)]
    groups = [group for group in groups if len(group)]
    limits = [(float(a.max()), float(b.min())) for a, b in pairwise(groups)]
    return limits if all(low <= high for low, high in limits) else None


def _typed(low: float, high: float) -> bool:
    """Whether a round number lies between the two returns."""
    return bool(np.ceil((low - 1e-9) / _GRID) * _GRID <= high + 1e-9)
