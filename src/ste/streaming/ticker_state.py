"""State of one ticker between sessions, and the stock features of its periods."""

from dataclasses import dataclass
from typing import Self

from ste.streaming.events import BarEvent
from ste.streaming.pending_periods import segment_sum
from ste.streaming.running_indicators import Indicators


@dataclass
class TickerState:
    """State that is carried from session to session.

    Attributes:
        indicators: indicators of the adjusted closes.
        raw: latest unadjusted close, dollars.
        before: adjusted and unadjusted close of the previous session.
    """

    indicators: Indicators
    raw: float = 0.0
    before: tuple[float, float] = (0.0, 0.0)

    def copy(self) -> Self:
        """Return an independent copy."""
        return type(self)(self.indicators.copy(), self.raw, self.before)

    def update(self, bar: BarEvent) -> None:
        """Add the next session."""
        self.before = (self.indicators.last, self.raw)
        self.indicators.update(bar.close)
        self.raw = bar.raw

    def features(self, bars: list[BarEvent]) -> list[float]:
        """Compute the stock features of a period, in the order of the feature set.

        Args:
            bars: bars of the period, by day; the last one is the latest update.
        """
        return self._prices(bars[-1]) if self.indicators.features == "prices" else self._full(bars)

    def _full(self, bars: list[BarEvent]) -> list[float]:
        return [
            bars[0].open,
            max(bar.high for bar in bars),
            min(bar.low for bar in bars),
            bars[-1].close,
            segment_sum([bar.volume for bar in bars]),
            *self.indicators.values(),
        ]

    def _prices(self, last: BarEvent) -> list[float]:
        close, raw = self.before
        within = (each / last.close - 1.0 for each in (last.open, last.high, last.low))
        means = (each / last.close - 1.0 for each in self.indicators.values())
        return [*within, last.raw / raw - 1.0, last.close / close - 1.0, *means]
