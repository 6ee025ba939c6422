"""The k tickers of the highest scores."""

from dataclasses import dataclass

import numpy as np

from ste.evaluation.portfolio.candidates import Candidates, best_first
from ste.registry import PORTFOLIOS


@dataclass(frozen=True)
class TopK:
    """Equal weights of the k tickers of the highest score, 100 % in total.

    All tickers where there are fewer than k; cash on a date on which all scores are equal.

    Attributes:
        k: number of tickers.
    """

    k: int = 10

    def __post_init__(self) -> None:
        """Check the number of tickers."""
        if not isinstance(self.k, int) or self.k < 1:
            raise ValueError(f"k={self.k}: expected a whole number, 1 or more")

    def __call__(self, candidates: Candidates) -> np.ndarray:
        """Choose the weights of a date."""
        score = candidates.score
        if np.ptp(score) == 0.0:
            return np.zeros(len(score))
        count = min(self.k, len(score))
        return best_first(score, count) / count


PORTFOLIOS.add("topk", TopK)
