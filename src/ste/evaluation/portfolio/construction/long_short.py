"""The top third of the tickers long, the bottom third short."""

from dataclasses import dataclass

import numpy as np

from ste.evaluation.portfolio.candidates import Candidates, best_first
from ste.registry import PORTFOLIOS


@dataclass(frozen=True)
class LongShort:
    """100 % long and 100 % short, equal weights; a date on which all scores are equal is not traded."""

    def __call__(self, candidates: Candidates) -> np.ndarray:
        """Choose the weights of a date."""
        score = candidates.score
        third = len(score) // 3
        return (best_first(score, third) - best_first(-score, third)) / max(third, 1)


PORTFOLIOS.add("long_short", LongShort)
