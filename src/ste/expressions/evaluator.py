"""Evaluate expressions on the bars of all tickers."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ste.expressions.expression import Expression, LookBack, look_backs
from ste.expressions.history_spans import Integers, Spans
from ste.expressions.nodes import Call, Field, Node, Number, walk
from ste.expressions.operators import Array

CACHE_BYTES = 256 * 2**20
"""Intermediate columns that single calls of `Evaluator.values` keep for the next."""


@dataclass(frozen=True, eq=False)
class BarPeriods:
    """Bars of all tickers and the periods that rows are made of.

    Args:
        day: int64 [N] calendar day of each bar, sorted by ticker, then day.
        history: int64 [H] first bar of each history: a ticker's bars without a long gap. Nothing looks across it.
        first: int64 [P] first bar of each period of each history; N of them for daily rows.
        last: int64 [P] last bar of each.
        field: the values of a field, float64 [N] and False for one per bar, float64 [P] and True for one per period.
            It raises `ConfigError` for an unknown field.
    """

    day: Integers
    history: Integers
    first: Integers
    last: Integers
    field: Callable[[str], tuple[Array, bool]]

    @cached_property
    def bars(self) -> Spans:
        """The histories of bars."""
        return Spans(self.history, len(self.day), self.day, np.stack([self.first, self.last], axis=1))

    @cached_property
    def periods(self) -> Spans:
        """The histories of periods."""
        owner = np.searchsorted(self.history, self.first, side="right")
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        return Spans(starts, len(self.first), self.day[self.last])

    def filled(self, paths: frozenset[LookBack], by_period: bool) -> NDArray[np.bool_]:
        """Where all finite windows of a value are full."""
        spans = self.periods if by_period else self.bars
        result = np.ones(spans.size, dtype=bool)
        start_of_bar = np.arange(len(self.day)) - self.bars.age
        newest = self.last if by_period else np.arange(len(self.day))
        for path in paths:
            if path.recursive:
                continue
            result &= spans.age >= path.periods - 1
            end = newest
            if path.periods:
                end = self.first[np.maximum(np.arange(spans.size) - path.periods + 1, 0)] - 1
            result &= end - path.bars + 1 >= start_of_bar[newest]
        return result


@dataclass(frozen=True, eq=False)
class _Column:
    """Values of a node: per bar, per period, or one number."""

    values: Array | float
    by_period: bool

    @property
    def size(self) -> int:
        return self.values.nbytes if isinstance(self.values, np.ndarray) else 0


class Evaluator:
    """Evaluate expressions; common sub-expressions are computed once.

    Args:
        rows: bars, periods and fields.
    """

    def __init__(self, rows: BarPeriods) -> None:
        self._rows = rows
        self._columns: OrderedDict[str, _Column] = OrderedDict()
        self._by_period: set[str] = set()
        self._uses: Counter[str] | None = None

    def values(self, expression: Expression) -> Array:
        """The value at each period's last bar, float64 [P], read only."""
        result = self._sampled(self._column(expression.node))
        while self._uses is None and sum(column.size for column in self._columns.values()) > CACHE_BYTES:
            self._columns.popitem(last=False)
        return result

    def table(self, expressions: Sequence[Expression]) -> Iterator[Array]:
        """Yield the values of each expression; an intermediate column is dropped after its last use."""
        uses: Counter[str] = Counter(expression.node.key for expression in expressions)
        seen: set[str] = set()
        for expression in expressions:
            for node in walk(expression.node):
                if node.key not in seen and isinstance(node, Call):
                    uses.update(below.key for below in node.inputs)
                seen.add(node.key)
        self._uses = uses
        try:
            for expression in expressions:
                yield self.values(expression)
                self._release(expression.node)
        finally:
            self._uses = None

    def _release(self, node: Node) -> None:
        if self._uses is not None:
            self._uses[node.key] -= 1
            if self._uses[node.key] <= 0:
                self._columns.pop(node.key, None)

    def _column(self, node: Node) -> _Column:
        known = self._columns.get(node.key)
        if known is None:
            known = self._compute(node)
            self._columns[node.key] = known
        self._columns.move_to_end(node.key)
        return known

    def _compute(self, node: Node) -> _Column:
        if isinstance(node, Number):
            return _Column(node.value, False)
        if isinstance(node, Field):
            values, by_period = self._rows.field(node.name)
            if by_period:
                self._by_period.add(node.name)
            return _Column(np.ascontiguousarray(values, dtype=np.float64), by_period)
        columns = [self._column(below) for below in node.inputs]
        by_period = any(column.by_period for column in columns)
        if node.operator.aggregates or node.operator.cross_sectional:
            paths, _ = look_backs(node, self._by_period)
        inputs = [self._sampled(c) if by_period and isinstance(c.values, np.ndarray) else c.values for c in columns]
        if node.operator.cross_sectional:
            inputs = [np.where(self._rows.filled(paths, by_period), inputs[0], np.nan)]
        spans = self._rows.periods if by_period else self._rows.bars
        with np.errstate(all="ignore"):
            outputs = node.operator.compute(inputs, node.numbers, spans)  # type: ignore[arg-type]
        by_period = by_period or node.operator.aggregates
        for index, values in enumerate(outputs):
            if index != node.output:
                sibling = Call(node.operator, node.inputs, node.numbers, index)
                if self._uses is None or self._uses[sibling.key] > 0:
                    self._columns[sibling.key] = _Column(values, by_period)
        for below in node.inputs:
            self._release(below)
        return _Column(outputs[node.output], by_period)

    def _sampled(self, column: _Column) -> Array:
        """One value per period: a bar's value at the period's last bar."""
        if not isinstance(column.values, np.ndarray):
            return np.full(len(self._rows.first), column.values)
        daily = len(self._rows.first) == len(self._rows.day)  # each bar is a period
        return column.values if column.by_period or daily else column.values[self._rows.last]
