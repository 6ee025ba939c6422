"""Baselines that read no feature: the majority class, and the last known class."""

from typing import Any

import numpy as np
import torch

from ste.baselines.examples import SplitExamples
from ste.registry import BASELINES


@BASELINES.register
class Majority:
    """Predict the class frequencies of the training rows, weighted as the examples are, for every example."""

    def __init__(self) -> None:
        self.frequencies = np.empty(0)

    def fit(self, train: SplitExamples, validation: SplitExamples, seed: int) -> None:
        """Count the classes."""
        weights = train.weights
        counts = train.class_counts()
        if weights is not None:
            counts = np.bincount(train.labels, weights, minlength=train.num_classes)
        self.frequencies = counts / counts.sum()

    def predict_proba(self, examples: SplitExamples) -> np.ndarray:
        """Return the frequencies for each example, float64 `[N, C]`."""
        return np.tile(self.frequencies, (len(examples), 1))

    def state_dict(self) -> dict[str, Any]:
        """Return the frequencies."""
        return {"frequencies": torch.from_numpy(self.frequencies)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the frequencies."""
        self.frequencies = state["frequencies"].numpy()

    @property
    def parameter_count(self) -> int:
        """Number of free frequencies: they sum to 1."""
        return len(self.frequencies) - 1


@BASELINES.register
class Persistence:
    """Predict the last class of the ticker that was known at each example's close, as a one-hot vector.

    Where no class is known (the first rows of a ticker, or a row between the thresholds) predict the majority class of
    the training rows.
    """

    def __init__(self) -> None:
        self.fallback = 0

    def fit(self, train: SplitExamples, validation: SplitExamples, seed: int) -> None:
        """Find the majority class."""
        self.fallback = int(train.class_counts().argmax())

    def predict_proba(self, examples: SplitExamples) -> np.ndarray:
        """Return one-hot vectors, float64 `[N, C]`."""
        store, ends = examples.dataset.store, examples.dataset.ends
        last = store.label[(ends - examples.horizon).clamp(min=0)]
        known = (store.history[ends] > examples.horizon) & (last >= 0)
        return np.eye(examples.num_classes)[torch.where(known, last, self.fallback).numpy()]

    def state_dict(self) -> dict[str, Any]:
        """Return the majority class."""
        return {"fallback": self.fallback}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the majority class."""
        self.fallback = int(state["fallback"])

    @property
    def parameter_count(self) -> int:
        """Number of parameters: the fallback."""
        return 1
