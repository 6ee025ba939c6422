"""Scalers and thresholds that saw the future: what is exact over all rows and not over the training rows.

A scaler fitted to a table leaves its mark on it: mean 0 and deviation 1, or values from 0 to 1, or evenly
spread ranks, to the last digit on the rows it was fitted to and on no others. Quantile thresholds leave
equal classes on theirs.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import DIRECTION, FEATURE_COLUMNS, RETURN, Trend

SCALERS = "scalers"
THRESHOLDS = "thresholds"

_NEAR, _FAR = 0.004, 0.04  # distance from a scaler's mark of rows it saw, and of rows it was not fitted to
_EXACT, _OFF = 1e-4, 1e-3  # the same where no row was dropped after scaling
_FEWEST = 20  # distinct values below which a column may look scaled by chance
_BOUNDED = frozenset(column.name for column in FEATURE_COLUMNS if column.low is not None and column.high is not None)
_QUANTILES = {"thirds": (1 / 3, 2 / 3), "quarters": (1 / 4, 3 / 4), "fifths": (1 / 5, 4 / 5), "30/40/30": (0.3, 0.7)}
_FEWEST_ROWS = 300  # below which exact counts may be chance
_ROUND = 0.0005  # a threshold on this grid was typed and not computed


def _standard(values: np.ndarray) -> float:
    spread = min(abs(values.std() - 1.0), abs(values.std(ddof=1) - 1.0))
    return float(max(abs(values.mean()), spread))


def _minmax(values: np.ndarray) -> float:
    """Distance of the range from [0, 1], or from [-1, 1]; a bound that many values sit on is a natural one."""
    low, high = values.min(), values.max()
    if max(np.mean(values == low), np.mean(values == high)) > 0.05:
        return np.inf
    return float(min(max(abs(low - floor), abs(high - 1.0)) for floor in (0.0, -1.0)) * 1e4)  # exact or not at all


def _ranks(values: np.ndarray) -> float:
    """Largest distance of the values from their own ranks in (0, 1], times 4: fitted ranks are closer."""
    ranks, n = rankdata(values), len(values)
    forms = (ranks / n, (ranks - 0.5) / n, (ranks - 1) / max(n - 1, 1))
    return float(4 * min(np.abs(values - form).max() for form in forms))


_MARKS: dict[str, tuple[Callable[[np.ndarray], float], str]] = {
    "z-score": (_standard, "mean 0 and deviation 1"),
    "min-max": (_minmax, "a range of exactly 0 to 1"),
    "ranks": (_ranks, "evenly spread ranks"),
}


def future_scalers(table: AuditTable) -> CheckResult:
    """Columns scaled with rows of validation or test, over the whole table or ticker by ticker."""
    spans = _spans(table)
    if not spans:
        return skipped(SCALERS, "not run: the table has one split only")
    alarms = []
    for name in table.features:
        found = _scaled(table, name, spans)
        if found:
            alarms.append(found)
    seen = f"{len(table.features)} columns; none is scaled to rows beyond training"
    return CheckResult(SCALERS, seen, tuple(alarms))


def _spans(table: AuditTable) -> dict[str, np.ndarray]:
    """Rows that a careless scaler may have seen, by name; each holds rows beyond training."""
    later = int(table.split.max())
    if later == 0 or not table.training.any():
        return {}
    spans = {"all rows": np.ones(len(table.split), dtype=bool)}
    if later == 2 and (table.split == 1).any():
        spans["the rows of train and validation"] = table.split <= 1
    return spans


def _scaled(table: AuditTable, name: str, spans: dict[str, np.ndarray]) -> Alarm | None:
    values = table.column(name)
    if not np.isfinite(values).all() or len(np.unique(values[:5000])) < _FEWEST:
        return None
    for kind, (mark, words) in _MARKS.items():
        if kind == "min-max" and name in _BOUNDED:
            continue
        for span, rows in spans.items():
            over, train = mark(values[rows]), mark(values[table.training])
            whole = _fits(over, train)
            each = not whole and name not in table.shared and _per_ticker(table, values, rows, mark)
            if whole or each:
                return _scaled_alarm(table, name, span, rows, words, each)
    return None


def _fits(over: float, train: float) -> bool:
    return (over < _NEAR and train > _FAR) or (over < _EXACT and train > _OFF)


def _per_ticker(table: AuditTable, values: np.ndarray, rows: np.ndarray, mark: Callable[[np.ndarray], float]) -> bool:
    """Whether nearly every ticker by itself bears the mark over `rows` and not over its training rows."""
    count = int(table.tickers.max()) + 1
    if count < 2:
        return False
    bears = tried = 0
    for ticker in range(count):
        own = table.tickers == ticker
        over, train = values[own & rows], values[own & table.training]
        if len(train) < _FEWEST or len(over) == len(train):
            continue
        tried += 1
        bears += _fits(mark(over), mark(train))
        if tried >= 4 and bears == 0:
            return False
    return tried >= 2 and bears > 0.7 * tried


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
        "a scaler that saw the training rows alone, or raw values",
        f"Give {name} unscaled (ste.train scales by the training rows), or fit its scaler to the training rows.",
    )


def future_thresholds(table: AuditTable) -> CheckResult:
    """Classes cut at quantiles of rows beyond training."""
    spans = _spans(table)
    if not spans or RETURN not in table.frame or DIRECTION not in table.frame:
        return skipped(THRESHOLDS, "not run: needs returns, labels and more than one split")
    train = _shares(table, table.training)
    limits = _limits(table)
    typed = limits is not None and all(_typed(low, high) for low, high in limits)
    shown = ", ".join(f"{share:.4f}" for share in train)
    line = f"class shares in training {shown}" + ("; thresholds are round numbers" if typed else "")
    free = limits is not None and not typed
    for span, rows in spans.items():
        shares, n = _shares(table, rows), int(rows.sum())
        if not free and n < _FEWEST_ROWS:
            continue
        for kind, cuts in _QUANTILES.items():
            wanted = np.array([cuts[0], cuts[1] - cuts[0], 1 - cuts[1]])
            near = 0.002 if free else 1.5 / n  # of round or scaled thresholds only an exact count tells
            if np.abs(shares - wanted).max() <= near and np.abs(train - wanted).max() > max(2 * near, 0.003):
                alarm = Alarm(
                    THRESHOLDS,
                    DIRECTION,
                    f"its classes are {kind} of {span} ({', '.join(f'{s:.4f}' for s in shares)}), and not of the "
                    f"training rows ({shown})",
                    "thresholds fixed beforehand, or quantiles of the training rows",
                    "Cut the classes anew: data.labels.method=balanced takes the training rows' terciles.",
                )
                return CheckResult(THRESHOLDS, line, (alarm,))
    return CheckResult(THRESHOLDS, line)


def _shares(table: AuditTable, rows: np.ndarray) -> np.ndarray:
    counts = np.bincount(table.labels[rows], minlength=len(Trend))[: len(Trend)]
    return counts / counts.sum()


def _limits(table: AuditTable) -> list[tuple[float, float]] | None:
    """Returns between which each threshold must lie, or None where no common one cuts the classes."""
    groups = [table.returns[table.labels == trend] for trend in Trend]
    groups = [group for group in groups if len(group)]
    limits = [(float(a.max()), float(b.min())) for a, b in pairwise(groups)]
    return limits if all(low <= high for low, high in limits) else None


def _typed(low: float, high: float) -> bool:
    """Whether a round number lies between the two returns."""
    return bool(np.ceil((low - 1e-9) / _ROUND) * _ROUND <= high + 1e-9)
