"""Expressions of feature sets: what one names and how far back it looks.

parse("($close-Ref($close,5))/(Ref($close,5)+1e-12)", "feature change")
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from ste.errors import ConfigError
from ste.expressions.nodes import Call, Field, Node, Number, walk
from ste.expressions.source_text import SourceText
from ste.expressions.syntax import Parser


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Args:
        text: as typed.
        node: its syntax tree.
        where: what it defines, such as `feature my_col`, for messages.
    """

    text: str
    node: Node
    where: str = ""

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names after `$`, such as `close` or `mine.sentiment`."""
        return frozenset(node.name for node in walk(self.node) if isinstance(node, Field))

    @cached_property
    def functions(self) -> frozenset[str]:
        """Names of the user's functions in it."""
        return frozenset(n.operator.name for n in walk(self.node) if isinstance(n, Call) and n.operator.user_defined)

    @cached_property
    def cross_sectional(self) -> bool:
        """Whether it looks at the other tickers of a day."""
        return any(isinstance(node, Call) and node.operator.cross_sectional for node in walk(self.node))


def parse(text: str, where: str = "") -> Expression:
    """Parse an expression.

    Args:
        text: the expression.
        where: what it defines, such as `feature my_col`; starts messages.

    Raises:
        ConfigError: it is not one; the message points at the position.
    """
    return Expression(text, Parser(SourceText(text, where)).parse(), where)


@dataclass(frozen=True, order=True)
class LookBack:
    """How far back one path through an expression looks from a bar, that bar included.

    Args:
        periods: full periods, the row's own included.
        bars: bars before these, or up to the row's bar if there are no periods.
        recursive: whether a recursion's memory is counted, rather than the finite windows alone.
    """

    periods: int
    bars: int
    recursive: bool = False

    def total(self, bars_per_period: int) -> int:
        """Bars altogether."""
        return self.periods * bars_per_period + self.bars


def look_backs(node: Node, fields_by_period: Collection[str] = ()) -> tuple[frozenset[LookBack], bool]:
    """Every path's look-back that no other path's covers, and whether the value is one per period.

    Raises:
        ConfigError: a period aggregate of a period value.
    """
    known: dict[str, tuple[frozenset[LookBack], bool]] = {}
    for current in walk(node):
        if isinstance(current, Number):
            known[current.key] = (frozenset(), False)
        elif isinstance(current, Field):
            by_period = current.name in fields_by_period
            known[current.key] = (frozenset({LookBack(1, 0) if by_period else LookBack(0, 1)}), by_period)
        else:
            known[current.key] = _call_look_backs(current, [known[below.key] for below in current.inputs])
    return known[node.key]


def _call_look_backs(call: Call, inputs: list[tuple[frozenset[LookBack], bool]]) -> tuple[frozenset[LookBack], bool]:
    below = frozenset[LookBack]().union(*(paths for paths, _ in inputs))
    by_period = any(level for _, level in inputs)
    if call.operator.aggregates:
        if by_period:
            raise ConfigError(f"{call.key}: expected a value per bar inside {call.operator.name}. Remove it.")
        # The period's own bars, and before its first bar what that bar's value looks back on.
        return _longest(LookBack(p.periods + 1, p.bars - 1, p.recursive) for p in below), True
    finite = call.operator.window(call.numbers) - 1
    memory = call.operator.memory(call.numbers)
    paths = [_extend(path, max(finite, memory - 1) if path.recursive else finite, by_period) for path in below]
    if memory:
        paths += [_extend(path, max(finite, memory - 1), by_period, recursive=True) for path in below]
    return _longest(paths), by_period


def _extend(path: LookBack, more: int, by_period: bool, recursive: bool = False) -> LookBack:
    periods, bars = (more, 0) if by_period else (0, more)
    return LookBack(path.periods + periods, path.bars + bars, path.recursive or recursive)


def _longest(paths: Iterable[LookBack]) -> frozenset[LookBack]:
    """Drop each path that another one covers."""
    candidates = set(paths)
    return frozenset(
        path
        for path in candidates
        if not any(
            other != path
            and other.recursive == path.recursive
            and other.periods >= path.periods
            and other.bars >= path.bars
            for other in candidates
        )
    )


def lookback(expression: Expression, bars_per_period: int, fields_by_period: Collection[str] = ()) -> tuple[int, int]:
    """Bars of a ticker that a row's value needs, those of the row's own period included.

    Args:
        expression: to compute.
        bars_per_period: bars of a full period: 1 for daily rows, 5 for weeks.
        fields_by_period: fields with a value per period rather than per bar.

    Returns:
        What finite windows need; and what recursive functions need on top of and below such windows until the weight
        of their start is below 0.5 %, 0 without one. A row needs the larger of both.
    """
    paths, _ = look_backs(expression.node, fields_by_period)
    finite = max((path.total(bars_per_period) for path in paths if not path.recursive), default=1)
    recursive = max((path.total(bars_per_period) for path in paths if path.recursive), default=0)
    return finite, recursive
