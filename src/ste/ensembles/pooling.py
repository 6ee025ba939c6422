"""One forecast out of several models': their mean, weighted or not, or a regression on them.

Whatever is learnt is learnt from validation rows and used on test rows of the same fold: a fold's validation
rows lie outside what it is tested on, while those of a later fold are an earlier one's test rows. On the
validation rows themselves a learnt combination is cross-fitted: each block of periods is predicted by what
was learnt from the other blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from ste.errors import DataError
from ste.evaluation.bootstrap import MIN_PERIODS
from ste.evaluation.metrics.base import MIN_PROBABILITY
from ste.evaluation.predictions import Predictions
from ste.schema import PERIOD, probability_names

METHODS = ("average", "validation", "stacked")
"""Mean of probabilities; the same weighted by validation log-loss; logistic regression on log-probabilities."""

BLOCKS = 5
"""Blocks of whole periods that a learnt combination's own validation rows are cross-fitted over."""

_KEYS = ("date", "ticker", "split", "fold", "path")


@dataclass(frozen=True, eq=False)
class Pool:
    """Linear opinion pool (Stone 1961, The Annals of Mathematical Statistics 32(4)): a weighted mean.

    Attributes:
        weights: float64 `[K]`, one per member, 0 or more, of sum 1.
    """

    weights: np.ndarray

    def __call__(self, chances: np.ndarray) -> np.ndarray:
        """Probabilities `[N, C]` of the members' `[K, N, C]`."""
        return (self.weights[:, None, None] * chances).sum(axis=0)

    def plain(self) -> dict[str, Any]:
        """As plain numbers."""
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

    def __call__(self, chances: np.ndarray) -> np.ndarray:
        """Probabilities `[N, C]` of the members' `[K, N, C]`."""
        scores = np.einsum("ckj,knj->nc", self.coefficients, _logs(chances)) + self.intercept
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    @property
    def weights(self) -> np.ndarray:
        """Exponent of each member in the nearest logarithmic pool, `[K]`; they need not have sum 1.

        A pool that raises member k's probabilities to the power a has a on the diagonal of k's coefficients, up to
        a constant per column: a is the mean of the diagonal less the mean of the rest.
        """
        count = len(self.intercept)
        diagonal = np.einsum("ckc->k", self.coefficients)
        return diagonal / count - (self.coefficients.sum(axis=(0, 2)) - diagonal) / (count * (count - 1))

    def plain(self) -> dict[str, Any]:
        """As plain numbers."""
        return {
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept.tolist(),
            "smallest_probability": MIN_PROBABILITY,
        }


Combination = Pool | Stacking


@dataclass(frozen=True, eq=False)
class Combined:
    """Members made one.

    Attributes:
        predictions: validation and test rows; the baselines' columns are the first member's.
        by_fold: what was learnt, by number of the fold.
        fitted_loss: log-loss on the very rows that were learnt from, which flatters; None where nothing was learnt.
    """

    predictions: Predictions
    by_fold: dict[int, Combination]
    fitted_loss: float | None

    @property
    def weights(self) -> np.ndarray:
        """Weight (of a stacked one, exponent) of each member, mean over folds, `[K]`."""
        return np.mean([one.weights for one in self.by_fold.values()], axis=0)


def combine(members: Sequence[Predictions], method: str, strength: float = 1.0, name: str = "Ensemble") -> Combined:
    """Combine what several models say of the same rows.

    Args:
        members: validation and test rows of each, alike (`check_alike`).
        method: one of `METHODS`.
        strength: C of the stacked regression, the inverse of its L2 penalty.
        name: of the ensemble, to print.

    Raises:
        DataError: too few validation periods to learn from, or a class that is not among them.
    """
    first = members[0]
    chances = np.stack([member.probs for member in members])
    fold, validation = first.frame["fold"].to_numpy(), (first.frame["split"] == "validation").to_numpy()
    out, fitted = np.empty_like(first.probs), np.empty_like(first.probs)
    by_fold: dict[int, Combination] = {}
    for number in np.unique(fold):
        learnt, rest = validation & (fold == number), ~validation & (fold == number)
        rows = _Rows.of(first, chances, learnt)
        combination = _learn(method, strength, rows)
        by_fold[int(number)] = combination
        out[rest] = combination(chances[:, rest])
        fitted[learnt] = combination(rows.chances)
        out[learnt] = fitted[learnt] if method == "average" else _cross_fitted(method, strength, rows)
    frame = first.frame.copy()
    frame[list(probability_names(first.classes))] = out
    predictions = replace(first, frame=frame, model=name)
    loss = None if method == "average" else _log_loss(fitted[validation], first.labels[validation])
    return Combined(predictions, by_fold, loss)


def beside_members(predictions: Predictions, members: Mapping[str, Predictions]) -> Predictions:
    """The same rows with the members as further baselines, before the others.

    Args:
        predictions: of the ensemble.
        members: by a name without a dot.
    """
    columns = list(probability_names(predictions.classes))
    theirs = [member.frame[columns].add_prefix(f"{name}.") for name, member in members.items()]
    known = [name for name in predictions.frame if "." not in str(name)]
    rest = [name for name in predictions.frame if "." in str(name)]
    frame = pd.concat([predictions.frame[known], *theirs, predictions.frame[rest]], axis=1)
    return replace(predictions, frame=frame)


def check_alike(members: Mapping[str, Predictions]) -> None:
    """Raise unless all members speak of the same rows.

    Args:
        members: by the run's id.

    Raises:
        DataError: no validation rows, or other classes, frequency, horizon, rows or labels than the first member's.
    """
    (first_id, first), *others = members.items()
    for run_id, one in members.items():
        if "validation" not in one.splits:
            raise DataError(f"run {run_id}: it has no validation predictions. Train it anew, or leave it out of runs=.")
    for run_id, one in others:
        for what in ("classes", "frequency", "horizon"):
            own, expected = getattr(one, what), getattr(first, what)
            if own != expected:
                raise DataError(f"run {run_id}: its {what} is {own}, run {first_id}'s is {expected}. {_SAME}")
        for split in dict.fromkeys([*first.splits, *one.splits]):
            _check_rows(split, run_id, one.slice_split(split), first_id, first.slice_split(split))


_SAME = "Members are trained on the same data and labels."


def _check_rows(split: str, run_id: str, one: Predictions, first_id: str, first: Predictions) -> None:
    same = len(one) == len(first) and all((one.frame[key].array == first.frame[key].array).all() for key in _KEYS)
    if not same:
        raise DataError(
            f"run {run_id}: its {split} rows are {_rows(one)}, run {first_id}'s are {_rows(first)}. Runs are scored on "
            "the same rows when they have the same validation and data.history. Try data.history=N, the longest of "
            "their data.sequence_length, with each."
        )
    if not np.array_equal(one.labels, first.labels):
        raise DataError(f"run {run_id}: its {split} labels differ from run {first_id}'s. {_SAME}")


def _rows(predictions: Predictions) -> str:
    if not len(predictions):
        return "none"
    dates = predictions.frame["date"]
    folds = predictions.frame["fold"].nunique()
    in_folds = f" in {folds} folds" if folds > 1 else ""
    return f"{len(predictions):,} from {dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}{in_folds}"


@dataclass(frozen=True, eq=False)
class _Rows:
    """What is learnt from: validation rows of one fold.

    Attributes:
        chances: the members', `[K, N, C]`.
        labels: `[N]`.
        majority: that baseline's probabilities `[N, C]`.
        periods: `[N]`.
        classes, unit, horizon: of the predictions.
    """

    chances: np.ndarray
    labels: np.ndarray
    majority: np.ndarray
    periods: np.ndarray
    classes: tuple[str, ...]
    unit: str
    horizon: int

    @classmethod
    def of(cls, first: Predictions, chances: np.ndarray, mask: np.ndarray) -> "_Rows":
        return cls(
            chances[:, mask],
            first.labels[mask],
            first.baseline("majority")[mask],
            first.periods[mask],
            first.classes,
            PERIOD[first.frequency],
            first.horizon,
        )

    def where(self, mask: np.ndarray) -> "_Rows":
        rest = (self.classes, self.unit, self.horizon)
        return _Rows(self.chances[:, mask], self.labels[mask], self.majority[mask], self.periods[mask], *rest)


def _learn(method: str, strength: float, rows: _Rows) -> Combination:
    if method == "average":
        return Pool(np.full(len(rows.chances), 1 / len(rows.chances)))
    found, fewest = len(np.unique(rows.periods)), MIN_PERIODS * rows.horizon
    if found < fewest:
        raise DataError(
            f"method={method}: it learns from validation rows, which are of {found} {rows.unit}s. Expected {fewest} or "
            "more. Try method=average."
        )
    return _skill(rows) if method == "validation" else _stack(rows, strength)


def _skill(rows: _Rows) -> Pool:
    """Weights in proportion to what each member gains on majority's log-loss; equal where none gains any."""
    losses = np.array([_log_loss(chances, rows.labels) for chances in rows.chances])
    gains = np.maximum(_log_loss(rows.majority, rows.labels) - losses, 0.0)
    return Pool(gains / gains.sum() if gains.sum() > 0 else np.full(len(gains), 1 / len(gains)))


def _stack(rows: _Rows, strength: float) -> Stacking:
    members, count = len(rows.chances), len(rows.classes)
    missing = set(range(count)) - set(rows.labels.tolist())
    if missing:
        name = rows.classes[min(missing)]
        raise DataError(f"method=stacked: no validation row that it learns from is {name}. Try method=average.")
    logs = _logs(rows.chances).transpose(1, 0, 2).reshape(len(rows.labels), members * count)
    # Newton's steps: few parameters, and a handful of steps to the last digits.
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8).fit(logs, rows.labels)
    coefficients, intercept = model.coef_, model.intercept_
    if count == 2:  # scikit-learn keeps the score of the second class alone
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercept = np.concatenate([np.zeros_like(intercept), intercept])
    return Stacking(coefficients.reshape(count, members, count), intercept)


def _cross_fitted(method: str, strength: float, rows: _Rows) -> np.ndarray:
    """Each block of periods by what the others taught, `[N, C]`; a horizon on either side of it teaches nothing."""
    out = np.empty(rows.chances.shape[1:])
    for block in np.array_split(np.unique(rows.periods), BLOCKS):
        held = (rows.periods >= block[0]) & (rows.periods <= block[-1])
        apart = (rows.periods < block[0] - rows.horizon) | (rows.periods > block[-1] + rows.horizon)
        teachers = rows.where(apart)
        combination = _skill(teachers) if method == "validation" else _stack(teachers, strength)
        out[held] = combination(rows.chances[:, held])
    return out


def _logs(chances: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(chances, MIN_PROBABILITY))


def _log_loss(chances: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-probability of the class that came, nats."""
    return float(-_logs(chances[np.arange(len(labels)), labels]).mean())
