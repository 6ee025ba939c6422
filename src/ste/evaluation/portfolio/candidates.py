"""What a portfolio knows when it chooses its weights, and how a way to choose them is registered."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from ste.schema import falling, rising


@dataclass(frozen=True, eq=False)
class Candidates:
    """The tickers of one date, K of them, as they are known at its close.

    Attributes:
        probs: class probabilities, float64 `[K, C]`.
        held: weights before the trade, as they have drifted, float64 `[K]`; fractions of the equity.
        past: from a number of periods to the returns of the last so many, float64 `[T, K]`, oldest first, T at most
            that number: simple, over the holding period, those that ended by the date; NaN where there is none.
    """

    probs: np.ndarray
    held: np.ndarray
    past: Callable[[int], np.ndarray]

    @property
    def score(self) -> np.ndarray:
        """Probability of a rise less that of a fall, `[K]`."""
        return lean(self.probs)

    @property
    def rises(self) -> np.ndarray:
        """Whether the most probable class is a rise, bool `[K]`."""
        return self.probs.argmax(axis=1) >= (self.probs.shape[1] + 1) // 2


Construction = Callable[[Candidates], np.ndarray]
"""A way to choose weights `[K]`: fractions of the equity, negative ones are short positions; the rest is cash."""


def lean(probs: np.ndarray) -> np.ndarray:
    """Return the probability of a rise less that of a fall, `[N]`, of class probabilities `[N, C]`."""
    classes = probs.shape[1]
    return probs[:, rising(classes)].sum(axis=1) - probs[:, falling(classes)].sum(axis=1)


def best_first(score: np.ndarray, count: int) -> np.ndarray:
    """Return how much of a position each ticker gets, `[K]`: 1 for the `count` highest scores, 0 for the others.

    Tickers of equal score at the boundary share its positions, so that the order of tickers has no effect.
    """
    positions = np.zeros(len(score))
    positions[len(score) - count :] = 1.0
    _, tied = np.unique(score, return_inverse=True)
    shared = np.bincount(tied, weights=positions[np.argsort(np.argsort(score, kind="stable"), kind="stable")])
    return (shared / np.bincount(tied))[tied]


def declare_construction(component: Any, name: str) -> Callable[..., Construction]:
    """Return what is registered for a class or function of the user.

    Args:
        component: a class whose objects are called with `Candidates`, or a function of `Candidates` and arguments.
        name: of the component.
    """
    if inspect.isclass(component):
        return cast(Callable[..., Construction], component)

    def build(**arguments: Any) -> Construction:
        inspect.signature(component).bind(None, **arguments)  # a wrong name is found before the training
        return partial(component, **arguments)

    return build


def no_past(periods: int) -> np.ndarray:
    """The past of a portfolio that is built without one, `[0, 0]`."""
    return np.empty((0, 0))
