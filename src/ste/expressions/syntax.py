"""Parser of expressions: precedence climbing over the tokens. Nothing is ever executed."""

import difflib
from collections.abc import Collection
from typing import NoReturn

import numpy as np

from ste.expressions.functions.elementwise import Elementwise
from ste.expressions.nodes import Call, Field, Node, Number
from ste.expressions.operators import Operator
from ste.expressions.source_text import SourceText, Token
from ste.expressions.talib_operators import talib_names, talib_operator
from ste.registry import FEATURE_FUNCTIONS

MAX_DEPTH = 60
"""Nested parentheses, functions and signs."""

MAX_TREE = 150
"""Depth of a syntax tree, which a long sum deepens without nesting."""

_SIGNS = {
    **{"|": (1, "Or"), "&": (2, "And"), "<": (3, "Lt"), "<=": (3, "Le"), ">": (3, "Gt"), ">=": (3, "Ge")},
    **{"==": (3, "Eq"), "!=": (3, "Ne"), "+": (4, "Add"), "-": (4, "Sub"), "*": (5, "Mul"), "/": (5, "Div")},
    "**": (7, "Power"),
}
_COMPARISON, _UNARY, _POWER = 3, 6, 7


class Parser:
    """Parse one expression.

    Args:
        source: its text.
    """

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.tokens = list(source.tokens())
        self.next = 0
        self.depth = 0

    def parse(self) -> Node:
        """The syntax tree.

        Raises:
            ConfigError: the text is not an expression; the message points at the position.
        """
        if self.peek().kind == "end":
            self.source.fail(0, "an empty expression", "expected such as $close/Ref($close, 5)-1")
        node = self.operation(0)
        if self.peek().kind != "end":
            self.source.fail(self.peek().position, f"unexpected {self.peek()}", "expected a sign or the end")
        return node

    def peek(self) -> Token:
        """The next token."""
        return self.tokens[self.next]

    def take(self, text: str = "") -> Token:
        """Take the next token, which must be `text` if given."""
        token = self.peek()
        if text and token.text != text:
            self.source.fail(token.position, f"unexpected {token}", f"expected {text}")
        self.next += 1
        return token

    def operation(self, minimum: int) -> Node:
        """An operand and the signs after it that bind at least as strongly as `minimum`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.source.fail(self.peek().position, f"more than {MAX_DEPTH} nested levels", "split the feature")
        left = self.operand()
        compared = False
        while (sign := self.peek()).kind == "sign" and sign.text in _SIGNS and _SIGNS[sign.text][0] >= minimum:
            strength, name = _SIGNS[self.take().text]
            if strength == _COMPARISON and compared:
                self.source.fail(sign.position, f"a second comparison {sign}", "expected ( ) & ( ) around each of them")
            compared = strength == _COMPARISON
            right = self.operation(_UNARY if strength == _POWER else strength + 1)
            left = fold(Call(FEATURE_FUNCTIONS[name], (left, right)))
            self.limit(left, sign)
        self.depth -= 1
        return left

    def operand(self) -> Node:
        """A number, field, function, parenthesis or signed operand."""
        token = self.take()
        if token.kind == "number":
            if not np.isfinite(float(token.text)):
                self.source.fail(token.position, f"{token} is out of range", "expected a smaller number")
            return Number(float(token.text))
        if token.kind == "field":
            return Field(token.text[1:])
        if token.kind == "name":
            return self.function(token)
        if token.text == "(":
            node = self.operation(0)
            self.take(")")
            return node
        if token.text in ("-", "+"):
            node = self.operation(_UNARY)
            return node if token.text == "+" else fold(Call(FEATURE_FUNCTIONS["Neg"], (node,)))
        self.source.fail(token.position, f"unexpected {token}", "expected a number, $field, function or (")

    def function(self, token: Token) -> Node:
        """A call, after its name."""
        operator = self.operator(token)
        opening = self.peek()
        if opening.text != "(":
            self.source.fail(token.position, f"{token} without arguments", f"expected {operator.describe()}")
        self.take()
        arguments: list[tuple[Node, int]] = []
        named: dict[str, tuple[Node, int]] = {}
        while self.peek().text != ")":
            start = self.peek()
            if start.kind == "name" and self.tokens[self.next + 1].text == "=":
                self.next += 2
                known = [parameter.name for parameter in operator.parameters]
                if start.text not in known or start.text in named:
                    self.unknown(start, f"argument {start} of {operator.name}", known)
                named[start.text] = (self.operation(0), start.position)
            elif named:
                self.source.fail(start.position, "an argument without a name", "expected named arguments at the end")
            else:
                arguments.append((self.operation(0), start.position))
            if self.peek().text != ")":
                self.take(",")
        closing = self.take(")")
        return self.call(operator, token, arguments, named, closing)

    def operator(self, token: Token) -> Operator:
        """The operator of a name, with that of TA-Lib after `TA.`."""
        if token.text == "TA" and self.peek().text == ".":
            self.take()
            name = self.take()
            if name.text not in talib_names():
                self.unknown(name, f"unknown function TA.{name}", talib_names())
            try:
                return talib_operator(name.text)
            except ValueError as error:
                self.source.fail(name.position, f"TA.{name}", str(error))
        if token.text not in FEATURE_FUNCTIONS:
            self.unknown(token, f"unknown function {token}", list(FEATURE_FUNCTIONS))
        operator: Operator = FEATURE_FUNCTIONS[token.text]
        return operator

    def unknown(self, token: Token, found: str, known: Collection[str]) -> NoReturn:
        """Report a name that does not exist, with near ones."""
        near = difflib.get_close_matches(token.text, known, n=3, cutoff=0.4)
        near = near or [name for name in known if name.lower() == token.text.lower()]
        names = list(known) if len(known) <= 8 else near or list(known)[:4]
        listed = ", ".join(names) + (" " if len(names) == len(known) else ", ... ")
        hint = f" Try {near[0]}." if near else ""
        self.source.fail(token.position, found, f"expected one of {listed.rstrip()}{'.' if hint else ''}{hint}")

    def call(
        self,
        operator: Operator,
        token: Token,
        arguments: list[tuple[Node, int]],
        named: dict[str, tuple[Node, int]],
        closing: Token,
    ) -> Node:
        """Check the arguments of a call and choose its output."""
        form = f"expected {operator.describe()}"
        if len(arguments) < operator.inputs:
            self.source.fail(closing.position, f"{operator.name} with {len(arguments)} arguments", form)
        if len(arguments) > operator.inputs + len(operator.parameters):
            position = arguments[operator.inputs + len(operator.parameters)][1]
            self.source.fail(position, f"{operator.name} with {len(arguments)} arguments", form)
        inputs = []
        for node, position in arguments[: operator.inputs]:
            if isinstance(node, Number) and not operator.constants:
                self.source.fail(position, f"the number {node.value:g} as an input of {operator.name}", form)
            if operator.aggregates and isinstance(node, Call) and is_period_value(node):
                self.source.fail(position, f"{operator.name} of a period value", "expected a value per bar")
            inputs.append(node)
        numbers, positions = [], []
        for index, parameter in enumerate(operator.parameters, operator.inputs):
            given = arguments[index] if index < len(arguments) else named.pop(parameter.name, None)
            if parameter.name in named:
                self.source.fail(named[parameter.name][1], f"{parameter.name} given twice", form)
            if given is None and parameter.default is None:
                self.source.fail(closing.position, f"{operator.name} without {parameter.name}", form)
            node, position = given or (Number(float(parameter.default or 0)), closing.position)
            if not isinstance(node, Number):
                self.source.fail(position, f"{parameter.name} of {operator.name} is not a plain number", form)
            numbers.append(node.value)
            positions.append(position)
        problem = operator.problem(tuple(numbers))
        if problem:
            self.source.fail(positions[problem[0]] if positions else token.position, *problem[1:])
        node = fold(Call(operator, tuple(inputs), tuple(numbers), self.output(operator, closing)))
        self.limit(node, token)
        return node

    def limit(self, node: Node, token: Token) -> None:
        """Refuse a tree that is too deep to walk."""
        if isinstance(node, Call) and node.depth > MAX_TREE:
            self.source.fail(token.position, f"more than {MAX_TREE} operations in a row", "split the feature")

    def output(self, operator: Operator, closing: Token) -> int:
        """The index of the named output after a call."""
        names = operator.outputs
        if self.peek().text != ".":
            if len(names) > 1:
                choice = " or ".join(f".{name}" for name in names)
                self.source.fail(closing.position, f"{operator.name} without an output", f"expected {choice} after it")
            return 0
        self.take()
        name = self.take()
        if name.text not in names:
            self.unknown(name, f"unknown output {name} of {operator.name}", names)
        return names.index(name.text)


def is_period_value(node: Node) -> bool:
    """Whether a node is a value per period whatever its fields are."""
    if not isinstance(node, Call):
        return False
    return node.operator.aggregates or any(is_period_value(below) for below in node.inputs)


def fold(node: Call) -> Node:
    """Replace an operation on plain numbers by its result, if that is finite."""
    values = [below.value for below in node.inputs if isinstance(below, Number)]
    if not isinstance(node.operator, Elementwise) or len(values) < len(node.inputs):
        return node
    with np.errstate(all="ignore"):
        result = float(node.operator.of_numbers(values))
    return Number(result) if np.isfinite(result) else node
