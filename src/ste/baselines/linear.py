"""Multinomial logistic regression: on the last period's features, and on volatility alone."""

import warnings
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ste.baselines.base import FeatureBaseline
from ste.baselines.examples import Inputs, SplitExamples
from ste.registry import BASELINES

MAX_ROWS = 100_000
"""Training examples, evenly spaced, that the regression is fitted on."""


@BASELINES.register
class Logistic(FeatureBaseline):
    """Multinomial logistic regression (Cox 1958) on the normalized features of each example's last period.

    The state is written by skops, which holds no code, and is read back only if skops trusts every type in it.

    Args:
        C: inverse strength of the L2 penalty, above 0, default 1. A smaller value shrinks the weights more.
    """

    def __init__(self, C: float = 1.0) -> None:  # noqa: N803 - scikit-learn's name
        if C <= 0:
            raise ValueError(f"C={C}: expected a number above 0")
        self.strength = C
        self.pipeline: Any = None
        self.num_classes = 0

    def fit(self, train: SplitExamples, validation: SplitExamples, seed: int) -> None:
        """Fit on at most `MAX_ROWS` training examples; a class without an example gets probability 0."""
        some = train.thin(MAX_ROWS)
        self.num_classes = train.num_classes
        # The regression refuses a single class.
        several = len(np.unique(some.labels)) > 1
        classifier = LogisticRegression(C=self.strength, max_iter=300) if several else DummyClassifier()
        self.pipeline = make_pipeline(StandardScaler(), classifier)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # near its optimum is enough for a baseline
            self.pipeline.fit(some.table(self.inputs).astype(np.float64), some.labels)

    def predict_inputs(self, x: np.ndarray) -> np.ndarray:
        """Predict class probabilities, float64 `[N, C]`, from inputs `[N, K]`."""
        out = np.zeros((len(x), self.num_classes))
        out[:, self.pipeline.classes_] = self.pipeline.predict_proba(x.astype(np.float64))
        return out

    def state_dict(self) -> dict[str, Any]:
        """Return the pipeline in skops' format."""
        from skops.io import dumps

        content = bytearray(dumps(self.pipeline))
        return {"skops": torch.frombuffer(content, dtype=torch.uint8), "num_classes": self.num_classes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the pipeline; a type that skops does not trust is an error."""
        from skops.io import loads

        self.pipeline = loads(state["skops"].numpy().tobytes())
        self.num_classes = int(state["num_classes"])

    @property
    def mean(self) -> np.ndarray:
        """Mean of each input in the training examples, `[K]`."""
        return np.asarray(self.pipeline[0].mean_)

    @property
    def scale(self) -> np.ndarray:
        """Standard deviation of each input in the training examples, `[K]`; 1 for a constant."""
        return np.asarray(self.pipeline[0].scale_)

    @property
    def weights(self) -> np.ndarray:
        """Weights of the standardized inputs, `[K, C]`."""
        return self._by_class("coef_", np.zeros((self.num_classes, len(self.mean)))).T

    @property
    def intercept(self) -> np.ndarray:
        """Intercept of each class, `[C]`; minus infinity for a class without a training example."""
        return self._by_class("intercept_", np.full(self.num_classes, -np.inf))

    @property
    def parameter_count(self) -> int:
        """Number of weights and intercepts."""
        return self.weights.size + self.intercept.size

    def _by_class(self, name: str, out: np.ndarray) -> np.ndarray:
        """Spread an attribute of the regression over all classes; scikit-learn keeps one row for two classes."""
        classes = self.pipeline.classes_
        fitted = getattr(self.pipeline[-1], name, 0.0)  # a single class has no regression
        out[classes] = 0.0
        out[classes[1:] if len(classes) == 2 else classes] = fitted
        return out


@BASELINES.register
class Volatility(Logistic):
    """Multinomial logistic regression on the trailing volatilities of each example alone.

    It measures how much of a score comes from volatility: calm stocks stay calm.

    Args:
        C: inverse strength of the L2 penalty, above 0, default 1.
    """

    inputs: ClassVar[Inputs] = "volatility"
