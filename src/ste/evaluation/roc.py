"""Areas under ROC curves and their resamples, from histograms of scores."""

import numpy as np

from ste.evaluation.bootstrap import MIN_PERIODS, Resampling

BINS = 512
"""Quantile bins of the scores for resampled areas, where there are more than `MAX_VALUES` different scores."""

MAX_VALUES = 512


def area_under_roc(score: np.ndarray, positive: np.ndarray, unit: np.ndarray, resampling: Resampling) -> np.ndarray:
    """P(score of a positive > score of a negative), ties counted half (Mann and Whitney 1947).

    The first value, of the data itself, is exact. Those of the resamples are exact up to `MAX_VALUES` different
    scores. Beyond that, scores in one of `BINS` quantile bins count as tied, and the shift that this causes in the
    data is subtracted from every resample.

    Args:
        score: `[N]`.
        positive: bool `[N]`.
        unit: int64 `[N]`, index of each row's unit.
        resampling: of U units.

    Returns:
        float64 `[1 + R]`, NaN without positives or without negatives. Rows of fewer than `MIN_PERIODS` units have no
        resampled areas: three positives above four negatives by luck would have an area of 1 in all of them.
    """
    bins, exact = _bins(score, positive)
    size = int(bins.max(initial=0)) + 1
    cells = (unit * 2 + positive) * size + bins
    counts = np.bincount(cells, minlength=resampling.units * 2 * size)
    below, above = np.moveaxis(resampling.sums(counts.reshape(resampling.units, 2, size)), 1, 0)
    areas = _areas(below, above)
    if np.count_nonzero(counts.reshape(resampling.units, -1).any(axis=1)) < MIN_PERIODS:
        areas[1:] = np.nan
    return areas + (exact - areas[0])


def _areas(negatives: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Areas `[...]` of counts in ascending bins `[..., B]`; integers and halves, so that no sum is rounded."""
    beaten = np.cumsum(negatives, axis=-1) - negatives / 2
    pairs = negatives.sum(axis=-1) * positives.sum(axis=-1)
    return np.divide((positives * beaten).sum(axis=-1), pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)


def _bins(score: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, float]:
    """Bin of each row, int64 `[N]`, equal scores in one bin, and the area with a bin for every different score."""
    if not len(score):
        return np.empty(0, dtype=np.int64), float("nan")
    order = np.argsort(score)
    ascending = score[order]
    begins = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1]))
    sizes = np.diff(np.append(begins, len(score)))
    positives = np.add.reduceat(positive[order].astype(np.int64), begins)
    exact = float(_areas((sizes - positives).astype(np.float64), positives.astype(np.float64)))
    few = len(begins) <= MAX_VALUES
    bins = np.empty(len(score), dtype=np.int64)
    bins[order] = np.repeat(np.arange(len(begins)) if few else begins * BINS // len(score), sizes)
    return bins, exact
