"""The protocol of a baseline, and the baselines that read a table of features."""

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np

from ste.baselines.examples import Inputs, SplitExamples, select_inputs


class Baseline(Protocol):
    """A classifier without a training loop of its own.

    Its state holds tensors, numbers and text only, so that a checkpoint loads without executing anything.
    """

    def fit(self, train: SplitExamples, validation: SplitExamples, seed: int) -> None:
        """Fit the training examples; the validation examples may only decide when to stop."""

    def predict_proba(self, examples: SplitExamples) -> np.ndarray:
        """Predict class probabilities, float64 `[N, C]`."""

    def state_dict(self) -> dict[str, Any]:
        """Return the fitted state as tensors, numbers and text."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""

    @property
    def parameter_count(self) -> int:
        """Number of fitted parameters."""


class FeatureBaseline(ABC):
    """A baseline that predicts each example from one row of numbers.

    Attributes:
        inputs: which numbers: `last`, the normalized features of the last period; `window`, those of all periods; or
            `volatility`, the trailing volatilities.
    """

    inputs: Inputs = "last"

    @abstractmethod
    def predict_inputs(self, x: np.ndarray) -> np.ndarray:
        """Predict class probabilities, float64 `[N, C]`, from inputs `[N, K]`."""

    def predict_proba(self, examples: SplitExamples) -> np.ndarray:
        """Predict class probabilities, float64 `[N, C]`, in chunks that bound the memory."""
        return np.concatenate([self.predict_inputs(x) for x in examples.chunks(self.inputs)])

    @property
    def reads_window(self) -> bool:
        """Whether the normalized features of a window are all that it needs."""
        return self.inputs != "volatility"

    def predict_window(self, features: np.ndarray) -> np.ndarray:
        """Predict class probabilities, `[N, C]`, from normalized features `[N, T, F]` or `[N, F]`."""
        return self.predict_inputs(select_inputs(features, self.inputs))
