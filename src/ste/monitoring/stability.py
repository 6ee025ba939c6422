"""The population stability index, and how large it is by chance alone.

PSI = sum over bins of (p - q) log(p / q): the symmetrised divergence of Jeffreys (1946) of two binned
distributions. Credit scoring reads it as stable below 0.1 and changed above 0.25 (Lewis 1994; Siddiqi 2006).
Those thresholds know no sample size. Of n and m independent rows in B bins it is (1/n + 1/m) chi-square with
B - 1 degrees of freedom (Yurdakul 2018): 12 rows in ten bins give 0.75 where nothing has changed. And rows are
not independent: the tickers of a week move together, and weeks resemble the weeks before them.

So chance is measured where nothing is served yet: in the training data. Each window of W consecutive periods is held
against those on its far side, a quarter of the data away, as new weeks are from training: weeks beside a window
resemble it, and a window between its neighbours drifts less than one beyond them. The mean and variance of those PSIs
give a scaled chi-square (Satterthwaite 1946; for clustered samples Rao and Scott 1981). Because that mean is itself
an average of few windows, the ratio of a new PSI to it is taken for F.
"""

from dataclasses import dataclass
from math import inf, log

import numpy as np
from scipy.special import fdtrc

WATCH, CHANGED = 0.1, 0.25
"""Usual thresholds of the PSI: look at it, and it is another population."""

BINS = 10
SPANS = (1, 2, 4, 8, 13, 26, 52, 104, 208)
"""Periods in the windows of training that chance is measured on."""
LEAST_WINDOWS = 8
"""Windows side by side in the training data; with fewer their spread says nothing."""

_HALF = 0.5
_TINY = 1e-9
_MANY = 1e9  # degrees of freedom with which F is chi-square


def psi(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Population stability index of counts over the last axis, float64 `[...]`.

    An empty bin is no infinite surprise: the reference has half a row more in each bin (Jeffreys' prior), and what
    was found is drawn towards the reference by half a row for each bin, so that equal shares give 0 at any size.

    Args:
        expected: counts `[..., B]` of the reference.
        found: counts `[..., B]` of what is compared with it.
    """
    q = np.asarray(expected, dtype=np.float64) + _HALF
    q = q / q.sum(axis=-1, keepdims=True)
    p = np.asarray(found, dtype=np.float64) + _HALF * q.shape[-1] * q
    p = p / p.sum(axis=-1, keepdims=True)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))


def edges(values: np.ndarray, bins: int = BINS) -> list[float]:
    """Edges that cut a column into its lowest value and below, quantile bins, and beyond its highest.

    A column of at most `bins` values gets one bin for each. A value that many rows share takes one bin, however
    many quantiles fall on it. A constant column has one inner bin, so that any other value is seen.

    Args:
        values: `[N]`, N at least 1.
        bins: inner ones at most.

    Returns:
        B + 1 rising edges; the first lies below every value and the last above.
    """
    known = np.unique(values)
    low, high = float(known[0]), float(known[-1])
    margin = 1e-6 * max(abs(low), abs(high), 1e-6)
    inner = (known[1:] + known[:-1]) / 2
    if len(known) > bins:
        inner = np.unique(np.quantile(values, np.arange(1, bins) / bins))
        inner = inner[inner < high]
    return [low - margin, *(float(edge) for edge in inner), high + margin]


@dataclass(frozen=True)
class Chance:
    """PSI of windows of `span` periods of the training data against periods far from them.

    Attributes:
        span: periods.
        rows: mean number in a window.
        mean: of the PSI.
        freedom: degrees of freedom of the scaled chi-square with that mean and the variance seen.
        windows: half of those that lie side by side: those of either half of the data share what they are held against.
        most: largest PSI of them.
    """

    span: int
    rows: float
    mean: float
    freedom: float
    windows: float
    most: float


def chances(counts: np.ndarray) -> list[Chance]:
    """What chance does to windows of a column.

    Args:
        counts: int `[P, B]`, of each period in order.
    """
    periods, bins = counts.shape
    sums = np.concatenate([np.zeros((1, bins)), np.cumsum(counts, axis=0)])
    gap, half = periods // 4, periods // 2
    out = []
    for span in (span for span in SPANS if span * LEAST_WINDOWS <= periods):
        starts = np.arange(0, periods - span + 1, max(1, span // 4))
        late, early = starts[starts >= half], starts[starts + span <= periods - half]
        inside = [sums[late + span] - sums[late], sums[early + span] - sums[early]]
        far = [sums[late - gap], sums[-1] - sums[early + span + gap]]
        seen = psi(np.concatenate(far), np.concatenate(inside))
        mean, variance = float(seen.mean()), float(seen.var())
        freedom = float(np.clip(2 * mean**2 / max(variance, _TINY**2), 0.5, max(bins - 1, 1)))
        rows = float(np.concatenate(inside).sum(axis=1).mean())
        out.append(Chance(span, rows, mean, freedom, periods / span / 2, float(seen.max())))
    return out


def p_value(value: float, chance: list[Chance], bins: int, expected: int, found: int, periods: float) -> float:
    """Probability of a PSI as large by chance alone.

    Args:
        value: PSI.
        chance: of the column's training windows; empty where its rows' periods are not known, and rows are then
            taken for independent.
        bins: B.
        expected: rows in the reference.
        found: rows in what is compared with it.
        periods: that the found rows are worth (`worth`).
    """
    if value <= 0.0 or found == 0 or expected == 0:
        return 1.0
    freedom = max(bins - 1, 1)
    if not chance:
        return float(fdtrc(freedom, _MANY, value / (freedom * (1 / found + 1 / expected))))
    rows, mean, spread, windows = _at(chance, periods)
    # Fewer rows in a period than in training: what their sampling adds.
    mean += freedom * max(0.0, 1 / found - 1 / rows)
    if mean <= _TINY:
        return 0.0
    return float(fdtrc(spread, spread * windows, value / mean))


def rows_in(chance: list[Chance], periods: float) -> float:
    """Rows that the reference has in so many periods; infinite where its periods are not known.

    A week that was asked for a thousand times holds a thousand times as many rows, and no more knowledge.

    Args:
        chance: of a column's training windows.
        periods: that the rows are worth.
    """
    return _at(chance, periods)[0] if chance else inf


def _at(chance: list[Chance], periods: float) -> tuple[float, float, float, float]:
    """Rows, mean, degrees of freedom and windows at a span between the measured ones, on logarithms."""
    spans = [log(one.span) for one in chance]
    at = log(max(periods, 1.0))
    rows = float(np.exp(np.interp(at, spans, [log(max(one.rows, 1.0)) for one in chance])))
    mean = float(np.exp(np.interp(at, spans, [log(max(one.mean, _TINY)) for one in chance])))
    spread = float(np.interp(at, spans, [one.freedom for one in chance]))
    windows = float(np.interp(at, spans, [one.windows for one in chance]))
    return rows, mean, spread, windows


def worth(rows: np.ndarray) -> float:
    """Periods that unequally filled ones are worth: (sum n)^2 / sum n^2 (Kish 1965).

    Args:
        rows: number in each period `[P]`.
    """
    rows = np.asarray(rows, dtype=np.float64)
    return float(rows.sum() ** 2 / (rows**2).sum()) if rows.sum() else 0.0


def largest_by_chance(chance: list[Chance], periods: float) -> float:
    """Largest PSI that the training data show for windows no longer than these periods; 0 where they are not known.

    Args:
        chance: of the column's training windows.
        periods: that the rows are worth.
    """
    known = [one.most for one in chance if one.span <= periods] or [one.most for one in chance[:1]]
    return known[-1] if known else 0.0
