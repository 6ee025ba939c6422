"""Combine the predictions of several models: their mean, a weighted mean, or a regression on them.

Weights and coefficients are fitted on validation rows and used on test rows of the same fold: a fold's validation rows
lie outside its test rows, while those of a later fold are test rows of an earlier one. The validation rows themselves
are cross-fitted: each block of periods is predicted by what was fitted on the other blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from ste.errors import DataError
from ste.evaluation.bootstrap import MIN_PERIODS
from ste.evaluation.cross_fit import cross_fit_blocks
from ste.evaluation.metrics.base import MIN_PROBABILITY, log_losses
from ste.evaluation.predictions import Predictions
from ste.schema import PERIOD, probability_names


@dataclass(frozen=True, eq=False)
class Pool:
    """Linear opinion pool (Stone 1961, The Annals of Mathematical Statistics 32(4)): a weighted mean.

    Attributes:
        weights: float64 `[K]`, one per member, 0 or more, of sum 1.
    """

    weights: np.ndarray

    def __call__(self, probs: np.ndarray) -> np.ndarray:
        """Combine the members' probabilities `[K, N, C]` to `[N, C]`."""
        return (self.weights[:, None, None] * probs).sum(axis=0)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain numbers."""
        return {"weights": self.weights.tolist()}


@dataclass(frozen=True, eq=False)
class Stacking:
    """Multinomial logistic regression on log-probabilities (Wolpert 1992; Ting and Witten 1999).

    Attributes:
        coefficients: float64 `[C, K, C]`: score of a class from each member's log-probability of each class.
        intercept: float64 `[C]`.
    """

    coefficients: np.ndarray
    intercept: np.ndarray

    def __call__(self, probs: np.ndarray) -> np.ndarray:
        """Combine the members' probabilities `[K, N, C]` to `[N, C]`."""
        scores = np.einsum("ckj,knj->nc", self.coefficients, _log_probs(probs)) + self.intercept
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    @property
    def weights(self) -> np.ndarray:
        """Exponent of each member in the nearest logarithmic pool, `[K]`; their sum need not be 1.

        A pool that raises member k's probabilities to the power a has a on the diagonal of k's coefficients, up to
        a constant per column: a is the mean of the diagonal less the mean of the rest.
        """
        count = len(self.intercept)
        diagonal = np.einsum("ckc->k", self.coefficients)
        return diagonal / count - (self.coefficients.sum(axis=(0, 2)) - diagonal) / (count * (count - 1))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain numbers."""
        return {
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept.tolist(),
            "smallest_probability": MIN_PROBABILITY,
        }


Combination = Pool | Stacking


@dataclass(frozen=True, eq=False)
class Combined:
    """The combined predictions of several members.

    Attributes:
        predictions: of validation and test rows; the baselines' columns are the first member's.
        by_fold: fitted combination by number of the fold.
        fitted_loss: in-sample log-loss on the validation rows, which is too optimistic; None for `average`.
    """

    predictions: Predictions
    by_fold: dict[int, Combination]
    fitted_loss: float | None

    @property
    def weights(self) -> np.ndarray:
        """Weight of each member (exponent for `stacked`), mean over folds, `[K]`."""
        return np.mean([one.weights for one in self.by_fold.values()], axis=0)


def combine(members: Sequence[Predictions], method: str, strength: float = 1.0, name: str = "Ensemble") -> Combined:
    """Combine the predictions of several models for the same rows.

    Args:
        members: validation and test rows of each, checked by `same_rows.check_same_rows`.
        method: `average` of the probabilities; `validation`, the same weighted by validation log-loss; or `stacked`,
            logistic regression on the log-probabilities.
        strength: C of the stacked regression, the inverse of its L2 penalty.
        name: of the ensemble, for printing.

    Raises:
        DataError: too few validation periods to fit on, or a class that is not among them.
    """
    first = members[0]
    probs = np.stack([member.probs for member in members])
    fold, validation = first.frame["fold"].to_numpy(), (first.frame["split"] == "validation").to_numpy()
    out, in_sample = np.empty_like(first.probs), np.empty_like(first.probs)
    by_fold: dict[int, Combination] = {}
    for number in np.unique(fold):
        fitting, rest = validation & (fold == number), ~validation & (fold == number)
        if method != "average":
            _check_periods(method, first, fitting)
        combination = _fit(method, strength, first, probs, fitting)
        by_fold[int(number)] = combination
        out[rest] = combination(probs[:, rest])
        in_sample[fitting] = combination(probs[:, fitting])
        if method == "average":
            out[fitting] = in_sample[fitting]
        else:
            _cross_fit(method, strength, first, probs, fitting, out)
    frame = first.frame.copy()
    frame[list(probability_names(first.classes))] = out
    predictions = replace(first, frame=frame, model=name)
    loss = None if method == "average" else float(log_losses(in_sample[validation], first.labels[validation]).mean())
    return Combined(predictions, by_fold, loss)


def add_baselines(predictions: Predictions, members: Mapping[str, Predictions]) -> Predictions:
    """Add the members as further baselines of the same rows, before the others.

    Args:
        predictions: of the ensemble.
        members: by a name without a dot.
    """
    columns = list(probability_names(predictions.classes))
    member_columns = [member.frame[columns].add_prefix(f"{name}.") for name, member in members.items()]
    own = [name for name in predictions.frame if "." not in str(name)]
    baselines = [name for name in predictions.frame if "." in str(name)]
    frame = pd.concat([predictions.frame[own], *member_columns, predictions.frame[baselines]], axis=1)
    return replace(predictions, frame=frame)


def _check_periods(method: str, first: Predictions, rows: np.ndarray) -> None:
    periods, min_periods = len(np.unique(first.periods[rows])), MIN_PERIODS * first.horizon
    if periods < min_periods:
        raise DataError(
            f"method={method}: it is fitted on validation rows, which are of {periods} {PERIOD[first.frequency]}s. "
            f"Expected {min_periods} or more. Try method=average."
        )


def _fit(method: str, strength: float, first: Predictions, probs: np.ndarray, rows: np.ndarray) -> Combination:
    """Fit a combination.

    Args:
        method: as of `combine`.
        strength: C of the stacked regression.
        first: any member's predictions, for labels and majority.
        probs: the members' probabilities, `[K, N, C]`.
        rows: validation rows to fit on, bool `[N]`.
    """
    if method == "average":
        return Pool(np.full(len(probs), 1 / len(probs)))
    labels = first.labels[rows]
    if method == "validation":  # by the gain on majority's log-loss; equally where none gains any
        losses = np.array([log_losses(one[rows], labels).mean() for one in probs])
        gains = np.maximum(log_losses(first.baseline("majority")[rows], labels).mean() - losses, 0.0)
        return Pool(gains / gains.sum() if gains.sum() > 0 else np.full(len(gains), 1 / len(gains)))
    members, count = len(probs), len(first.classes)
    missing = set(range(count)) - set(labels.tolist())
    if missing:
        name = first.classes[min(missing)]
        raise DataError(f"method=stacked: no validation row that it is fitted on is {name}. Try method=average.")
    logs = _log_probs(probs[:, rows]).transpose(1, 0, 2).reshape(len(labels), members * count)
    # Newton's method: few parameters, and a handful of steps to the last digits.
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8).fit(logs, labels)
    coefficients, intercept = model.coef_, model.intercept_
    if count == 2:  # scikit-learn has the score of the second class alone
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercept = np.concatenate([np.zeros_like(intercept), intercept])
    return Stacking(coefficients.reshape(count, members, count), intercept)


def _cross_fit(
    method: str, strength: float, first: Predictions, probs: np.ndarray, rows: np.ndarray, out: np.ndarray
) -> None:
    """Predict each block of periods by a fit on the others, less a horizon on either side, into `out`, `[N, C]`."""
    for fitting, predicted in cross_fit_blocks(first.periods, rows, first.horizon):
        out[predicted] = _fit(method, strength, first, probs, fitting)(probs[:, predicted])


def _log_probs(probs: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probs, MIN_PROBABILITY))
