"""Operators that run over one history at a time, from its first value on."""

from abc import abstractmethod

import numpy as np

from ste.expressions.history_spans import Spans
from ste.expressions.operators import Array, Operator


class HistoryOperator(Operator):
    """An operator that is computed on one history at a time."""

    @abstractmethod
    def of_history(self, inputs: list[Array], numbers: tuple[float, ...]) -> tuple[Array, ...]:
        """Compute the outputs of one history, float64 [n] from contiguous float64 [n]."""

    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Compute each history."""
        results = tuple(np.empty(spans.size) for _ in self.outputs)
        for history in spans.histories():
            for result, values in zip(results, self.of_history([x[history] for x in inputs], numbers), strict=True):
                result[history] = values
        return results
