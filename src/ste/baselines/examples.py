"""The examples of one split as tables for baselines."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch

from ste.data.datamodule import TrendDataModule
from ste.data.window_dataset import WindowDataset
from ste.errors import DataError
from ste.features.normalization import Normalizer
from ste.schema import PERIOD_BAR

Inputs = Literal["last", "window", "volatility"]

CHUNK = 65536
"""Examples that are normalized at a time, at most."""

CHUNK_VALUES = 2**24
"""Values that are normalized at a time, 64 MiB: long windows of many columns come in fewer examples."""


def select_inputs(features: np.ndarray, inputs: Inputs) -> np.ndarray:
    """Select the columns that a baseline reads.

    Args:
        features: normalized, `[N, T, F]`, or `[N, F]` where an example has one period.
        inputs: `last` for the last period `[N, F]`, `window` for all periods in one row `[N, T F]`.
    """
    if inputs == "last" and features.ndim == 3:
        return features[:, -1]
    return features.reshape(len(features), -1)


@dataclass(frozen=True)
class SplitExamples:
    """Examples of one split.

    Attributes:
        dataset: N examples.
        representation: normalization, fitted on the training examples.
        num_classes: C.
        horizon: periods that a label looks ahead.
    """

    dataset: WindowDataset
    representation: Normalizer
    num_classes: int
    horizon: int

    def __len__(self) -> int:
        return len(self.dataset)

    @classmethod
    def from_split(
        cls, data: TrendDataModule, split: str, representation: Normalizer, *, unsampled: bool = False
    ) -> "SplitExamples":
        """Take the examples of a split.

        Args:
            data: one split of the tables.
            split: `train`, `validation` or `test`.
            representation: normalization.
            unsampled: take all examples of the split, rather than those that are scored.
        """
        dataset = data.datasets[split] if unsampled else data.scored[split]
        return cls(dataset, representation, len(data.panel.classes), data.settings.labels.horizon)

    @property
    def window_size(self) -> int:
        """Number of features in a window, T F."""
        return self.dataset.length * self.dataset.store.features.shape[1]

    def thin(self, max_rows: int) -> "SplitExamples":
        """Return at most `max_rows` evenly spaced examples."""
        step = -(-len(self) // max(1, max_rows))
        return self if step <= 1 else replace(self, dataset=self.dataset.with_ends(self.dataset.ends[::step]))

    def class_counts(self) -> np.ndarray:
        """Count the examples of each class, int64 `[C]`."""
        return self.dataset.class_counts(self.num_classes).numpy()

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, int64 `[N]`."""
        return self.dataset.labels.numpy()

    @property
    def weights(self) -> np.ndarray | None:
        """Weight of each example in training, float64 `[N]`; None where all count alike."""
        weights = self.dataset.weights
        return None if weights is None else weights.numpy().astype(np.float64)

    def table(self, inputs: Inputs) -> np.ndarray:
        """Return the inputs of a baseline, `[N, K]`."""
        return np.concatenate(list(self.chunks(inputs)))

    @torch.no_grad()
    def chunks(self, inputs: Inputs) -> Iterator[np.ndarray]:
        """Yield `table` in chunks of rows."""
        if inputs == "volatility":
            volatility = self.dataset.store.columns.volatility
            if volatility is None:
                raise DataError(
                    "data: the table has no high, low and close of a period, which model=volatility reads. Add columns "
                    f"{', '.join(bar.name for bar in PERIOD_BAR)}, or choose another model."
                )
            yield volatility(self.dataset.ends.numpy())
            return
        rows = min(CHUNK, max(1, CHUNK_VALUES // self.window_size))
        for index in torch.arange(len(self)).split(rows):
            yield select_inputs(self.representation(self.dataset[index].features).numpy(), inputs)
            self.dataset.store.columns.release()  # the examples of a long split touch every page of a mapped table
