"""The return over the market, or over a benchmark, between fixed thresholds."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ste.errors import DataError
from ste.labels.by_period import ByPeriod, grouped
from ste.labels.label_method import NO_TREND, AllRows
from ste.labels.thresholds import ThresholdMethod, directions
from ste.registry import LABELS

MIN_TICKERS = 2
"""Tickers of a period below which there is no market to exceed."""


@dataclass(frozen=True)
class Excess(ThresholdMethod):
    """The return less the mean return of the period's tickers at equal weights, or less that of a benchmark.

    Rows that are history only are no part of the mean. The benchmark itself has no class: its excess is always 0.

    Args:
        benchmark: ticker among the rows; None is the mean.
    """

    needs_all_rows: ClassVar[bool] = True
    plain_return: ClassVar[bool] = False
    meaning: ClassVar[str] = "{ahead} return over the market's between fixed thresholds"
    without: ClassVar[str] = "of the benchmark or on dates without a market return"

    benchmark: str | None = None

    def fit(self, rows: AllRows) -> ByPeriod:
        """Return the market's return of each period, `[P]`.

        Raises:
            DataError: the benchmark is none of the tickers.
        """
        if self.benchmark is None:
            known, returns = grouped(rows.period[rows.scored], rows.returns[rows.scored])
            means = np.array([each.mean() if len(each) >= MIN_TICKERS else np.nan for each in returns])
            return ByPeriod(known, means)
        own = rows.ticker == self.benchmark
        if not own.any():
            names = ", ".join(map(str, sorted(set(rows.ticker.tolist()))[:4]))
            raise DataError(
                f"data.labels.benchmark={self.benchmark}: no row is of that ticker. The rows are of {names}, ... "
                "Expected one of them; give its bars too."
            )
        order = np.argsort(rows.period[own])
        return ByPeriod(rows.period[own][order], rows.returns[own][order])

    def left_out(self, ticker: np.ndarray) -> np.ndarray:
        """Return which rows are of the benchmark."""
        return np.asarray(ticker == self.benchmark, dtype=bool) & (self.benchmark is not None)

    def trends(
        self, returns: np.ndarray, period: np.ndarray, volatility: np.ndarray, fitted: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Subtract the market's return and cut; a row without one keeps its own return and has no class."""
        market = fitted.of_rows(period)
        known = ~np.isnan(market)
        over = np.where(known, returns - market, returns)
        return over, np.where(known, directions(over, *self.edges(volatility, None)), NO_TREND)


LABELS.add("excess", Excess)
