"""Values of the columns of a file of predictions: numbers, classes, dates; a cell that is none of these is an error."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ste.config.read_options import ReadOptions
from ste.data.bar_files.date_cells import DAY, to_times
from ste.data.bar_files.number_cells import is_missing, is_text
from ste.data.cells import cell_text, to_numbers
from ste.errors import DataError
from ste.judging.class_words import as_word, words_of_classes

_SUM_TOLERANCE = 0.02
"""By which probabilities that were rounded to two digits may miss 1."""

_FLOAT32, _NOTED = 1e-6, 1e-3
"""By which sums of float32 miss 1, and by which rescaling is noted."""

_MAX_CLASSES = 5


def first_line(rows: np.ndarray, *, is_csv: bool) -> str:
    """Return where the first of some rows stands, `line 7` of CSV and `row 6` of other files."""
    row = int(np.argmax(rows))
    return f"line {row + 2}" if is_csv else f"row {row + 1}"


def numbers_of(cells: Any, name: str, where: str, *, is_csv: bool) -> np.ndarray:
    """Return a column of numbers, float64 `[N]`; NaN where a cell is empty.

    Raises:
        DataError: a cell is no number, or infinite.
    """
    if pa.types.is_boolean(cells.type):
        cells = pc.cast(cells, pa.int8())
    values = to_numbers(cells, f"{where}: column {name}")
    wrong = (np.isnan(values) & ~is_missing(cells)) | np.isinf(values)
    if wrong.any():
        found = cell_text(cells, int(np.argmax(wrong)))
        raise DataError(
            f"{where}: {first_line(wrong, is_csv=is_csv)}, column {name}: found {found} ({wrong.sum():,} such rows). "
            "Expected a finite number, or an empty cell."
        )
    return values


def dates_of(cells: Any, name: str, where: str, options: ReadOptions, *, is_csv: bool) -> np.ndarray:
    """Return dates as datetime64[ns] `[N]`, with a time of day where they have one.

    Raises:
        DataError: a cell is no date.
    """
    times = to_times(cells, f"{where}: column {name}", options)
    wrong = np.isnat(times.day)
    if wrong.any():
        found = cell_text(cells, int(np.argmax(wrong))) or "an empty cell"
        raise DataError(
            f"{where}: {first_line(wrong, is_csv=is_csv)}, column {name}: found {found} ({wrong.sum():,} such rows). "
            f"Expected {DAY}. If the dates are in another column: columns={{date: NAME}}."
        )
    stamps = times.day.astype("datetime64[ns]")
    return stamps if times.time is None else stamps + times.time


def names_of(cells: Any, name: str, where: str, *, is_csv: bool) -> pd.Categorical:
    """Return names of tickers `[N]`.

    Raises:
        DataError: a cell is empty.
    """
    text = pc.utf8_trim_whitespace(cells if is_text(cells) else pc.cast(cells, pa.string()))
    wrong = np.asarray(pc.fill_null(pc.equal(text, ""), True).to_numpy(zero_copy_only=False))
    if wrong.any():
        raise DataError(
            f"{where}: {first_line(wrong, is_csv=is_csv)}, column {name}: an empty cell ({wrong.sum():,} such rows). "
            "Expected a ticker in every row."
        )
    encoded = pc.dictionary_encode(text)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, categories=pd.Index(encoded.dictionary.to_pylist(), dtype=object))


def probabilities_of(columns: Mapping[str, np.ndarray], where: str, *, is_csv: bool) -> tuple[np.ndarray, int]:
    """Return probabilities that sum to 1, float64 `[N, C]`, and the number of rows that were rescaled to it.

    Args:
        columns: of each class; NaN where a row has none.
        where: the file, for messages.
        is_csv: whether rows are lines.

    Raises:
        DataError: values below 0 or above 1, or sums that rounding does not explain.
    """
    probs = np.stack(list(columns.values()), axis=1)
    names = " + ".join(columns)
    wrong: np.ndarray = np.any((probs < 0.0) | (probs > 1.0), axis=1)
    sums = probs.sum(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        shown = ", ".join(f"{value:g}" for value in probs[row])
        hint = " Divide percent by 100." if abs(sums[row] - 100) < 2 else " State a score with columns={score: NAME}."
        raise DataError(
            f"{where}: {first_line(wrong, is_csv=is_csv)}, {names}: found {shown} ({wrong.sum():,} such rows). "
            f"Expected probabilities from 0 to 1.{hint}"
        )
    off = np.abs(sums - 1.0)
    wrong = off > _SUM_TOLERANCE
    if wrong.any():
        raise DataError(
            f"{where}: {first_line(wrong, is_csv=is_csv)}: {names} is {sums[np.argmax(wrong)]:.4g} ({wrong.sum():,} "
            f"such rows). Expected a sum of 1, within {_SUM_TOLERANCE:g} for rounding. Are columns of a class missing?"
        )
    rescaled = off > _FLOAT32
    return np.where(rescaled[:, None], probs / sums[:, None], probs), int((off > _NOTED).sum())


def distinct_values(cells: Any) -> list[str]:
    """Return the different values of a column as text, at most six of them."""
    values = pc.unique(pc.drop_null(cells))
    return [as_word(value) for value in values.slice(0, _MAX_CLASSES + 1).to_pylist() if value == value]  # noqa: PLR0124


def holds_classes(cells: Any) -> bool:
    """Whether a column holds classes rather than numbers: text, truth values, or two or three whole numbers near 0."""
    if is_text(cells):
        return to_numbers(cells, "").size == 0 or bool(np.isnan(to_numbers(cells, "")[~is_missing(cells)]).any())
    found = distinct_values(cells)
    return pa.types.is_boolean(cells.type) or (len(found) < 4 and set(found) <= {"-1", "0", "1", "2", "3"})


def class_codes(cells: Any, words: Sequence[str], name: str, where: str) -> np.ndarray:
    """Return the index of each row's class in `words`, int64 `[N]`; -1 where a cell is empty.

    Raises:
        DataError: a class that is not among them.
    """
    encoded = pc.dictionary_encode(pc.cast(cells, pa.int8()) if pa.types.is_boolean(cells.type) else cells)
    found = [as_word(value) for value in encoded.dictionary.to_pylist()]
    empty = [text in ("", "nan", "none") for text in found]
    unknown = [text for text, none in zip(found, empty, strict=True) if text not in words and not none]
    if unknown:
        raise DataError(
            f"{where}: column {name}: found class {unknown[0]}. Expected one of {', '.join(words)}. State the classes "
            "from fall to rise: classes=[FALL,NEUTRAL,RISE]."
        )
    index = {word: code for code, word in enumerate(words)}
    codes = np.array([*(-1 if none else index[text] for text, none in zip(found, empty, strict=True)), -1])
    at = pc.fill_null(encoded.indices, len(found)).to_numpy(zero_copy_only=False)
    return codes[at.astype(np.int64)]


def class_words(cells: Any, stated: Sequence[str] | None, name: str, where: str) -> tuple[str, ...]:
    """Return the names of the classes in a column, that of the fall first; see `words_of_classes`."""
    values = pc.cast(cells, pa.int8()) if pa.types.is_boolean(cells.type) else cells
    found = [as_word(value) for value in pc.unique(pc.drop_null(values)).to_pylist()]
    return words_of_classes([text for text in found if text not in ("", "nan")], stated, f"{where}: column {name}")
