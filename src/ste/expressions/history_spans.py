"""Histories of a column of values, laid out so that windows never cross from one to the next."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_CHUNK = 16_384
_LONG = 256  # values of a history
_Places = slice | NDArray[np.int64]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Spans:
    """The histories of n consecutive values, either bars or periods.

    Args:
        starts: int64 [H] first value of each history, ascending, the first 0.
        size: n.
        days: int64 [n] calendar day of each value.
        segments: int64 [P, 2] first and last value of each period, of bars alone.
    """

    starts: Integers
    size: int
    days: Integers
    segments: Integers | None = None
    age: Integers = field(init=False)

    def __post_init__(self) -> None:
        lengths = np.diff(np.append(self.starts, self.size))
        object.__setattr__(self, "age", np.arange(self.size) - np.repeat(self.starts, lengths))

    def histories(self) -> Iterator[slice]:
        """The values of each history."""
        ends = np.append(self.starts[1:], self.size)
        for start, end in zip(self.starts.tolist(), ends.tolist(), strict=True):
            yield slice(start, end)

    def roll(
        self, inputs: list[Floats], window: int, kernel: Callable[..., Floats | tuple[Floats, ...]], outputs: int = 1
    ) -> tuple[Floats, ...]:
        """Apply a kernel to the windows of every history, a chunk of histories that fits the cache at a time.

        Args:
            inputs: float64 [n] each.
            window: values of a window.
            kernel: takes per input the chunk's values float64 [m + window - 1], each history after `window - 1` NaN,
                and the window; returns one value per window, float64 [m], or a tuple of such.
            outputs: number of arrays that the kernel returns.

        Returns:
            One float64 [n] per output. A value depends on its window alone, not on where its history starts.
        """
        results = tuple(np.empty(self.size) for _ in range(outputs))
        pad = window - 1
        for first, last, a, b in self._chunks(pad):
            layout = list(self._layout(first, last, pad))
            padded = []
            for values in inputs:
                infinite = np.isinf(values[a:b])
                # Rolling windows leave infinite values out, as pandas does.
                chunk = np.where(infinite, np.nan, values[a:b]) if infinite.any() else values[a:b]
                buffer = np.full(b - a + pad * (last - first), np.nan)
                for own, _, behind in layout:
                    buffer[behind] = chunk[own.start - a : own.stop - a]
                padded.append(buffer)
            computed = kernel(*padded, window)
            for result, values in zip(results, computed if outputs > 1 else (computed,), strict=True):
                for own, at, _ in layout:
                    result[own] = values[at]
        return results

    def _layout(self, first: int, last: int, pad: int) -> Iterator[tuple[slice, _Places, _Places]]:
        """Where values of a chunk lie: in the column, among the chunk's windows, and behind the padding.

        Long histories are copied one by one, short ones by one index of all.
        """
        bounds = np.append(self.starts[first:last], self.starts[last] if last < len(self.starts) else self.size)
        a, b = int(bounds[0]), int(bounds[-1])
        if b - a < _LONG * (last - first):
            at = np.arange(b - a) + pad * np.repeat(np.arange(last - first), np.diff(bounds))
            yield slice(a, b), at, at + pad
            return
        for number, (start, end) in enumerate(pairwise(bounds.tolist())):
            to, size = start - a + pad * number, end - start
            yield slice(start, end), slice(to, to + size), slice(to + pad, to + pad + size)

    def _chunks(self, pad: int) -> Iterator[tuple[int, int, int, int]]:
        """Consecutive histories: first, last + 1, and their values from a to before b."""
        bounds = np.append(self.starts, self.size)
        padded_ends = bounds[1:] + pad * np.arange(1, len(bounds))
        first = 0
        while first < len(self.starts):
            limit = int(bounds[first]) + pad * first + _CHUNK
            last = max(first + 1, int(np.searchsorted(padded_ends, limit, side="right")))
            yield first, last, int(bounds[first]), int(bounds[last])
            first = last
