"""Baselines that know no feature: the majority class, and the class that came last."""

from typing import Any

import numpy as np
import torch

from ste.baselines.examples import Examples


class Majority:
    """The training rows' class shares for every example; the top one is the majority's."""

    def __init__(self) -> None:
        self.shares = np.empty(0)

    def fit(self, train: Examples, validation: Examples, seed: int) -> None:
        """Count the classes."""
        counts = train.counts()
        self.shares = counts / counts.sum()

    def predict(self, examples: Examples) -> np.ndarray:
        """The same shares `[N, C]` for all."""
        return np.tile(self.shares, (len(examples), 1))

    def state(self) -> dict[str, Any]:
        """The shares."""
        return {"shares": torch.from_numpy(self.shares)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.shares = state["shares"].numpy()

    @property
    def parameters(self) -> int:
        """One share less than classes."""
        return len(self.shares) - 1


class Persistence:
    """The last class of the ticker that was known at each example's close, as ones and zeros.

    Where none is known (a ticker's first rows, or a row between the classes) the training majority.
    """

    def __init__(self) -> None:
        self.fallback = 0

    def fit(self, train: Examples, validation: Examples, seed: int) -> None:
        """Find the majority."""
        self.fallback = int(train.counts().argmax())

    def predict(self, examples: Examples) -> np.ndarray:
        """One-hot `[N, C]`."""
        store, ends = examples.dataset.store, examples.dataset.ends
        last = store.label[(ends - examples.horizon).clamp(min=0)]
        known = (store.history[ends] > examples.horizon) & (last >= 0)
        return np.eye(examples.num_classes)[torch.where(known, last, self.fallback).numpy()]

    def state(self) -> dict[str, Any]:
        """The majority class."""
        return {"fallback": self.fallback}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.fallback = int(state["fallback"])

    @property
    def parameters(self) -> int:
        """The fallback."""
        return 1
