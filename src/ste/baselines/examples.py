"""What a baseline is fitted on and asked about, and what every baseline can do."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

from ste.data.windows import WindowDataset
from ste.features.normalization import Representation

CHUNK = 65536


@dataclass(frozen=True)
class Examples:
    """Examples of one split, as tables.

    Attributes:
        dataset: N of them.
        representation: how raw features are prepared, fitted on the training examples.
        num_classes: C.
        horizon: periods that a label looks ahead.
    """

    dataset: WindowDataset
    representation: Representation
    num_classes: int
    horizon: int

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def values(self) -> int:
        """Numbers that `windows` holds."""
        return len(self) * self.dataset.length * self.dataset.store.features.shape[1]

    def every(self, step: int) -> "Examples":
        """The first of them and each `step`-th after it."""
        return self if step == 1 else replace(self, dataset=self.dataset.at(self.dataset.ends[::step]))

    def counts(self) -> np.ndarray:
        """Examples of each class, int64 `[C]`."""
        return self.dataset.class_counts(self.num_classes).numpy()

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 `[N]`."""
        return self.dataset.labels.numpy()

    @cached_property
    def last(self) -> np.ndarray:
        """Prepared features of each example's last period, float32 `[N, F]`."""
        return self._prepared(last=True)

    @cached_property
    def windows(self) -> np.ndarray:
        """Prepared features of all of an example's periods side by side, float32 `[N, T F]`."""
        return self._prepared(last=False)

    @property
    def volatility(self) -> np.ndarray:
        """Trailing volatilities at each example's last period, float64 `[N, K]`."""
        return self.dataset.store.columns.volatility(self.dataset.ends.numpy())

    def parts(self) -> Iterator[np.ndarray]:
        """`windows` in parts, for who need not have them at once."""
        return self._parts(last=False)

    def _prepared(self, *, last: bool) -> np.ndarray:
        return np.concatenate(list(self._parts(last=last)))

    @torch.no_grad()
    def _parts(self, *, last: bool) -> Iterator[np.ndarray]:
        for index in torch.arange(len(self)).split(CHUNK):
            x = self.representation(self.dataset[index].features)
            yield (x[:, -1] if last and x.dim() == 3 else x.flatten(1)).numpy()


class Baseline(Protocol):
    """A model that is no net."""

    def fit(self, train: Examples, validation: Examples, seed: int) -> None:
        """Learn from the training examples; validation may only tell when to stop."""

    def predict(self, examples: Examples) -> np.ndarray:
        """Probabilities float64 `[N, C]`."""

    def state(self) -> dict[str, Any]:
        """What was learnt, as tensors, numbers and text."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""

    @property
    def parameters(self) -> int:
        """Numbers learnt."""
