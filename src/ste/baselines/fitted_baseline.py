"""A baseline with its normalization: built by name, fitted, saved and loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ste.baselines.base import Baseline
from ste.baselines.examples import SplitExamples
from ste.data.datamodule import TrendDataModule
from ste.data.storage.files import atomic_file
from ste.features.column_forms import ColumnForms
from ste.features.normalization import Normalizer
from ste.registry import BASELINES


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline and the normalization that it reads features through.

    Attributes:
        name: class name of the baseline.
        arguments: of the class.
        baseline: the estimator.
        representation: normalization, fitted on the training examples.
    """

    name: str
    arguments: dict[str, Any]
    baseline: Baseline
    representation: Normalizer

    @classmethod
    def from_settings(cls, model: dict[str, Any], data: TrendDataModule, representation: str) -> "FittedBaseline":
        """Build an unfitted baseline with a normalization fitted on the training examples.

        Args:
            model: `baseline`, its class name, and its arguments.
            data: one split of the tables.
            representation: kind of the normalization.

        Raises:
            ConfigError: an unknown name, or an argument that the baseline does not take or refuses.
        """
        arguments = {key: value for key, value in model.items() if key != "baseline"}
        baseline = BASELINES.build(model["baseline"], arguments)
        normalization = Normalizer(ColumnForms.from_features(data.panel.feature_set).to_dict(), representation)
        normalization.fit(data.training_chunks)
        return cls(model["baseline"], arguments, baseline, normalization)

    def fit(self, data: TrendDataModule, seed: int) -> None:
        """Fit the baseline on all training examples; validation examples may decide when to stop."""
        train = SplitExamples.from_split(data, "train", self.representation, unsampled=True)
        self.baseline.fit(train, SplitExamples.from_split(data, "validation", self.representation), seed)

    def predict_proba(self, data: TrendDataModule, split: str) -> np.ndarray:
        """Predict class probabilities of the scored examples of a split, float64 `[N, C]`."""
        return self.baseline.predict_proba(SplitExamples.from_split(data, split, self.representation))

    def save(self, path: Path) -> None:
        """Write a checkpoint of tensors, numbers and text that `from_checkpoint` reads."""
        content = {
            "baseline": self.name,
            "arguments": self.arguments,
            "forms": self.representation.forms.to_dict(),
            "representation": self.representation.kind,
            "scaling": self.representation.state_dict(),
            "state": self.baseline.state_dict(),
        }
        with atomic_file(path) as partial, partial.open("wb") as file:
            torch.save(content, file)  # from a path it would save the temporary name too

    @classmethod
    def from_checkpoint(cls, content: dict[str, Any]) -> "FittedBaseline":
        """Restore a baseline from the content of a checkpoint, loaded with `weights_only=True`."""
        representation = Normalizer(content["forms"], content["representation"])
        representation.load_state_dict(content["scaling"])
        baseline = BASELINES.build(content["baseline"], content["arguments"])
        baseline.load_state_dict(content["state"])
        return cls(content["baseline"], content["arguments"], baseline, representation)
