"""Scalers that were fitted to rows of validation or test.

A scaled column has mean 0 and deviation 1, or median 0 and quartiles 1 apart, or a range of 0 to 1, or evenly spread
ranks, to the last digit on the rows that the scaler was fitted to and on no others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import rankdata

from ste.config.feature_sets import shipped_sets
from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped

SCALERS = "scalers"

_FITTED, _NOT_FITTED = 0.004, 0.04  # distance from a scaler's form: below on fitted rows, above on others
_EXACT, _NOT_EXACT = 1e-4, 1e-3  # the same where no row was dropped after scaling
_MIN_VALUES = 20  # distinct values; with fewer, a column may look scaled by chance
_RANGE = 1e4  # a fitted range is exact
_CENTRE = 100.0  # and so is a fitted mean, which columns relative to their own past nearly have


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
    return float(min(max(abs(low - floor), abs(high - 1.0)) for floor in (0.0, -1.0)) * _RANGE)


def _robust(values: np.ndarray) -> float:
    """Distance of the median from 0, and of the interquartile range or the median absolute deviation from 1."""
    if np.array_equal(values, np.round(values)):
        return np.inf  # counts
    low, middle, high = np.percentile(values, [25, 50, 75])
    deviation = float(np.median(np.abs(values - middle)))
    scales = (high - low, (high - low) / 1.349, deviation, 1.4826 * deviation)
    return float(max(abs(middle), min(abs(scale - 1.0) for scale in scales)))


def _mean_one(values: np.ndarray) -> float:
    """Distance of the mean from 1."""
    return float(abs(values.mean() - 1.0) * _CENTRE)


def _largest_one(values: np.ndarray) -> float:
    """Distance of the largest absolute value from 1; infinite where several values equal it."""
    size = np.abs(values)
    return np.inf if (size == size.max()).sum() > 2 else float(abs(size.max() - 1.0) * _RANGE)


def _last_one(values: np.ndarray) -> float:
    """Distance of the last value in time from 1."""
    return float(abs(values[-1] - 1.0) * _RANGE)


def _ranks(values: np.ndarray) -> float:
    """Largest distance of the values from their own ranks in (0, 1], times 4, since fitted ranks are closer."""
    ranks, n = rankdata(values), len(values)
    forms = (ranks / n, (ranks - 0.5) / n, (ranks - 1) / max(n - 1, 1))
    return float(4 * min(np.abs(values - form).max() for form in forms))


@dataclass(frozen=True)
class _Form:
    """What a scaler leaves behind.

    Attributes:
        distance: of values `[N]` in date order from it, 0 for a fitted scaler.
        words: for messages.
        bounded: whether a column whose range is declared has it too.
        table: whether it is looked for over the rows of all tickers; else ticker by ticker alone.
    """

    distance: Callable[[np.ndarray], float]
    words: str
    bounded: bool = False
    table: bool = True


_FORMS = (
    _Form(_standard, "mean 0 and deviation 1"),
    _Form(_robust, "median 0 and a spread of 1 (interquartile range or median absolute deviation)"),
    _Form(_minmax, "a range of exactly 0 to 1", bounded=True),
    _Form(_ranks, "evenly spread ranks"),
    _Form(_largest_one, "a largest value of exactly 1", bounded=True),
    _Form(_mean_one, "a mean of exactly 1"),
    _Form(_last_one, "a last value of exactly 1: the values are relative to the last one", table=False),
)


def future_scalers(table: AuditTable) -> CheckResult:
    """Find columns scaled with rows of validation or test, over the table or ticker by ticker."""
    spans = later_spans(table)
    if not spans:
        return skipped(SCALERS, "not run: the table has only one split")
    alarms = [found for name in table.features if (found := _scaled(table, name, spans))]
    seen = f"{len(table.features)} columns; no scaler was fitted beyond training"
    return CheckResult(SCALERS, seen, tuple(alarms))


def later_spans(table: AuditTable) -> dict[str, np.ndarray]:
    """Return sets of rows that a scaler may have been fitted to, by name; each includes rows beyond training."""
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
    for form in _FORMS:
        if form.bounded and name in _bounded():
            continue
        for span, rows in spans.items():
            together = form.table and _fits(form.distance(values[rows]), form.distance(values[table.training]))
            each = not together and name not in table.shared and _per_ticker(table, values, rows, form.distance)
            if together or each:
                return _scaled_alarm(table, name, span, rows, form.words, each)
    return None


def _fits(over: float, train: float) -> bool:
    """Whether a scaler was fitted to the rows with distance `over` and not to the training rows alone."""
    return (over < _FITTED and train > _NOT_FITTED) or (over < _EXACT and train > _NOT_EXACT)


def _per_ticker(
    table: AuditTable, values: np.ndarray, rows: np.ndarray, distance: Callable[[np.ndarray], float]
) -> bool:
    """Whether the tickers are scaled by themselves over `rows`, and some of them not over their training rows.

    A ticker whose training rows hold both of its extremes does not say which rows its range was fitted to.
    """
    count = int(table.tickers.max()) + 1
    if count < 2:
        return False
    beyond = tried = missed = 0
    for ticker in range(count):
        own = table.tickers == ticker
        over, train = values[own & rows], values[own & table.training]
        if len(train) < _MIN_VALUES or len(over) == len(train):
            continue
        tried += 1
        fits = distance(over)
        beyond += _fits(fits, distance(train))
        missed += fits >= _EXACT and not _fits(fits, np.inf)
        if missed > 3 and missed > 0.1 * count:
            return False
    return tried >= 2 and beyond >= max(2, 0.2 * tried) and missed <= 0.1 * tried


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
