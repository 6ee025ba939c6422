"""Numbers as people write them: `$1,234.50`, `62.1M`, `1.234,50`."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ste.config.read_options import ReadOptions
from ste.data.bar_files.raw_table import NULLS
from ste.data.cells import decoded
from ste.errors import DataError

Mark = Literal[".", ","]
_FACTORS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_BLANKS = r" '\x{a0}\x{2009}\x{2019}\x{202f}"  # between thousands
_POINT = r"\.(\d{1,2}|\d{4,})([eE]|$)|,\d{3}\.\d|,\d{2,3},"  # what only a decimal point explains
_COMMA = r",(\d{1,2}|\d{4,})([eE]|$)|\.\d{3},\d|\.\d{3}\."  # what only a decimal comma explains
_EITHER = r",\d{3}$"


def decimal_mark(columns: Sequence[Any], options: ReadOptions, where: str) -> Mark:
    """Find the decimal mark of a file.

    Args:
        columns: Arrow arrays of its numeric columns; those that are no text have no mark.
        options: with the mark that the user states, which decides where the cells do not.
        where: the file, for messages.

    Raises:
        DataError: the cells fit both marks, or contradict each other.
    """
    key = f"{options.prefix}decimal"
    texts = [_stripped(cells)[0] for cells in columns if is_text(cells)]
    point, comma = (_first(texts, pattern) for pattern in (_POINT, _COMMA))
    if options.decimal is not None and bool(point) == bool(comma):
        return options.decimal
    if point and comma:
        raise DataError(
            f"{where}: {point} has a decimal point and {comma} a decimal comma. Expected one of them in a file. Say "
            f'which one it is: {key}="." or {key}=",".'
        )
    either = _first(texts, _EITHER)
    if either and not point and not comma:
        raise DataError(
            f"{where}: {either} may be a number with a decimal comma or with thousands. Say which: "
            f'{key}="," or {key}=".".'
        )
    return "," if comma else "."


def to_floats(cells: Any, mark: Mark) -> np.ndarray:
    """Convert a column to float64 `[N]`; NaN where a cell is missing or no number.

    Args:
        cells: Arrow array of numbers or text.
        mark: decimal mark of text.
    """
    cells = decoded(cells)
    kind = cells.type
    if pa.types.is_null(kind):
        return np.full(len(cells), np.nan)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    text, factor = _stripped(cells if is_text(cells) else pc.cast(cells, pa.string()))
    other = "," if mark == "." else "."
    # Thousands, or lakhs as in 12,34,567; any other place of the other mark is no number.
    lakhs = rf"\d{{1,2}}(?:[{other}]\d{{2}})+[{other}]\d{{3}}"
    whole = rf"\d*|\d{{1,3}}(?:[{other}{_BLANKS}]\d{{3}})+|{lakhs}"
    known = pc.match_substring_regex(text, rf"^[-+]?(?:{whole})(?:[{mark}]\d*)?(?:[eE][-+]?\d+)?$")
    known = pc.and_(known, pc.match_substring_regex(text, r"^[^eE]*\d"))
    text = pc.replace_substring_regex(text, rf"[{other}{_BLANKS}]", "")
    text = pc.replace_substring(text, ",", ".") if mark == "," else text
    values = pc.cast(pc.if_else(known, pc.utf8_ltrim(text, "+"), pa.scalar(None, text.type)), pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64) * factor


def is_missing(cells: Any) -> np.ndarray:
    """Return which cells `[N]` are empty or say that there is no value, bool."""
    cells = decoded(cells)
    empty = pc.is_null(cells, nan_is_null=True)
    if is_text(cells):
        empty = pc.or_(empty, pc.is_in(pc.utf8_trim_whitespace(cells), pa.array(NULLS, cells.type)))
    return np.asarray(empty.to_numpy(zero_copy_only=False))


def is_text(cells: Any) -> bool:
    """Whether cells are text."""
    return pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)


def _stripped(cells: Any) -> tuple[Any, np.ndarray]:
    """Return text without currency signs and multipliers, and the multipliers."""
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(cells), r"^([-+]?)\s*[$€£¥]\s*|\s*[€£¥]$", r"\1")
    suffix = pc.utf8_upper(pc.fill_null(pc.utf8_slice_codeunits(text, -1), ""))
    factor = np.ones(len(text))
    for letter, value in _FACTORS.items():
        factor[np.asarray(pc.equal(suffix, letter).to_numpy(zero_copy_only=False))] = value
    return pc.replace_substring_regex(text, r"\s*[KMBTkmbt]$", ""), factor


def _first(texts: Sequence[Any], pattern: str) -> str | None:
    """Return the first text that a pattern is found in."""
    for text in texts:
        found = pc.index(pc.fill_null(pc.match_substring_regex(text, pattern), False), True).as_py()
        if found >= 0:
            return str(text[found].as_py())
    return None
