"""Quantiles of the returns of each period's tickers."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ste.labels.by_period import ByPeriod, grouped
from ste.labels.label_method import NO_TREND, AllRows, LabelMethod
from ste.labels.thresholds import directions, quantile_fractions
from ste.registry import LABELS


@dataclass(frozen=True)
class CrossSectional(LabelMethod):
    """Terciles of the returns of a period's tickers, quintiles with four or five classes.

    A return that equals a quantile belongs to the side of Neutral, so that equal returns always have one class. With
    two or four classes the middle third or fifth is left out. Rows that are history only cut nothing. A period with
    fewer tickers than trends (3 or 5) has no classes.
    """

    needs_all_rows: ClassVar[bool] = True
    ordered: ClassVar[bool] = False
    meaning: ClassVar[str] = "terciles of {ahead} return among the tickers of a date"
    without: ClassVar[str] = "on dates with too few tickers to rank"

    def fit(self, rows: AllRows) -> ByPeriod:
        """Return the cuts of each period, `[P, trends - 1]`."""
        known, returns = grouped(rows.period[rows.scored], rows.returns[rows.scored])
        count = self.trend_count
        enough = [len(each) >= count for each in returns]
        cuts = [np.quantile(each, quantile_fractions(count)) for each, ok in zip(returns, enough, strict=True) if ok]
        values = np.array(cuts).reshape(-1, count - 1)
        return ByPeriod(known[np.array(enough, dtype=bool)], values)

    def trends(
        self, returns: np.ndarray, period: np.ndarray, volatility: np.ndarray, fitted: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut the returns of each period."""
        cuts = fitted.of_rows(period)
        trends = directions(returns, *cuts.T)
        return returns, np.where(np.isnan(cuts[:, 0]), NO_TREND, trends)


LABELS.add("cross_sectional", CrossSectional)
