"""The text of an expression, cut into tokens, and errors that point at a position of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from ste.errors import ConfigError

MAX_TEXT = 4000
"""Characters of an expression."""

_SHOWN = 72
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<field>\$[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/<>&|(),.=])"
)


@dataclass(frozen=True)
class Token:
    """One token.

    Args:
        kind: `number`, `field`, `name`, `sign` or `end`.
        text: as typed; a field's with its `$`.
        position: of its first character in the expression.
    """

    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        return self.text if self.kind != "end" else "the end of the expression"


class SourceText:
    """An expression as typed.

    Args:
        text: the expression.
        where: what it defines, such as `feature my_col`; starts each message.
    """

    def __init__(self, text: str, where: str = "") -> None:
        self.text = text
        self.where = where

    def fail(self, position: int, found: str, expected: str) -> NoReturn:
        """Report a mistake at a position.

        Raises:
            ConfigError: always; what was found, the text, and a caret with what was expected.
        """
        text = re.sub(r"\s", " ", self.text)
        start = max(0, min(position - _SHOWN // 2, len(text) - _SHOWN))
        shown = text[start : start + _SHOWN]
        place = f"{self.where}: " if self.where else ""
        raise ConfigError(f"{place}{found} in\n  {shown}\n  {' ' * (position - start)}^ {expected}")

    def tokens(self) -> Iterator[Token]:
        """The tokens in order, the last of kind `end`.

        Raises:
            ConfigError: a character that no token starts with, or a text that is too long.
        """
        if len(self.text) > MAX_TEXT:
            self.fail(MAX_TEXT, f"{len(self.text)} characters", f"expected at most {MAX_TEXT}. Split the feature.")
        position = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:
                self.fail(
                    position, f"unexpected {self.text[position]!r}", "expected a number, $field, function or sign"
                )
            if match.lastgroup != "space":
                yield Token(str(match.lastgroup), match.group(), position)
            position = match.end()
        yield Token("end", "", position)
