"""The tickers that are predicted to rise."""

from dataclasses import dataclass

import numpy as np

from ste.evaluation.portfolio.candidates import Candidates
from ste.registry import PORTFOLIOS


@dataclass(frozen=True)
class LongOnly:
    """Equal weights of the tickers whose most probable class is a rise, 100 % in total; cash if there is none."""

    def __call__(self, candidates: Candidates) -> np.ndarray:
        """Choose the weights of a date."""
        return candidates.rises / max(int(candidates.rises.sum()), 1)


PORTFOLIOS.add("long_only", LongOnly)
