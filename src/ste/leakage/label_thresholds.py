"""Label thresholds that were computed from rows of validation or test.

Quantile thresholds give equal classes on the rows that they were computed from; thresholds of some deviations lie at
that many deviations of those rows. Both are looked for over the table and ticker by ticker.
"""

from itertools import pairwise

import numpy as np

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.preprocessing import later_spans
from ste.schema import DIRECTION, RETURN

THRESHOLDS = "thresholds"

_QUANTILES = {"terciles": (1 / 3, 2 / 3), "quarters": (1 / 4, 3 / 4), "fifths": (1 / 5, 4 / 5), "30/40/30": (0.3, 0.7)}
_DEVIATIONS = (0.2, 0.25, 0.3, 1 / 3, 0.4, 0.43, 0.5, 0.6, 2 / 3, 0.7, 0.75, 0.8, 1.0, 1.25, 1.5, 2.0)
_MIN_ROWS = 300  # with fewer, exact counts may be chance
_MIN_OWN = 60  # rows of a ticker
_GRID = 0.0005  # a threshold on this grid was typed and not computed

Limits = list[tuple[float, float]]


def future_thresholds(table: AuditTable) -> CheckResult:
    """Find classes cut at quantiles of rows beyond training."""
    spans = later_spans(table)
    if not spans or RETURN not in table.frame or DIRECTION not in table.frame or table.trends != 3:
        return skipped(THRESHOLDS, "not run: needs returns, labels of three trends and more than one split")
    train = _fractions(table.labels[table.training])
    limits = _limits(table.returns, table.labels)
    typed = limits is not None and all(_typed(low, high) for low, high in limits)
    shown = ", ".join(f"{fraction:.4f}" for fraction in train)
    line = f"class fractions in training {shown}" + ("; thresholds are round numbers" if typed else "")
    for span, rows in spans.items():
        seen = _quantiles(table, rows, free=limits is not None and not typed)
        if not seen and limits is not None and not typed:
            seen = _deviations(table, rows, limits)
        if not seen and limits is None:
            seen = _by_ticker(table, rows)
        if seen:
            alarm = Alarm(
                THRESHOLDS,
                DIRECTION,
                f"its classes are {seen} of {span}, and not of the training rows (class fractions there {shown})",
                "thresholds fixed beforehand, or computed from the training rows",
                "Cut the classes again: labels=terciles takes the terciles of the training rows.",
            )
            return CheckResult(THRESHOLDS, line, (alarm,))
    return CheckResult(THRESHOLDS, line)


def _quantiles(table: AuditTable, rows: np.ndarray, *, free: bool) -> str:
    """Which quantiles of `rows` cut the classes; empty where none, or where they cut those of training too."""
    fractions, train, n = _fractions(table.labels[rows]), _fractions(table.labels[table.training]), int(rows.sum())
    if not free and n < _MIN_ROWS:
        return ""
    near = 0.002 if free else 1.5 / n  # round or scaled thresholds need an exact count
    for kind, cuts in _QUANTILES.items():
        wanted = np.array([cuts[0], cuts[1] - cuts[0], 1 - cuts[1]])
        if np.abs(fractions - wanted).max() <= near and np.abs(train - wanted).max() > max(2 * near, 0.003):
            return f"{kind} ({', '.join(f'{s:.4f}' for s in fractions)})"
    if not free or n < _MIN_ROWS:
        return ""
    step = 0.01 if n >= 5000 else 0.05
    cuts_all, cuts_train = np.cumsum(fractions)[:2], np.cumsum(train)[:2]
    off = [np.abs(cuts / step - np.round(cuts / step)) * step for cuts in (cuts_all, cuts_train)]
    if (off[0] <= 1.5 / n).all() and (off[1] > 3 / table.training.sum()).any():
        return f"cut at the quantiles {cuts_all[0]:.2f} and {cuts_all[1]:.2f}"
    return ""


def _deviations(table: AuditTable, rows: np.ndarray, limits: Limits) -> str:
    """How many deviations of `rows` the thresholds are from 0 or the mean; empty where none."""
    for centre in (0.0, 1.0):
        for scale in _DEVIATIONS:
            if _between(table.returns[rows], limits, centre, scale) and not _between(
                table.returns[table.training], limits, centre, scale
            ):
                return f"cut at {scale:.2f} deviations{' from the mean' if centre else ''}"
    return ""


def _between(returns: np.ndarray, limits: Limits, centre: float, scale: float) -> bool:
    """Whether both thresholds lie at `scale` deviations of these returns."""
    known = returns[np.isfinite(returns)]
    middle = centre * known.mean()
    cuts = [(middle - scale * known.std(ddof=d), middle + scale * known.std(ddof=d)) for d in (0, 1)]
    return any(all(low <= cut <= high for cut, (low, high) in zip(one, limits, strict=False)) for one in cuts)


def _by_ticker(table: AuditTable, rows: np.ndarray) -> str:
    """Which statistics of each ticker's own `rows` its classes are cut at; empty where none."""
    own = []
    for ticker in range(int(table.tickers.max()) + 1):
        mine = table.tickers == ticker
        over, train = mine & rows, mine & table.training
        if train.sum() >= _MIN_OWN and over.sum() > train.sum() and len(np.unique(table.labels[mine])) == table.trends:
            own.append((over, train))
    if len(own) < 3:
        return ""
    for kind, cuts in _QUANTILES.items():
        wanted = np.array([cuts[0], cuts[1] - cuts[0], 1 - cuts[1]])

        def exact(which: np.ndarray, wanted: np.ndarray = wanted) -> bool:
            return bool(np.abs(_fractions(table.labels[which]) - wanted).max() <= 1.5 / which.sum())

        hits = [exact(over) and not exact(train) for over, train in own]
        if np.mean(hits) > 0.7:
            return f"{kind}, ticker by ticker,"
    common = [_common_scale(table, [pair[at] for pair in own], own) for at in (0, 1)]
    return "cut at the same number of deviations of each ticker's returns" if common[0] and not common[1] else ""


def _common_scale(table: AuditTable, spans: list[np.ndarray], own: list[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether one multiple of the deviation over `spans` separates Neutral from Up and Down in every ticker."""
    low, high = 0.0, np.inf
    for which, (over, _) in zip(spans, own, strict=True):
        limits = _limits(table.returns[over], table.labels[over])
        if limits is None:
            return False
        deviation = table.returns[which].std()
        low = max(low, limits[1][0] / deviation, -limits[0][1] / deviation)
        high = min(high, limits[1][1] / deviation, -limits[0][0] / deviation)
    return low <= high * (1 + 1e-9)


def _fractions(labels: np.ndarray) -> np.ndarray:
    """Fraction of each of three classes, `[3]`."""
    counts = np.bincount(labels, minlength=3)[:3]
    return counts / counts.sum()


def _limits(returns: np.ndarray, labels: np.ndarray) -> Limits | None:
    """Returns between which each threshold lies, or None where no common threshold separates the classes."""
    groups = [group for trend in range(3) if len(group := returns[labels == trend])]
    limits = [(float(a.max()), float(b.min())) for a, b in pairwise(groups)]
    return limits if all(low <= high for low, high in limits) else None


def _typed(low: float, high: float) -> bool:
    """Whether a round number lies between the two returns."""
    return bool(np.ceil((low - 1e-9) / _GRID) * _GRID <= high + 1e-9)
