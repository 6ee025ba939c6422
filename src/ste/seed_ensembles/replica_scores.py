"""What each replica is worth, and how far replicas lie apart."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ste.data.storage.files import atomic_file
from ste.evaluation.classification import compared_metrics, compute_metrics
from ste.evaluation.epoch_metrics import ONCE
from ste.evaluation.metrics.base import ScoredExamples

TABLE = "replicas.csv"


@dataclass(frozen=True)
class ReplicaScores:
    """Figures of R replicas.

    Attributes:
        seeds: of each replica.
        best_epochs: the epoch that each is kept of, from 0; in folds of the last one, as the weights are.
        weights: of each in the ensemble.
        figures: values of each headline figure by split and name, `[R]`; a figure that the rows do not have is
            left out.
    """

    seeds: list[int]
    best_epochs: list[int]
    weights: list[float]
    figures: dict[str, dict[str, list[float]]]

    def spread(self, split: str, figure: str) -> tuple[float, float]:
        """Mean and standard deviation (of a sample, R - 1) over replicas."""
        values = np.array(self.figures[split][figure])
        return float(values.mean()), float(values.std(ddof=1))

    def metrics(self, prefixes: Mapping[str, str]) -> dict[str, float]:
        """`<prefix>/<figure>_replica_mean` and `_replica_std` of every split and figure."""
        out: dict[str, float] = {}
        for split, figures in self.figures.items():
            for name in figures:
                mean, deviation = self.spread(split, name)
                start = f"{prefixes[split]}/{name}_replica"
                out |= {f"{start}_mean": mean, f"{start}_std": deviation}
        return out

    def plain(self) -> dict[str, Any]:
        """As lists and dicts of plain numbers."""
        return {
            "seeds": self.seeds,
            "best_epochs": self.best_epochs,
            "weights": self.weights,
            "figures": self.figures,
        }

    def write(self, path: Path) -> None:
        """Write a CSV with a row for each replica: seed, best epoch, weight, `<split>_<figure>`."""
        columns: dict[str, Sequence[float]] = {
            "replica": range(len(self.seeds)),
            "seed": self.seeds,
            "best_epoch": self.best_epochs,
            "weight": self.weights,
        }
        for split, figures in self.figures.items():
            columns |= {f"{split}_{name}": values for name, values in figures.items()}
        with atomic_file(path) as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))


def replica_figures(chances: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> dict[str, list[float]]:
    """Every headline figure of each replica, by name.

    Args:
        chances: probabilities, float64 `[R, N, C]`.
        labels: int64 `[N]`.
        classes: names in label order.
    """
    unit = np.zeros(len(labels), dtype=np.int64)
    each = [compute_metrics(ScoredExamples(own, labels, unit, ONCE, classes)) for own in chances]
    return {
        name: [float(figures[name][0]) for figures in each]
        for name in compared_metrics()
        if all(name in figures and np.isfinite(figures[name][0]) for figures in each)
    }
