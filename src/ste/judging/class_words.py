"""Names that tools give to the classes of a trend, in any spelling."""

import re
from collections.abc import Collection, Sequence

from ste.data.bar_files.column_names import plain_name
from ste.errors import DataError

_FALL = "downtrend down fall falls bear bearish sell short negative neg drop decrease dn downward"
_FLAT = "neutral flat hold unchanged stay sideways none same zero range"
_RISE = "uptrend up rise rises bull bullish buy long positive pos gain increase upward"
_WORDS = {word: trend for trend, words in ((0, _FALL), (1, _FLAT), (2, _RISE)) for word in words.split()}
_NUMBERS: tuple[tuple[str, ...], ...] = (("-1", "0", "1"), ("0", "1", "2"), ("1", "2", "3"), ("-1", "1"), ("0", "1"))
"""Sets of numbers that stand for classes, from fall to rise; the first that holds every value."""


def words_of_classes(names: Collection[str], stated: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """Return the names of a file's classes in order, that of the fall first.

    Args:
        names: values or column names that were found, without a prefix such as `proba_`.
        stated: by the user, in order; None finds them.
        where: file and column, for messages.

    Raises:
        DataError: they are not understood.
    """
    found = sorted({as_word(name) for name in names})
    if stated is not None:
        known = [as_word(name) for name in stated]
        unknown = [name for name in found if name not in known]
        if unknown:
            raise DataError(f"{where}: found class {unknown[0]}. Expected one of classes=[{','.join(stated)}].")
        return tuple(known)
    trends = {name: _WORDS.get(plain_name(name)) for name in found}
    if None not in trends.values() and len(set(trends.values())) == len(found):
        if 1 in trends.values() or len(found) < 2:
            return tuple(next((n for n, t in trends.items() if t == trend), f"class {trend}") for trend in range(3))
        return tuple(sorted(found, key=lambda name: trends[name] or 0))
    for numbers in _NUMBERS:
        if set(found) <= set(numbers) and (len(numbers) == 2 or numbers[-1] in found or numbers[0] == "-1"):
            if numbers == ("-1", "0", "1") and set(found) <= {"0", "1"}:
                continue
            return numbers if not (numbers[0] == "-1" and set(found) == {"-1", "1"}) else ("-1", "1")
    shown = ", ".join(found[:6])
    raise DataError(
        f"{where}: found the classes {shown}. Expected names such as down, neutral and up, or numbers such as 0, 1 "
        f"and 2. State them from fall to rise: classes=[{','.join(found[:3])}]."
    )


def as_word(value: object) -> str:
    """Return a class as text; 1.0 is 1."""
    text = str(value).strip()
    return re.sub(r"\.0+$", "", text) if re.fullmatch(r"-?\d+\.0+", text) else text.lower()


def is_class_word(name: str) -> bool:
    """Whether a name alone means a class of a trend."""
    return plain_name(name) in _WORDS


def trend_of(name: str) -> int | None:
    """Return 0, 1 or 2 for a name of a fall, of no move or of a rise; None for another name."""
    return _WORDS.get(plain_name(name))
