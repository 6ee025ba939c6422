"""Multinomial logistic regression: on the last period's features, and on volatility alone."""

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from ste.baselines.examples import Examples

MOST_ROWS = 100_000
"""Training examples, evenly spaced, that are looked at."""


class Logistic:
    """Multinomial logistic regression (Cox 1958) on the prepared features of each example's last period.

    Args:
        C: inverse of the L2 penalty.
    """

    def __init__(self, C: float = 1.0) -> None:  # noqa: N803 - the field's own name
        if C <= 0:
            raise ValueError(f"C={C}: expected a number above 0")
        self.C = C
        self.mean = self.scale = self.intercept = np.empty(0)
        self.weights = np.empty((0, 0))

    def inputs(self, examples: Examples) -> np.ndarray:
        """What it looks at, `[N, K]`."""
        return examples.last

    def fit(self, train: Examples, validation: Examples, seed: int) -> None:
        """Fit on the training examples; a class that is not among them gets probability 0."""
        some = train.every(max(1, -(-len(train) // MOST_ROWS)))
        x, y = self.inputs(some).astype(np.float64), some.labels
        self.mean = x.mean(axis=0)
        spread = x.std(axis=0)
        self.scale = np.where(spread > 1e-9, spread, 1.0)
        seen = np.unique(y)
        self.weights = np.zeros((x.shape[1], train.num_classes))
        self.intercept = np.full(train.num_classes, -np.inf)
        self.intercept[seen] = 0.0
        if len(seen) == 1:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline near its optimum is a baseline
            model = LogisticRegression(C=self.C, max_iter=300).fit((x - self.mean) / self.scale, y)
        if len(seen) == 2:  # scikit-learn keeps the difference of two classes alone
            self.weights[:, seen[1]], self.intercept[seen[1]] = model.coef_[0], model.intercept_[0]
        else:
            self.weights[:, seen], self.intercept[seen] = model.coef_.T, model.intercept_

    def predict(self, examples: Examples) -> np.ndarray:
        """Softmax of the scores."""
        return self.chances(self.inputs(examples))

    def chances(self, inputs: np.ndarray) -> np.ndarray:
        """Probabilities `[N, C]` of inputs `[N, K]`."""
        scores = (inputs - self.mean) / self.scale @ self.weights + self.intercept
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        return chances / chances.sum(axis=1, keepdims=True)

    def state(self) -> dict[str, Any]:
        """Scaling, weights and intercepts."""
        arrays = {"mean": self.mean, "scale": self.scale, "weights": self.weights, "intercept": self.intercept}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.mean, self.scale, self.weights, self.intercept = (
            state[name].numpy() for name in ("mean", "scale", "weights", "intercept")
        )

    @property
    def parameters(self) -> int:
        """Weights and intercepts."""
        return self.weights.size + self.intercept.size


class Volatility(Logistic):
    """The same on trailing volatility alone: what can be scored by knowing that quiet stocks stay quiet."""

    def inputs(self, examples: Examples) -> np.ndarray:
        """Trailing volatilities `[N, K]`."""
        return examples.volatility
