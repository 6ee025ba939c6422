"""Checks of a way to choose a portfolio's weights."""

import numpy as np

from ste.conformance.component_checks import SUITES, Check, expect
from ste.evaluation.portfolio.candidates import Candidates, Construction
from ste.evaluation.portfolio.rules import TradingRules

_PERIODS, _CLASSES = 120, 3
_SIZES = (3, 12, 40)  # tickers of a date


def portfolio_checks(name: str) -> list[Check]:
    """Return the checks of a portfolio with its default arguments."""
    portfolio = PortfolioUnderTest(name)
    return [
        Check("one finite weight for each ticker", portfolio.weights),
        Check("the same candidates give the same weights", portfolio.repeats),
        Check("the order of the tickers has no effect", portfolio.order),
        Check("the candidates are unchanged", portfolio.in_place),
        Check("weights without a past", portfolio.without_past),
    ]


class PortfolioUnderTest:
    """A way to choose weights, and random candidates.

    Args:
        name: in `PORTFOLIOS`.
    """

    def __init__(self, name: str) -> None:
        self.choose: Construction = TradingRules(name).construction()

    def candidates(self, tickers: int, order: np.ndarray | None = None, *, past: bool = True) -> Candidates:
        """Draw the tickers of a date."""
        rng = np.random.default_rng(tickers)
        probs = rng.dirichlet(np.ones(_CLASSES), tickers)
        held = rng.dirichlet(np.ones(tickers)) * 0.5
        returns = rng.normal(0.0, 0.04, (_PERIODS, tickers)) + rng.normal(0.0, 0.02, (_PERIODS, 1))
        at = np.arange(tickers) if order is None else order
        known = returns[:, at] if past else np.empty((0, tickers))
        return Candidates(probs[at], held[at], lambda periods: known[-periods:])

    def weights(self) -> str:
        """Check shape and values."""
        for size in _SIZES:
            found = np.asarray(self.choose(self.candidates(size)))
            expect(found.shape == (size,), f"weights {list(found.shape)} of {size} tickers: expected [{size}]")
            expect(bool(np.isfinite(found).all()), "weights that are not finite: return 0 for cash")
        return f"exposure {np.abs(found).sum():.2f}"

    def repeats(self) -> str:
        """Check that it draws no random numbers and keeps no state."""
        first, second = (self.choose(self.candidates(12)) for _ in range(2))
        expect(np.array_equal(first, second), "they differ: keep no state and draw no random numbers")
        return ""

    def order(self) -> str:
        """Check that tickers are treated alike."""
        order = np.random.default_rng(0).permutation(12)
        found, expected = self.choose(self.candidates(12, order)), self.choose(self.candidates(12))[order]
        expect(np.allclose(found, expected, atol=1e-4), "a ticker's weight depends on its place")
        return ""

    def in_place(self) -> str:
        """Check that nothing is written to."""
        given, before = self.candidates(12), self.candidates(12)
        self.choose(given)
        same = np.array_equal(given.probs, before.probs) and np.array_equal(given.held, before.held)
        expect(same, "they are changed: return a new array")
        return ""

    def without_past(self) -> str:
        """Check the first dates, of which no return is known yet."""
        found = np.asarray(self.choose(self.candidates(12, past=False)))
        expect(found.shape == (12,) and bool(np.isfinite(found).all()), "no finite weight for each ticker")
        return ""


SUITES.add("portfolio", portfolio_checks)
