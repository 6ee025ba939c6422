"""TA-Lib indicators of one ticker, updated session by session.

They are TA-Lib's own streams (`talib.stream`), which equal its batch functions to the last bit with a state of fixed
size. A stream cannot be saved: it is rebuilt from the ticker's closes.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from talib import stream

from ste.schema import FEATURE_SETS

_MEANS = tuple(int(name.rsplit("_", 1)[1]) for name in FEATURE_SETS["prices"].names[5:])


@dataclass
class Indicators:
    """Indicators that a feature set needs at a close.

    Attributes:
        features: name of the feature set.
        closes: the ticker's closes until there are enough of them to create the streams.
        last: latest close, dollars.
        log: natural logarithm of the latest close.
        streams: streams of the close; empty before they are created.
        deviation: stream of the standard deviation of 20 log returns; None before it is created.
    """

    features: str
    closes: list[float]
    last: float = 0.0
    log: float = 0.0
    streams: tuple[Any, ...] = ()
    deviation: Any = None

    @classmethod
    def from_closes(cls, features: str, closes: np.ndarray) -> Self:
        """Build the indicators after these closes, float64 `[N]`."""
        new = cls(features, closes.tolist())
        if len(closes):
            new.last, new.log = float(closes[-1]), float(np.log(closes[-1]))
        new._create_streams()
        return new

    @property
    def ready(self) -> bool:
        """Whether there are as many sessions as the feature set's look-back."""
        return self.deviation is not None

    def copy(self) -> Self:
        """Return an independent copy."""
        streams = tuple(each.copy() for each in self.streams)
        deviation = None if self.deviation is None else self.deviation.copy()
        return type(self)(self.features, self.closes.copy(), self.last, self.log, streams, deviation)

    def update(self, close: float) -> None:
        """Add the next session's close."""
        log = float(np.log(close))
        if self.ready:
            for each in self.streams:
                each.update(close)
            self.deviation.update(log - self.log)
        else:
            self.closes.append(close)
        self.last, self.log = close, log
        if not self.ready:
            self._create_streams()

    def values(self) -> list[float]:
        """Return the values at the latest close: six columns of `full` (SMA to Bollinger), or the means of `prices`."""
        if self.features == "prices":
            return [each.value for each in self.streams]
        mean_50, rsi, macd, bands = (each.value for each in self.streams)
        upper, middle, lower = bands
        return [middle, mean_50, rsi, macd[0], upper, lower]

    @property
    def volatility(self) -> float:
        """Standard deviation of the latest 20 daily log returns."""
        return self.deviation.value

    def _create_streams(self) -> None:
        if len(self.closes) < FEATURE_SETS[self.features].lookback:
            return
        closes = np.array(self.closes)
        if self.features == "prices":
            self.streams = tuple(stream.SMA(closes, n) for n in _MEANS)
        else:
            self.streams = (
                stream.SMA(closes, 50),
                stream.RSI(closes, 14),
                stream.MACD(closes, fastperiod=12, slowperiod=26, signalperiod=9),
                stream.BBANDS(closes, timeperiod=20, nbdevup=2.0, nbdevdn=2.0),
            )
        self.deviation = stream.STDDEV(np.diff(np.log(closes)), timeperiod=20)
        self.closes = []
