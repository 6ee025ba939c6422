"""Scores of single replicas and their spread."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ste.evaluation.classification import compared_metrics, compute_metrics
from ste.evaluation.epoch_metrics import ONCE
from ste.evaluation.metrics.base import ScoredExamples


@dataclass(frozen=True)
class ReplicaScores:
    """Metrics of R replicas.

    Attributes:
        seeds: of each replica.
        best_epochs: selected epoch of each, from 0; with folds those of the last one, as the weights.
        weights: of each in the ensemble.
        figures: values `[R]` of each compared metric by split and name, without metrics that the rows do not have.
    """

    seeds: list[int]
    best_epochs: list[int]
    weights: list[float]
    figures: dict[str, dict[str, list[float]]]

    def spread(self, split: str, metric: str) -> tuple[float, float]:
        """Return mean and sample standard deviation (R - 1) over replicas."""
        values = np.array(self.figures[split][metric])
        return float(values.mean()), float(values.std(ddof=1))

    def metrics(self, prefixes: Mapping[str, str], names: Collection[str]) -> dict[str, float]:
        """Return `<prefix>/<metric>_replica_mean` and `_replica_std` of every split and some metrics.

        Args:
            prefixes: by split.
            names: of the metrics.
        """
        out: dict[str, float] = {}
        for split, figures in self.figures.items():
            for name in [name for name in figures if name in names]:
                mean, deviation = self.spread(split, name)
                start = f"{prefixes[split]}/{name}_replica"
                out |= {f"{start}_mean": mean, f"{start}_std": deviation}
        return out


def replica_metrics(probs: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> dict[str, list[float]]:
    """Compute every compared metric of each replica, by name.

    Args:
        probs: probabilities, float64 `[R, N, C]`.
        labels: int64 `[N]`.
        classes: names in label order.
    """
    unit = np.zeros(len(labels), dtype=np.int64)
    each = [compute_metrics(ScoredExamples(own, labels, unit, ONCE, classes)) for own in probs]
    return {
        name: [float(figures[name][0]) for figures in each]
        for name in compared_metrics()
        if all(name in figures and np.isfinite(figures[name][0]) for figures in each)
    }
