"""Mean-variance weights with limits, by skfolio."""

from dataclasses import dataclass

import numpy as np

from ste.errors import DataError
from ste.evaluation.portfolio.candidates import Candidates
from ste.registry import PORTFOLIOS

MIN_PAST = 20
"""Periods of past returns that a ticker needs for its covariances."""

_NOTHING = 1e-6  # a smaller weight is the solver's rounding


@dataclass(frozen=True)
class Optimized:
    """Long-only weights that maximize the expected return less a multiple of the variance, 100 % at most.

    The expected return of a ticker is its standard score across the date's tickers, times its own volatility, times
    `skill` (Grinold 1994, "Alpha is volatility times IC times score"). Volatilities and correlations are those of the
    returns that had ended by the date, shrunk (Ledoit and Wolf 2004). A ticker without such returns is not held, and
    nothing is until `MIN_PAST` periods have ended.

    Attributes:
        max_weight: largest weight of a ticker, above 0 to 1. A position that drifts above it is reduced as far as
            `max_turnover` permits.
        max_turnover: largest change of a ticker's weight at a trade, above 0 to 1.
        lookback: periods of past returns, `MIN_PAST` or more.
        risk_aversion: multiple of the variance, above 0.
        skill: expected correlation of score and return, above 0.
    """

    max_weight: float = 0.1
    max_turnover: float = 0.1
    lookback: int = 104
    risk_aversion: float = 1.0
    skill: float = 0.05

    def __post_init__(self) -> None:
        """Check the limits."""
        for name in ("max_weight", "max_turnover"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)}: expected a number above 0 to 1")
        for name in ("risk_aversion", "skill"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name}={getattr(self, name)}: expected a number above 0")
        if not isinstance(self.lookback, int) or self.lookback < MIN_PAST:
            raise ValueError(f"lookback={self.lookback}: expected a whole number, {MIN_PAST} or more")

    def __call__(self, candidates: Candidates) -> np.ndarray:
        """Choose the weights of a date."""
        weights = np.zeros(len(candidates.held))
        past, score = candidates.past(self.lookback), candidates.score
        if len(past) < MIN_PAST or np.ptp(score) == 0.0:
            return weights
        known = np.isfinite(past).all(axis=0)
        if known.sum() < 2:
            return weights
        standard = (score - score.mean()) / score.std()
        weights[known] = self._solve(past[:, known], standard[known], candidates.held[known])
        return np.where(weights < _NOTHING, 0.0, weights)

    def _solve(self, past: np.ndarray, standard: np.ndarray, held: np.ndarray) -> np.ndarray:
        from skfolio.exceptions import OptimizationError  # imported where it is needed: it takes seconds
        from skfolio.moments import LedoitWolf
        from skfolio.optimization import MeanRisk, ObjectiveFunction
        from skfolio.prior import EmpiricalPrior

        expected = self.skill * past.std(axis=0, ddof=1) * standard
        least = np.maximum(held - self.max_turnover, 0.0)
        model = MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
            risk_aversion=self.risk_aversion,
            prior_estimator=EmpiricalPrior(covariance_estimator=LedoitWolf()),
            overwrite_expected_return=lambda weights: expected @ weights,
            min_weights=0.0,
            max_weights=np.maximum(least, self.max_weight),
            budget=None,
            min_budget=0.0,
            max_budget=max(1.0, float(least.sum())),
            previous_weights=held,
            max_turnover=self.max_turnover,
        )
        try:
            return np.asarray(model.fit(past).weights_, dtype=np.float64)
        except OptimizationError as error:
            raise DataError(f"scoring.portfolio=optimized: {str(error).splitlines()[0]}. Try wider limits.") from error


PORTFOLIOS.add("optimized", Optimized)
