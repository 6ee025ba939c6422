"""Values that were computed from rows beyond training: fills, clips, bins, components and residuals.

Each leaves an exact trace over the rows that it was fitted to and none over the training rows: the value that fills
gaps is the mean of the others, as many values are clipped as a quantile leaves out, bins are equally frequent,
components do not correlate, and residuals do not correlate with time.
"""

from itertools import combinations

import numpy as np

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.preprocessing import later_spans

CHECK = "fitted values"

_TAILS = (0.001, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1)
_EXACT = 1e-8  # of a correlation that was fitted to be 0
_NOT_EXACT = 1e-4
_SAME = 1e-6  # relative, of a value that was written to a file and read again
_MIN_ROWS = 200
_MIN_VALUES = 50  # distinct values of a continuous column
_MAX_COLUMNS = 400  # of which pairs are compared
_MIN_OWN = 40  # rows of a ticker


def fitted_values(table: AuditTable) -> CheckResult:
    """Find columns that were filled, clipped, binned or made uncorrelated over rows beyond training."""
    spans = later_spans(table)
    if not spans or table.training.sum() < _MIN_ROWS:
        return skipped(CHECK, f"not run: needs {_MIN_ROWS} training rows and another split")
    alarms: dict[str, Alarm] = {}
    smooth = []
    for name in table.features:
        values = table.column(name)
        known = np.isfinite(values)
        distinct = np.unique(values[known][:5000])
        if not known.all() or len(distinct) < 3 or name in table.shared:
            continue
        for span, rows in spans.items():
            seen = _filled(values, rows, table.training) or _binned(values, rows, table.training)
            if not seen and len(distinct) >= _MIN_VALUES:
                seen = _clipped(values, rows, table.training) or _residual(table, values, rows)
            if seen:
                alarms.setdefault(name, _alarm(name, f"{seen} over {span}, and not over the training rows"))
        if len(distinct) >= _MIN_VALUES:
            smooth.append(name)
    for span, rows in spans.items():
        for one, names in _components(table, smooth[:_MAX_COLUMNS], rows).items():
            words = f"does not correlate with {names} (below 1e-8) over {span}, and does over the training rows"
            alarms.setdefault(one, _alarm(one, words))
    line = f"{len(table.features)} columns; no fill, clip, bin or component was fitted beyond training"
    return CheckResult(CHECK, line, tuple(alarms.values()))


def _alarm(name: str, seen: str) -> Alarm:
    return Alarm(
        CHECK,
        name,
        seen,
        "values computed from past rows, or from the training rows",
        f"Fit what computes {name} to the training rows, and apply it to the others.",
    )


def _filled(values: np.ndarray, rows: np.ndarray, train: np.ndarray) -> str:
    """Whether one frequent value is the mean or median of the others."""
    distinct, counts = np.unique(values[rows], return_counts=True)
    often = distinct[counts.argmax()]
    count = counts.max()
    others = np.partition(counts, -2)[-2]
    if count < 10 or count < 5 * others or count > 0.9 * rows.sum() or often == np.round(often, 3):
        return ""
    for word, center in (("mean", np.mean), ("median", np.median)):
        over, early = (center(values[which & (values != often)]) for which in (rows, train))
        scale = max(abs(often), values[rows].std())
        if abs(over - often) <= _SAME * scale and abs(early - often) > 10 * _SAME * scale:
            return f"{count:,} of its values are {often:.6g}, the {word} of the others"
    return ""


def _binned(values: np.ndarray, rows: np.ndarray, train: np.ndarray) -> str:
    """Whether few values are equally frequent, to a row."""
    distinct, counts = np.unique(values[rows], return_counts=True)
    if not 4 <= len(distinct) <= 100 or counts.min() < 10 or np.ptp(counts) > 1:
        return ""
    early = np.unique(values[train], return_counts=True)[1]
    return f"its {len(distinct)} values are equally frequent" if np.ptp(early) > 2 else ""


def _clipped(values: np.ndarray, rows: np.ndarray, train: np.ndarray) -> str:
    """Whether the lowest and highest value end tails of a usual size, to a row."""
    shares = []
    for which in (rows, train):
        part = values[which]
        shares.append([(part == end).sum() / len(part) for end in (values[rows].min(), values[rows].max())])
    n = rows.sum()
    for tail in _TAILS:
        exact = [abs(share - tail) <= 1.5 / n and share * n >= 3 for share in shares[0]]
        if all(exact) and max(abs(share - tail) for share in shares[1]) > 2.5 / train.sum():
            return f"{tail:.1%} of its values are the lowest one and {tail:.1%} the highest: it is clipped at quantiles"
    return ""


def _residual(table: AuditTable, values: np.ndarray, rows: np.ndarray) -> str:
    """Whether the values of most tickers have no trend at all."""
    over, early = (_trends(table, values, which) for which in (rows, table.training))
    known = np.isfinite(over) & np.isfinite(early)
    if known.sum() < 1 or known.sum() < 0.5 * len(known):
        return ""
    none = (over[known] < _EXACT * 100) & (early[known] > _NOT_EXACT)
    return (
        "has a correlation with the date of exactly 0 in every ticker: a trend was removed" if none.mean() > 0.7 else ""
    )


def _trends(table: AuditTable, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Absolute correlation of each ticker's values with the date over some rows, `[tickers]`; NaN with few rows."""
    count = int(table.tickers.max()) + 1
    code, x, y = table.tickers[rows], table.periods[rows].astype(np.float64), values[rows]
    size = np.bincount(code, minlength=count).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (v - (np.bincount(code, v, minlength=count) / size)[code] for v in (x, y))
        cross, a, b = (np.bincount(code, v, minlength=count) for v in (x * y, x * x, y * y))
        return np.where(size >= _MIN_OWN, np.abs(cross) / np.sqrt(a * b), np.nan)


def _components(table: AuditTable, names: list[str], rows: np.ndarray) -> dict[str, str]:
    """Columns that do not correlate with two or more others at all over `rows`, with the names of those."""
    if len(names) < 2:
        return {}
    values = table.frame[names].to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        over, early = (np.abs(np.corrcoef(values[which], rowvar=False)) for which in (rows, table.training))
    pairs = [(a, b) for a, b in combinations(range(len(names)), 2) if over[a, b] < _EXACT and early[a, b] > _NOT_EXACT]
    partners: dict[str, list[str]] = {}
    for a, b in pairs:
        partners.setdefault(names[a], []).append(names[b])
        partners.setdefault(names[b], []).append(names[a])
    return {name: " and ".join(others[:2]) for name, others in partners.items()}
