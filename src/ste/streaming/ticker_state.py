"""A ticker at its latest session, and what its own bars say of a period."""

from dataclasses import dataclass
from typing import Self

from ste.streaming.events import Bar
from ste.streaming.pending_periods import segment_sum
from ste.streaming.running_indicators import Indicators


@dataclass
class Ticker:
    """What is carried from session to session.

    Attributes:
        indicators: of the adjusted closes.
        raw: the latest close as traded, dollars.
        before: adjusted and raw close of the session before the latest.
    """

    indicators: Indicators
    raw: float = 0.0
    before: tuple[float, float] = (0.0, 0.0)

    def copy(self) -> Self:
        """An independent one at the same session."""
        return type(self)(self.indicators.copy(), self.raw, self.before)

    def update(self, bar: Bar) -> None:
        """The next session."""
        self.before = (self.indicators.last, self.raw)
        self.indicators.update(bar.close)
        self.raw = bar.raw

    def features(self, bars: list[Bar]) -> list[float]:
        """The stock features of a period, in the order of the feature set.

        Args:
            bars: of the period, by day; the latest is the latest update.
        """
        return self._prices(bars[-1]) if self.indicators.features == "prices" else self._full(bars)

    def _full(self, bars: list[Bar]) -> list[float]:
        return [
            bars[0].open,
            max(bar.high for bar in bars),
            min(bar.low for bar in bars),
            bars[-1].close,
            segment_sum([bar.volume for bar in bars]),
            *self.indicators.values(),
        ]

    def _prices(self, last: Bar) -> list[float]:
        close, raw = self.before
        within = (each / last.close - 1.0 for each in (last.open, last.high, last.low))
        means = (each / last.close - 1.0 for each in self.indicators.values())
        return [*within, last.raw / raw - 1.0, last.close / close - 1.0, *means]
