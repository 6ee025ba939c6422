"""State of one ticker between sessions, and the stock features of its periods.

The indicators are TA-Lib's own streams (`talib.stream`), which equal its batch functions to the last bit with a state
of fixed size. A stream cannot be saved: it is rebuilt from the ticker's closes.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from talib import stream

from ste.features.technical_indicators import NO_CHANGE_RSI, RSI_SESSIONS
from ste.market.histories import starts_history
from ste.schema import FEATURE_SETS
from ste.streaming.events import BarEvent
from ste.streaming.pending_periods import segment_sum

_MEANS = tuple(int(name.rsplit("_", 1)[1]) for name in FEATURE_SETS["prices"].names[5:])


@dataclass
class TickerState:
    """State that is carried from session to session.

    Attributes:
        feature_set: name of the feature set.
        closes: the adjusted closes of the history until there are enough of them to create the streams.
        day: of the latest session.
        sessions: number of sessions in the history, which starts again after a long gap (`market.histories`).
        latest, before: adjusted and unadjusted close of the latest session and of the one before it, dollars.
        streams: streams of the indicators; empty before they are created.
        mirrored_rsi: stream of the RSI of the negative closes, which distinguishes a constant price from a falling one.
    """

    feature_set: str
    closes: list[float]
    day: int | None = None
    sessions: int = 0
    latest: tuple[float, float] = (0.0, 0.0)
    before: tuple[float, float] = (0.0, 0.0)
    streams: tuple[Any, ...] = ()
    mirrored_rsi: Any = None

    @classmethod
    def from_closes(cls, feature_set: str, closes: list[float], day: int, raw: float) -> Self:
        """Build the state after one or more sessions of a history.

        Args:
            feature_set: name of the feature set.
            closes: adjusted close of each session.
            day: of the last session.
            raw: its unadjusted close.
        """
        new = cls(feature_set, closes, day, len(closes), (closes[-1], raw))
        new._create_streams()
        return new

    @property
    def ready(self) -> bool:
        """Whether there are as many sessions as the feature set's look-back."""
        return bool(self.streams)

    def copy(self) -> Self:
        """Return an independent copy."""
        streams = tuple(each.copy() for each in self.streams)
        mirrored = None if self.mirrored_rsi is None else self.mirrored_rsi.copy()
        return replace(self, closes=self.closes.copy(), streams=streams, mirrored_rsi=mirrored)

    def update(self, bar: BarEvent) -> None:
        """Add the next session; after a long gap it is the first one of a new history."""
        if self.day is not None and starts_history(bar.day - self.day):
            self.closes, self.streams, self.mirrored_rsi, self.sessions = [], (), None, 0
            self.latest = (0.0, 0.0)
        self.day, self.sessions = bar.day, self.sessions + 1
        self.before, self.latest = self.latest, (bar.close, bar.raw)
        if self.ready:
            for each in self.streams:
                each.update(bar.close)
            if self.mirrored_rsi is not None:
                self.mirrored_rsi.update(-bar.close)
        else:
            self.closes.append(bar.close)
            self._create_streams()

    def features(self, bars: list[BarEvent]) -> list[float]:
        """Compute the stock features of a period, in the order of the feature set.

        Args:
            bars: bars of the period, by day; the last one is the latest update.
        """
        last, values = bars[-1], [each.value for each in self.streams]
        if self.feature_set == "prices":
            close, raw = self.before
            ratios = [each / last.close - 1.0 for each in (last.open, last.high, last.low, *values)]
            return [*ratios[:3], last.raw / raw - 1.0, last.close / close - 1.0, *ratios[3:]]
        mean_50, rsi, macd, (upper, middle, lower) = values
        if rsi == self.mirrored_rsi.value == 0.0:  # as in `technical_indicators`
            rsi = NO_CHANGE_RSI
        return [
            bars[0].open,
            max(bar.high for bar in bars),
            min(bar.low for bar in bars),
            last.close,
            segment_sum([bar.volume for bar in bars]),
            *(middle, mean_50, rsi, macd[0], upper, lower),
        ]

    def _create_streams(self) -> None:
        if len(self.closes) < FEATURE_SETS[self.feature_set].lookback:
            return
        closes = np.array(self.closes)
        if self.feature_set == "prices":
            self.streams = tuple(stream.SMA(closes, n) for n in _MEANS)
        else:
            self.streams = (
                stream.SMA(closes, 50),
                stream.RSI(closes, RSI_SESSIONS),
                stream.MACD(closes, fastperiod=12, slowperiod=26, signalperiod=9),
                stream.BBANDS(closes, timeperiod=20, nbdevup=2.0, nbdevdn=2.0),
            )
            self.mirrored_rsi = stream.RSI(-closes, RSI_SESSIONS)
        self.closes = []
