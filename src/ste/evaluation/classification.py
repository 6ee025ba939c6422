"""Figures of class probabilities, each with its resamples, from sums over periods.

Each figure is an array `[1 + R]`: of the data as it came, then of every resample. Definitions are
scikit-learn's (macro averages over the classes that are there, 0 where nothing can be divided) and, for the
calibration error, torchmetrics'.
"""

from collections.abc import Iterator

import numpy as np

from ste.evaluation.bootstrap import Resampling
from ste.evaluation.roc import area_under_roc
from ste.evaluation.scorecard import Bin

SMALLEST = 1e-7  # probabilities are cut here, so that one certain mistake is not infinite
CALIBRATION_BINS = 15

LOSSES = ("log_loss", "brier", "calibration_error")
"""Figures of which less is better."""

Figures = dict[str, np.ndarray]


def classification_figures(
    chances: np.ndarray,
    labels: np.ndarray,
    unit: np.ndarray,
    resampling: Resampling,
    classes: tuple[str, ...],
    *,
    probabilistic: bool = True,
) -> Figures:
    """Every classification figure, float64 `[1 + R]` by name; what has no value in the data is left out.

    Args:
        chances: probabilities `[N, C]`.
        labels: int64 `[N]`.
        unit: int64 `[N]`, index of each row's unit.
        resampling: of the units.
        classes: `Downtrend`, perhaps `Neutral`, `Uptrend`.
        probabilistic: False for one-hot claims, which have an order and no losses.
    """
    count = len(classes)
    table = resampling.sums(counts((labels, chances.argmax(axis=1)), (count, count), unit, resampling.units))
    figures = dict(_of_confusion(table, classes))
    up, down = chances[:, -1], chances[:, 0]
    moved = (labels == 0) | (labels == count - 1)
    truth, call, unit_moved = (labels > 0).astype(np.int64)[moved], (up > down)[moved], unit[moved]
    which = resampling.sums(counts((truth, call), (2, 2), unit_moved, resampling.units))
    figures |= {"direction_accuracy": accuracy(which), "direction_mcc": matthews(which)}
    if count == 3:
        move = _move_or_not(table)
        figures |= {"move_accuracy": accuracy(move), "move_mcc": matthews(move)}
    areas = np.stack([area_under_roc(chances[:, k], labels == k, unit, resampling) for k in range(count)])
    figures["auroc"] = _mean_of_present(areas)
    if count == 3:
        figures["move_auroc"] = areas[1]  # the order of 1 - p_neutral against moves, seen from the other side
    both = (up + down)[moved]
    share = np.divide(up[moved], both, out=np.full(len(both), 0.5), where=both > 0)
    figures["direction_auroc"] = area_under_roc(share, truth == 1, unit_moved, resampling)
    if probabilistic:
        figures |= _losses(chances, labels, unit, resampling)
    return {name: figure for name, figure in figures.items() if np.isfinite(figure[0])}


def counts(codes: tuple[np.ndarray, ...], sizes: tuple[int, ...], unit: np.ndarray, units: int) -> np.ndarray:
    """How often each combination of codes stands in each unit, int64 `[U, *sizes]`."""
    cells = np.ravel_multi_index((unit, *codes), (units, *sizes))
    return np.bincount(cells, minlength=units * int(np.prod(sizes))).reshape(units, *sizes)


def accuracy(table: np.ndarray) -> np.ndarray:
    """Share of the rows on the diagonal of `[..., C, C]`; NaN where there is no row."""
    return _over(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)), empty=np.nan)


def matthews(table: np.ndarray) -> np.ndarray:
    """Multiclass correlation of truth and call (Matthews 1975; Gorodkin 2004) of counts `[..., C, C]`."""
    rows, true, called = table.sum(axis=(-2, -1)), table.sum(axis=-1), table.sum(axis=-2)
    together = np.trace(table, axis1=-2, axis2=-1) * rows - (true * called).sum(axis=-1)
    spread = np.sqrt((rows**2 - (true**2).sum(axis=-1)) * (rows**2 - (called**2).sum(axis=-1)))
    return _over(together, spread)


def reliability(chances: np.ndarray, labels: np.ndarray) -> list[Bin]:
    """Bins of equal width of the highest probability that hold examples; the last includes 1."""
    top, cell = _top(chances)
    cell = np.minimum(cell, CALIBRATION_BINS - 1)
    sizes = np.bincount(cell, minlength=CALIBRATION_BINS)
    confidence = np.bincount(cell, weights=top, minlength=CALIBRATION_BINS)
    right = np.bincount(cell, weights=chances.argmax(axis=1) == labels, minlength=CALIBRATION_BINS)
    return [Bin(float(confidence[b] / n), float(right[b] / n), int(n)) for b, n in enumerate(sizes) if n]


def _of_confusion(table: np.ndarray, classes: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    hits, true, called = np.diagonal(table, axis1=-2, axis2=-1), table.sum(axis=-1), table.sum(axis=-2)
    precision, recall, f1 = _over(hits, called), _over(hits, true), _over(2 * hits, true + called)
    yield "accuracy", accuracy(table)
    yield "balanced_accuracy", _over((recall * (true > 0)).sum(axis=-1), (true > 0).sum(axis=-1))
    there = (true + called) > 0
    for name, figure in (("precision", precision), ("recall", recall), ("f1", f1)):
        yield name, _over((figure * there).sum(axis=-1), there.sum(axis=-1))
        for k, of_class in enumerate(classes):
            yield f"{name}_{of_class.lower()}", figure[:, k]
    yield "mcc", matthews(table)


def _move_or_not(table: np.ndarray) -> np.ndarray:
    """The 3 x 3 table as Neutral or a move, `[..., 2, 2]`."""
    as_move = np.array([[0, 1], [1, 0], [0, 1]])
    return as_move.T @ table @ as_move


def _mean_of_present(areas: np.ndarray) -> np.ndarray:
    """Mean area `[1 + R]` over the classes `[C, 1 + R]` with both sides; 0.5 where only one class is there."""
    there = np.isfinite(areas)
    return _over(np.where(there, areas, 0.0).sum(axis=0), there.sum(axis=0), empty=0.5)


def _losses(chances: np.ndarray, labels: np.ndarray, unit: np.ndarray, resampling: Resampling) -> Figures:
    """Log-loss (nats; Good 1952), Brier score (0 to 2; Brier 1950), calibration error (l1; Guo et al. 2017)."""
    of_truth = chances[np.arange(len(labels)), labels]
    top, cell = _top(chances)
    off = top - (chances.argmax(axis=1) == labels)
    cells, units = CALIBRATION_BINS + 1, resampling.units
    bins = np.bincount(unit * cells + cell, weights=off, minlength=units * cells).reshape(units, cells)
    per_unit = [
        np.bincount(unit, weights=values, minlength=units)
        for values in (
            -np.log(np.maximum(of_truth, SMALLEST)),
            np.einsum("nc,nc->n", chances, chances) - 2.0 * of_truth + 1.0,
        )
    ]
    rows = resampling.sums(np.bincount(unit, minlength=units))
    log_loss, brier = (resampling.sums(values) / rows for values in per_unit)
    error = np.abs(resampling.sums(bins)).sum(axis=1) / rows
    return {"log_loss": log_loss, "brier": brier, "calibration_error": error}


def _top(chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Highest probability and its bin; exactly 1 has a bin of its own, as in torchmetrics."""
    top = chances.max(axis=1)
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return top, np.clip(np.searchsorted(edges, top, side="right") - 1, 0, CALIBRATION_BINS)


def _over(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """`part / whole`, and `empty` where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(np.shape(part), empty), where=np.asarray(whole) > 0)
