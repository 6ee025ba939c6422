"""The barrier that the price touches first: upper, lower, or the end of the horizon."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ste.config import LabelSettings
from ste.labels.label_method import LabelMethod, LabelRows, Labels, Rules
from ste.registry import LABELS
from ste.schema import CLASSES

DOWN, NEUTRAL, UP = CLASSES[3]


@dataclass(frozen=True)
class TripleBarrier(LabelMethod):
    """López de Prado (2018), Advances in Financial Machine Learning, section 3.4.

    Upper and lower barrier are the row's close times 1 + a multiple of its trailing volatility over a period. The first
    session whose close reaches one of them decides: Uptrend, Downtrend, or Neutral where none does within the horizon
    (the vertical barrier). Closes alone count: a position can be left at a close, and of a session that reaches both
    barriers within the day the order is unknown. The return is that up to the touch; the label ends in its period.

    Args:
        upper: multiple of the volatility, above 0.
        lower: negative multiple of the volatility; None is -`upper`.
    """

    varying_end: ClassVar[bool] = True
    plain_return: ClassVar[bool] = False
    class_counts: ClassVar[tuple[int, ...]] = (2, 3)
    meaning: ClassVar[str] = "the first barrier, a multiple of the ticker's own volatility, that {ahead} closes touch"

    upper: float = 2.0
    lower: float | None = None

    @classmethod
    def rules(cls, settings: LabelSettings) -> Rules:
        """Yield the rules of the barriers."""
        yield from super().rules(settings)
        yield settings.value("upper") > 0, "upper", "a multiple of the volatility, above 0", 2.0
        yield (
            settings.lower is None or settings.lower < 0,
            "lower",
            "a negative multiple of the volatility, or null",
            -2.0,
        )

    def labels(self, rows: LabelRows) -> Labels:
        """Follow the closes of each row until a barrier is touched."""
        bars, last = rows.bars, len(rows.bars.close) - 1
        lower = -self.upper if self.lower is None else self.lower
        high, low = (1.0 + multiple * rows.volatility for multiple in (self.upper, lower))
        returns, ends = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64)
        trends = np.full(len(rows), NEUTRAL, dtype=np.int64)
        # Rows that have touched nothing so far, one session further each time.
        open_rows, step = np.arange(len(rows)), 1
        while len(open_rows):
            own = rows.bar[open_rows]
            at = np.minimum(own + step, last)
            inside = (own + step <= last) & (bars.history[at] == bars.history[own])
            inside &= bars.period[at] <= rows.period[open_rows] + self.horizon
            open_rows, at = open_rows[inside], at[inside]
            ratio = bars.close[at] / rows.close[open_rows]
            up, down = ratio >= high[open_rows], ratio <= low[open_rows]
            touched = up | down
            hit = open_rows[touched]
            trends[hit] = np.where(up[touched], UP, DOWN)
            returns[hit] = ratio[touched] - 1.0
            ends[hit] = np.maximum(bars.period[at[touched]] - rows.period[hit], 1)
            open_rows, step = open_rows[~touched], step + 1
        # The vertical barrier; the value of a ticker that ended may lie beyond the others.
        vertical = (ends == 0) & np.isfinite(rows.ahead)
        ratio = rows.ahead[vertical] / rows.close[vertical]
        trends[vertical] += (ratio >= high[vertical]).astype(np.int64) - (ratio <= low[vertical])
        returns[vertical], ends[vertical] = ratio - 1.0, self.horizon
        return Labels(trends, returns, ends)


LABELS.add("triple_barrier", TripleBarrier)
