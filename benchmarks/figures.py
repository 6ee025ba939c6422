"""One line of the benchmark's table: something of ours, and the yardstick that the same run measured."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Figure:
    """A measured ratio.

    Attributes:
        part: module of `benchmarks` that measured it.
        case: what was measured, such as `lstm, batch 64, 1 thread`.
        measure: of what, with its unit, such as `samples/s`.
        ours: ours, the median over rounds.
        yardstick: the other's, likewise; None for a figure that stands by itself.
        against: the yardstick, in words.
        ratio: of ours to the yardstick, the median of the rounds' own; a figure by itself is its own ratio.
        better: whether `more` or `less` is better.
        target: the ratio to reach, or None.
        note: what a reader has to know besides.
    """

    part: str
    case: str
    measure: str
    ours: float
    yardstick: float | None
    against: str
    ratio: float
    better: Literal["more", "less"]
    target: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.better == "more" else self.ratio <= self.target


def interleaved(ours: Callable[[], float], yardstick: Callable[[], float], rounds: int) -> np.ndarray:
    """Both measured in turns, the first in a round alternating, float64 `[rounds, 2]`; a round before does not count.

    A slow spell of the machine then falls on both sides of a ratio.
    """
    sides = (ours, yardstick)
    out = np.empty((rounds, 2))
    for side in sides:
        side()
    for number in range(rounds):
        for column in (0, 1) if number % 2 == 0 else (1, 0):
            out[number, column] = sides[column]()
    return out


def compared(
    part: str,
    case: str,
    measure: str,
    rounds: np.ndarray,
    against: str,
    better: Literal["more", "less"],
    target: float | None = None,
    note: str = "",
) -> Figure:
    """The figure of interleaved rounds `[R, 2]`, ours first."""
    ours, yardstick = (float(value) for value in np.median(rounds, axis=0))
    ratio = float(median(rounds[:, 0] / rounds[:, 1]))
    return Figure(part, case, measure, ours, yardstick, against, ratio, better, target, note)
