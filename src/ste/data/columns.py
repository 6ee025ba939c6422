"""Column rules and the one checker that applies them to tables, market files, requests and events.

The rule of a numeric column is an interval (`Limits`), declared by its `schema.Column`. A value that is no number is
NaN and lies in no interval. N rows.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from ste.data.cells import as_text, cells_of_series, to_days, to_names, to_numbers
from ste.errors import DataError
from ste.schema import MOVEMENT, PERIOD_BAR, RETURN, Column, FeatureSet

DAY = "a day such as 2024-11-29, without a time"
NAME = "a name"
HIGH_LOW = (("stock_high", "stock_low"), ("price_high", "price_low"), ("period_high", "period_low"), ("high", "low"))
"""Pairs of columns of which the first must not be below the second."""
_SHOWN = 3  # rows, and columns, that a message lists


class Values(Protocol):
    """Anything that has a value at each position, such as a list or an array."""

    def __getitem__(self, row: int, /) -> Any: ...


@dataclass(frozen=True)
class Limits:
    """Values that a column may hold.

    Attributes:
        low: smallest value.
        high: largest value.
        expected: the interval in words, for a message.
    """

    low: float
    high: float
    expected: str


@cache
def limits(column: Column, dtype: type[np.floating] = np.float64) -> Limits:
    """Return the interval that a column's values must lie in.

    Args:
        column: as the schema declares it.
        dtype: type that must hold the values; `np.float32` where a model reads them.
    """
    largest = float(np.finfo(dtype).max)
    smallest = float(np.finfo(dtype).tiny if dtype is np.float32 else np.finfo(dtype).smallest_subnormal)
    low = smallest if column.positive else -largest if column.low is None else column.low
    high = largest if column.high is None else column.high
    if column.high is not None:
        return Limits(low, high, f"a number from {low:g} to {high:g}")
    bound = "a finite number" if column.low is None else f"a number of {low:g} or more"
    expected = "a price above 0" if column.positive else bound
    return Limits(low, high, f"{expected} (float32)" if dtype is np.float32 else expected)


@dataclass(frozen=True)
class Violation:
    """Values of one column that break one rule.

    Attributes:
        column: its name.
        rows: positions of the values, ascending, int64 `[n]`, n at least 1.
        found: the values, `[n]`.
        expected: the rule in words.
    """

    column: str
    rows: np.ndarray
    found: Sequence[Any]
    expected: str


def violation(broken: np.ndarray, column: str, values: Values, expected: str) -> list[Violation]:
    """Return one `Violation` of the rows where `broken` (bool `[N]`) holds; empty where it holds nowhere.

    Args:
        broken: bool `[N]`.
        column: name of the column.
        values: of the column, `[N]`.
        expected: the rule in words.
    """
    rows = np.flatnonzero(broken)
    return [Violation(column, rows, [values[row] for row in rows.tolist()], expected)] if len(rows) else []


def find_violations(
    values: Mapping[str, np.ndarray], columns: Iterable[Column], dtype: type = np.float64
) -> list[Violation]:
    """Check numeric columns against their limits, and highs against lows.

    Args:
        values: column name to float64 `[N]`, NaN where a value is missing or no number.
        columns: the columns to check.
        dtype: type that must hold the values, see `limits`.

    Returns:
        At most one violation of each column's limits in the order of `columns`, then those of `HIGH_LOW`.
    """
    out = []
    for column in columns:
        interval, found = limits(column, dtype), values[column.name]
        # NaN fails both comparisons.
        out += violation(~((found >= interval.low) & (found <= interval.high)), column.name, found, interval.expected)
    return out + find_low_highs(values)


def find_low_highs(values: Mapping[str, np.ndarray]) -> list[Violation]:
    """Find highs below their lows; `values` as in `find_violations`."""
    out = []
    for high, low in HIGH_LOW:
        if high in values and low in values:
            out += violation(is_below(values[high], values[low]), high, values[high], f"{high} at or above {low}")
    return out


def is_below(high: Any, low: Any) -> Any:
    """Return whether a period's high lies below its low by more than rounding; floats or float64 `[N]`."""
    return high < low - 1e-6 * abs(low)


def find_repeats(keys: Mapping[str, Any], column: str, shown: Any, expected: str) -> list[Violation]:
    """Find rows that repeat the keys of an earlier row.

    Args:
        keys: key columns, `[N]` each.
        column: name to report.
        shown: values to report, `[N]`.
        expected: the rule in words.
    """
    repeated = pd.DataFrame(dict(keys)).duplicated().to_numpy()
    return violation(repeated, column, np.asarray(shown, dtype=object), expected) if repeated.any() else []


def numeric_columns(features: FeatureSet, names: Container[object]) -> tuple[Column, ...]:
    """Return the columns of a table that hold any number: features, return, movement and those of the period's bar.

    Args:
        features: of the table.
        names: of the table's columns; a ready table may lack the columns of the period's bar.
    """
    bar = (one for one in PERIOD_BAR if one.name in features.further_columns and one.name in names)
    return (*features.columns, Column(RETURN, "", low=-1.0), Column(MOVEMENT, ""), *bar)


def typed_frame(
    frame: pd.DataFrame, numbers: Iterable[Column], days: Sequence[str] = ("date",), names: Sequence[str] = ("ticker",)
) -> tuple[pd.DataFrame, list[Violation]]:
    """Convert a table to the types of its columns and check them.

    Args:
        frame: raw columns as a file has them.
        numbers: numeric columns; they become float64.
        days: columns of days; they become datetime64[ns].
        names: columns of names.

    Returns:
        The typed columns with the frame's index, and the violations: of days, of names, then of numbers. The
        violations report the raw values.
    """
    typed: dict[str, Any] = {}
    out: list[Violation] = []
    for name in days:
        typed[name] = _converted(frame[name], to_days).astype("datetime64[ns]")
        out += violation(np.isnat(typed[name]), name, frame[name].to_numpy(), DAY)
    for name in names:
        text = _converted(frame[name], to_names)
        out += violation(text.is_null().to_numpy(zero_copy_only=False), name, frame[name].to_numpy(dtype=object), NAME)
        typed[name] = frame[name]
    numbers = list(numbers)
    typed |= {column.name: _converted(frame[column.name], to_numbers) for column in numbers}
    for found in find_violations(typed, numbers):
        raw = frame[found.column].to_numpy()
        out.append(Violation(found.column, found.rows, [raw[row] for row in found.rows], found.expected))
    return pd.DataFrame(typed, index=frame.index), out


def _converted(values: pd.Series, convert: Callable[[Any, str], Any]) -> Any:
    cells = cells_of_series(values)
    try:
        return convert(cells, str(values.name))
    except DataError:  # a type without such values: report each cell
        return convert(as_text(cells), str(values.name))


def check_lines(violations: Sequence[Violation], where: str | Path, index: pd.Index) -> None:
    """Raise an error that lists the violations by column and line of their file.

    Args:
        violations: of one file.
        where: the file.
        index: of the checked frame `[N]`: rows of the file from 0, below a header line.

    Raises:
        DataError: there is any violation.
    """
    if not violations:
        return
    lines = []
    for found in violations[:_SHOWN]:
        at = ", ".join(str(int(index[row]) + 2) for row in found.rows[:_SHOWN])
        more = f" and {len(found.rows) - _SHOWN} more" if len(found.rows) > _SHOWN else ""
        values = ", ".join(shown_value(value) for value in found.found[:_SHOWN])
        lines.append(f"  column {found.column}, line {at}{more}: found {values}; expected {found.expected}.")
    if len(violations) > _SHOWN:
        lines.append(f"  and {len(violations) - _SHOWN} more columns or checks")
    noun = "fault" if len(violations) == 1 else "faults"
    raise DataError(
        f"{where}: {len(violations)} {noun} in the table.\n" + "\n".join(lines) + "\nFix the file and run again."
    )


def check_keyed(violations: Sequence[Violation], where: Callable[[int], str], rows: pd.DataFrame, remedy: str) -> None:
    """Raise an error that names the first violation by ticker and date.

    Args:
        violations: of `rows`.
        where: file or source of the row at a position.
        rows: the checked rows, with `date` and `ticker`.
        remedy: last sentence of the message: what to do.

    Raises:
        DataError: there is any violation.
    """
    if violations:
        found = violations[0]
        first = int(found.rows[0])
        row = rows.iloc[first]
        raise DataError(
            f"{where(first)}: column {found.column} of {row['ticker']} on {row['date']:%Y-%m-%d}: found "
            f"{shown_value(found.found[0])}; expected {found.expected} ({len(found.rows)} such rows). {remedy}"
        )


def shown_value(value: Any) -> str:
    """Return a found value as a message shows it: a day without midnight, a number without `.0`."""
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return str(pd.Timestamp(value)).removesuffix(" 00:00:00")
    return str(value).removesuffix(".0") or "an empty cell"
