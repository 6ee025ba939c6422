"""Multinomial logistic regression: on the last period's features, and on volatility alone."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from ste.baselines.examples import Inputs
from ste.baselines.sklearn_baseline import SklearnBaseline
from ste.registry import BASELINES


@BASELINES.register
class Logistic(SklearnBaseline):
    """Multinomial logistic regression (Cox 1958) on the normalized features of each example's last period.

    Args:
        C: inverse strength of the L2 penalty, above 0, default 1. A smaller value shrinks the weights more.
    """

    def __init__(self, C: float = 1.0) -> None:  # noqa: N803 - scikit-learn's name
        if C <= 0:
            raise ValueError(f"C={C}: expected a number above 0")
        super().__init__(LogisticRegression(C=C, max_iter=300))

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

    inputs: Inputs = "volatility"
