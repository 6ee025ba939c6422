"""Syntax trees of expressions. A node is identified by its canonical text, which common sub-expressions share."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ste.expressions.operators import Operator


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float

    @property
    def key(self) -> str:
        """Canonical text."""
        return repr(self.value)


@dataclass(frozen=True)
class Field:
    """A column of the data, such as `$close`.

    Args:
        name: without the `$`.
    """

    name: str

    @property
    def key(self) -> str:
        """Canonical text."""
        return f"${self.name}"


@dataclass(frozen=True, eq=False)
class Call:
    """An operator with its arguments.

    Args:
        operator: what is computed.
        inputs: sub-expressions.
        numbers: the operator's parameters after the inputs, such as a window.
        output: index of the output of an operator that has several.
    """

    operator: Operator
    inputs: "tuple[Node, ...]"
    numbers: tuple[float, ...] = ()
    output: int = 0
    key: str = field(init=False)
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        parts = [node.key for node in self.inputs] + [f"{number:.17g}" for number in self.numbers]
        suffix = f".{self.operator.outputs[self.output]}" if len(self.operator.outputs) > 1 else ""
        depths = [node.depth for node in self.inputs if isinstance(node, Call)]
        object.__setattr__(self, "depth", 1 + max(depths, default=0))
        object.__setattr__(self, "key", f"{self.operator.name}({','.join(parts)}){suffix}")

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and other.key == self.key


Node = Number | Field | Call


def walk(node: Node) -> Iterator[Node]:
    """Every distinct node below and including `node`, inputs before the operators that use them."""
    seen: set[str] = set()

    def visit(current: Node) -> Iterator[Node]:
        if current.key in seen:
            return
        seen.add(current.key)
        if isinstance(current, Call):
            for below in current.inputs:
                yield from visit(below)
        yield current

    yield from visit(node)
