"""Permutation importance: how much a model's loss rises when a feature is replaced by that of another period.

Normalized features are permuted. Raw prices cannot be permuted one column at a time: a price of one week next to the
close of another gives a ratio that no market shows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ste.config.progress import step
from ste.data.windows import date_chunks
from ste.evaluation.explain.paired_difference import PeriodResampling
from ste.evaluation.metrics.base import log_losses

MAX_ROWS = 4_000
"""Largest number of examples: each takes a forward pass per feature and repeat."""

MAX_PASSES = 500_000
"""Largest number of forward passes of an example for all features together, and for all groups."""

MIN_ROWS = 400
"""Smallest number of examples, however many features there are."""

BATCH = 1024
"""Examples in one forward pass."""


MARKET_BATCH = 256
"""Examples in one forward pass over whole dates, where several dates fit."""

Predict = Callable[..., torch.Tensor]
"""From normalized features, and their dates where the model reads them, to probabilities `[n, C]`."""


@dataclass(frozen=True)
class Importance:
    """Importance of a feature, or a group of features, to a model on held-out rows.

    Attributes:
        name: of the feature or group.
        kind: `feature` or `group`.
        log_loss: rise of the mean log-loss when it is permuted, nats.
        log_loss_error: standard error of the rise over the repeats, from the permutations alone.
        low, high: 95 % interval of the rise over periods, from the rows, which vary more.
        accuracy: drop of the accuracy.
        accuracy_error: its standard error over the repeats.
        accuracy_low, accuracy_high: 95 % interval of the drop over periods.
    """

    name: str
    kind: str
    log_loss: float
    log_loss_error: float
    low: float
    high: float
    accuracy: float
    accuracy_error: float
    accuracy_low: float | None = None
    accuracy_high: float | None = None


class Permutation:
    """Exchanges complete periods of some features, and measures each example again.

    Args:
        predict, features, labels, periods, tickers, repeats, seed, group: see `permutation_importance`.
    """

    def __init__(
        self,
        predict: Predict,
        features: torch.Tensor,
        labels: np.ndarray,
        periods: np.ndarray,
        tickers: np.ndarray,
        repeats: int = 5,
        seed: int = 0,
        group: torch.Tensor | None = None,
    ) -> None:
        rng = np.random.default_rng(seed)
        self._donors = [torch.from_numpy(donor_rows(periods, tickers, rng)) for _ in range(repeats)]
        self._predict, self._features, self._labels, self._group = predict, features, labels, group
        self._losses, self._right = _per_example(predict, features, labels, group)

    def changes(self, columns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Permute columns jointly; return the rise of the log-loss and the drop of correctness of the scored examples.

        Returns:
            float64 `[repeats, n]` each.
        """
        loss_rise, right_drop = np.empty((2, len(self._donors), len(self._losses)))
        for k, donor in enumerate(self._donors):
            other = self._features.clone()
            other[..., columns] = self._features[donor][..., columns]
            losses, right = _per_example(self._predict, other, self._labels, self._group)
            loss_rise[k], right_drop[k] = losses - self._losses, self._right - right
        return loss_rise, right_drop


def permutation_importance(
    predict: Predict,
    features: torch.Tensor,
    labels: np.ndarray,
    periods: np.ndarray,
    tickers: np.ndarray,
    columns: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    repeats: int = 5,
    seed: int = 0,
    horizon: int = 1,
    measured: Sequence[str] | None = None,
    group: torch.Tensor | None = None,
) -> list[Importance]:
    """Rise of the loss when a feature is replaced by that of another week (Breiman 2001; Fisher et al. 2019).

    Complete periods are exchanged, so that a macroeconomic series keeps one value per week and tickers stay
    correlated. Each repeat draws one cycle through all periods, in which none is mapped to itself. A row takes the
    feature over its window of T periods from the same ticker in the other period. Where that ticker is missing there,
    it takes the row with its own position in the order of tickers, modulo their number. A group is permuted jointly:
    correlated features seem unimportant one by one.

    Args:
        predict: from normalized features, float32 `[n, T, F]` or `[n, F]`, and with `group` also dates `[n]`, to
            probabilities `[n, C]`.
        features: normalized features of held-out examples, `[N, T, F]` or `[N, F]`.
        labels: int64 `[N]`; -1 of examples that are read with the others of their date and not scored.
        periods: `[N]`, the week or session of each; two or more different ones.
        tickers: `[N]`.
        columns: F feature names in order.
        groups: feature names by group; names that are not in `columns` are ignored.
        repeats: permutations per feature.
        seed: of the permutations.
        horizon: periods that a label looks ahead.
        measured: features to measure by themselves; None is all.
        group: dates of the examples, int64 `[N]`, of a model that reads those of a date together; else None.

    Returns:
        Groups, then features, each with the largest rise first.
    """
    permutation = Permutation(predict, features, labels, periods, tickers, repeats, seed, group)
    resampling = PeriodResampling(periods[labels >= 0], horizon)
    position = {name: i for i, name in enumerate(columns)}
    parts = [("group", name, [position[c] for c in members if c in position]) for name, members in groups.items()]
    parts += [("feature", name, [i]) for name, i in position.items() if measured is None or name in measured]
    parts = [part for part in parts if part[2]]
    out = []
    with step("measuring the importance of features", len(parts)) as shown:
        for kind, name, at in parts:
            out.append(_importance(name, kind, *permutation.changes(at), resampling))
            shown.update(len(out))
    return sorted(out, key=lambda i: (i.kind != "group", -i.log_loss, i.name))


def even_periods(periods: np.ndarray, rows: int) -> np.ndarray:
    """Select complete periods, evenly spaced, with about `rows` rows in total and at least two periods.

    Args:
        periods: `[N]`.
        rows: number of rows to select.

    Returns:
        Positions of the selected rows, int64, ascending; all N where there are no more than `rows`.
    """
    if len(periods) <= rows:
        return np.arange(len(periods))
    unique = np.unique(periods)
    count = min(len(unique), max(2, int(len(unique) * rows / len(periods))))
    chosen = unique[np.linspace(0, len(unique) - 1, count).round().astype(int)]
    return np.flatnonzero(np.isin(periods, chosen))


def donor_rows(periods: np.ndarray, tickers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The row from which each row takes a permuted feature, int64 `[N]`; see `permutation_importance`."""
    _, week = np.unique(periods, return_inverse=True)
    _, ticker = np.unique(tickers, return_inverse=True)
    n = len(week)
    order = np.lexsort((ticker, week))
    size = np.bincount(week)
    start = np.cumsum(size) - size
    position = np.empty(n, dtype=np.int64)
    position[order] = np.arange(n) - start[week[order]]
    cycle = rng.permutation(len(size))
    other = np.empty_like(cycle)
    other[cycle] = np.roll(cycle, -1)

    width = ticker.max() + 1
    keys = week[order] * width + ticker[order]
    wanted = other[week] * width + ticker
    at = np.searchsorted(keys, wanted).clip(max=n - 1)
    instead = start[other[week]] + position % size[other[week]]
    return order[np.where(keys[at] == wanted, at, instead)]


@torch.no_grad()
def _per_example(
    predict: Predict, x: torch.Tensor, y: np.ndarray, group: torch.Tensor | None
) -> tuple[np.ndarray, np.ndarray]:
    """Log-loss and correctness of each example with a label, float64 each."""
    if group is None:
        joined = torch.cat([predict(part) for part in x.split(BATCH)])
    else:
        rows = [torch.from_numpy(chunk) for chunk in date_chunks(group.numpy(), MARKET_BATCH)]
        joined = torch.cat([predict(x[chunk], group[chunk]) for chunk in rows])[torch.cat(rows).argsort()]
    known = y >= 0
    probs, label = joined.double().cpu().numpy()[known], y[known]
    return log_losses(probs, label), (probs.argmax(axis=1) == label).astype(float)


def _importance(
    name: str, kind: str, loss_rise: np.ndarray, right_drop: np.ndarray, resampling: PeriodResampling
) -> Importance:
    """Means of `[repeats, N]` differences, with their errors over repeats and their interval over periods."""
    rise, error = _mean_and_error(loss_rise.mean(axis=1))
    drop, drop_error = _mean_and_error(right_drop.mean(axis=1))
    losses, right = resampling.means(np.stack([loss_rise.mean(axis=0), right_drop.mean(axis=0)]))
    ends = [float(end) for one in (losses, right) for end in (one.low or 0.0, one.high or 0.0)]
    return Importance(name, kind, rise, error, ends[0], ends[1], drop, drop_error, ends[2], ends[3])


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error."""
    spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(values.mean()), float(spread)


def max_rows(parts: int, repeats: int = 5) -> int:
    """Return how many examples are measured for so many features or groups."""
    return min(MAX_ROWS, max(MIN_ROWS, MAX_PASSES // max(1, parts * repeats)))
