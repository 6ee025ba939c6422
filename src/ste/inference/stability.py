"""The population stability index (PSI), and how large it is by chance.

PSI = sum over bins of (p - q) log(p / q): the symmetrised divergence of Jeffreys (1946) of two binned
distributions. Credit scoring reads it as stable below 0.1 and changed above 0.25 (Lewis 1994; Siddiqi 2006).
These thresholds ignore the sample size. With n and m independent rows in B bins, PSI is distributed as
(1/n + 1/m) chi-square with B - 1 degrees of freedom (Yurdakul 2018): 12 rows in ten bins give 0.75 where nothing has
changed. Rows are not independent either: the tickers of a week move together, and weeks resemble the weeks before.

The null distribution is therefore measured in the training data. Each window of W consecutive periods is compared
with the periods on its far side, a quarter of the data away, because adjacent weeks resemble the window and because a
window between its neighbours drifts less than one after them. The mean and variance of these PSIs give a scaled
chi-square (Satterthwaite 1946; for clustered samples Rao and Scott 1981). The mean is itself an average over few
windows, so the ratio of a new PSI to it is compared with an F distribution.
"""

from dataclasses import dataclass
from math import inf, log

import numpy as np
from scipy.special import fdtrc

WATCH, CHANGED = 0.1, 0.25
"""Usual thresholds of the PSI: worth a look, and another population."""

BINS = 10
SPANS = (1, 2, 4, 8, 13, 26, 52, 104, 208)
"""Lengths in periods of the training windows that the null distribution is measured on."""
MIN_WINDOWS = 8
"""Non-overlapping windows that the training data must hold for a span to be measured."""

_HALF = 0.5
_TINY = 1e-9
_MANY = 1e9  # denominator degrees of freedom at which F equals chi-square


def psi(expected: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Compute the population stability index of counts over the last axis, float64 `[...]`.

    The reference gets half a row more in each bin (Jeffreys' prior), so that an empty bin does not give infinity. The
    observed counts are shrunk towards the reference by half a row per bin, so that equal fractions give 0 at any size.

    Args:
        expected: counts `[..., B]` of the reference.
        observed: counts `[..., B]` that are compared with it.
    """
    q = np.asarray(expected, dtype=np.float64) + _HALF
    q = q / q.sum(axis=-1, keepdims=True)
    p = np.asarray(observed, dtype=np.float64) + _HALF * q.shape[-1] * q
    p = p / p.sum(axis=-1, keepdims=True)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))


def bin_edges(values: np.ndarray, bins: int = BINS) -> list[float]:
    """Compute quantile bin edges of a column.

    A column of at most `bins` distinct values gets one bin per value. A value that many rows have takes one bin,
    however many quantiles fall on it. A constant column has one bin, so that any other value falls outside.

    Args:
        values: `[N]`, N at least 1.
        bins: maximum number of bins.

    Returns:
        B + 1 rising edges; the first lies below every value and the last above.
    """
    distinct = np.unique(values)
    low, high = float(distinct[0]), float(distinct[-1])
    margin = 1e-6 * max(abs(low), abs(high), 1e-6)
    inner = (distinct[1:] + distinct[:-1]) / 2
    if len(distinct) > bins:
        inner = np.unique(np.quantile(values, np.arange(1, bins) / bins))
        inner = inner[inner < high]
    return [low - margin, *(float(edge) for edge in inner), high + margin]


@dataclass(frozen=True)
class WindowPsi:
    """PSI of windows of `span` periods of the training data, each compared with periods far from it.

    Attributes:
        span: length of the windows in periods.
        rows: mean number of rows in a window.
        mean: mean of the PSI.
        freedom: degrees of freedom of the scaled chi-square with that mean and the observed variance.
        windows: half the number of non-overlapping windows: the windows of either half of the data are compared with
            the same periods.
        largest: maximum of the PSI.
    """

    span: int
    rows: float
    mean: float
    freedom: float
    windows: float
    largest: float


def window_psi(counts: np.ndarray) -> list[WindowPsi]:
    """Measure the PSI of training windows of a column for each of `SPANS` that the data allow.

    Args:
        counts: rows of each period in each bin, int `[P, B]`, periods in order.
    """
    periods, bins = counts.shape
    sums = np.concatenate([np.zeros((1, bins)), np.cumsum(counts, axis=0)])
    distance, half = periods // 4, periods // 2
    out = []
    for span in (span for span in SPANS if span * MIN_WINDOWS <= periods):
        starts = np.arange(0, periods - span + 1, max(1, span // 4))
        late, early = starts[starts >= half], starts[starts + span <= periods - half]
        inside = [sums[late + span] - sums[late], sums[early + span] - sums[early]]
        far = [sums[late - distance], sums[-1] - sums[early + span + distance]]
        values = psi(np.concatenate(far), np.concatenate(inside))
        mean, variance = float(values.mean()), float(values.var())
        freedom = float(np.clip(2 * mean**2 / max(variance, _TINY**2), 0.5, max(bins - 1, 1)))
        rows = float(np.concatenate(inside).sum(axis=1).mean())
        out.append(WindowPsi(span, rows, mean, freedom, periods / span / 2, float(values.max())))
    return out


def p_value(value: float, null: list[WindowPsi], bins: int, expected: int, observed: int, periods: float) -> float:
    """Compute the probability of a PSI as large by chance.

    Args:
        value: PSI.
        null: PSI of the column's training windows; if empty, rows are treated as independent.
        bins: B.
        expected: rows in the reference.
        observed: rows that are compared with it.
        periods: effective number of periods of the observed rows (`effective_periods`).
    """
    if value <= 0.0 or observed == 0 or expected == 0:
        return 1.0
    freedom = max(bins - 1, 1)
    if not null:
        return float(fdtrc(freedom, _MANY, value / (freedom * (1 / observed + 1 / expected))))
    rows, mean, spread, windows = _interpolate(null, periods)
    # Fewer rows per period than in training add sampling noise.
    mean += freedom * max(0.0, 1 / observed - 1 / rows)
    if mean <= _TINY:
        return 0.0
    return float(fdtrc(spread, spread * windows, value / mean))


def expected_rows(null: list[WindowPsi], periods: float) -> float:
    """Number of reference rows in so many periods; infinite if `null` is empty.

    A week that was requested a thousand times has a thousand times the rows and no more information.

    Args:
        null: PSI of the column's training windows.
        periods: effective number of periods.
    """
    return _interpolate(null, periods)[0] if null else inf


def _interpolate(null: list[WindowPsi], periods: float) -> tuple[float, float, float, float]:
    """Rows, mean, degrees of freedom and windows between the measured spans, on logarithms."""
    spans = [log(one.span) for one in null]
    at = log(max(periods, 1.0))
    rows = float(np.exp(np.interp(at, spans, [log(max(one.rows, 1.0)) for one in null])))
    mean = float(np.exp(np.interp(at, spans, [log(max(one.mean, _TINY)) for one in null])))
    spread = float(np.interp(at, spans, [one.freedom for one in null]))
    windows = float(np.interp(at, spans, [one.windows for one in null]))
    return rows, mean, spread, windows


def effective_periods(rows: np.ndarray) -> float:
    """Effective number of unequally filled periods: (sum n)^2 / sum n^2 (Kish 1965).

    Args:
        rows: number in each period `[P]`.
    """
    rows = np.asarray(rows, dtype=np.float64)
    return float(rows.sum() ** 2 / (rows**2).sum()) if rows.sum() else 0.0


def largest_window_psi(null: list[WindowPsi], periods: float) -> float:
    """Largest PSI of training windows no longer than these periods; 0 if `null` is empty.

    Args:
        null: PSI of the column's training windows.
        periods: effective number of periods.
    """
    values = [one.largest for one in null if one.span <= periods] or [one.largest for one in null[:1]]
    return values[-1] if values else 0.0
