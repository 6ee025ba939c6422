"""Read a labelled table from disk and check it."""

from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ste.config.header_check import check_columns
from ste.data.columns import check_lines, numeric_columns, typed_frame, violation
from ste.data.storage.files import read_frame
from ste.data.table_checks import HISTORY_ONLY_COLUMN, ClassOrder, find_target_violations
from ste.data.table_labels import THREE_TRENDS, TableLabels, with_own_labels
from ste.market.calendar import WEEKS, Periods
from ste.schema import DIRECTION, HISTORY_ONLY, KEYS, LABEL_END, TARGETS, Column, FeatureSet


def required_columns(features: FeatureSet) -> tuple[str, ...]:
    """Return the columns that a ready table must have."""
    return KEYS + features.names + TARGETS


def table_names(features: FeatureSet, names: Container[object]) -> list[str]:
    """Return the columns that are read of a table, in order: keys, features, targets and those it has besides.

    Args:
        features: of the table.
        names: of the table's columns.
    """
    optional = (*features.further_columns, LABEL_END, HISTORY_ONLY)
    return [*required_columns(features), *(one for one in optional if one in names)]


def unread_columns(features: FeatureSet, names: Iterable[object]) -> list[str]:
    """Return the columns of a table that are not read."""
    found = [str(name) for name in names]
    return [name for name in found if name not in table_names(features, found)]


def table_header(path: Path) -> list[str]:
    """Return the column names of a table: a file, or the first part of a folder."""
    if path.is_dir():
        path = sorted(path.glob("*.parquet"))[0]
    if path.suffix == ".parquet":
        return [str(name) for name in pq.read_schema(path).names]
    return [str(name) for name in pd.read_csv(path, nrows=0)]


def read_table(
    path: str | Path, features: FeatureSet, periods: Periods = WEEKS, labels: TableLabels = THREE_TRENDS
) -> pd.DataFrame:
    """Read one split's table.

    Args:
        path: CSV or Parquet.
        features: columns to read; further columns are left out.
        periods: of the rows; default: weeks of New York.
        labels: of the table; default: three trends, a week ahead.

    Returns:
        The columns of `table_names` in the file's row order, dates as datetime64[ns].

    Raises:
        DataError: with the file, the column, the first lines at fault, what was found and what was expected.
    """
    frame = with_own_labels(read_frame(path), labels, path)
    check_columns(frame, required_columns(features), path)
    columns = table_names(features, frame)
    numbers = [*numeric_columns(features, frame), Column(DIRECTION, "")]
    dates = ["date", *([LABEL_END] if LABEL_END in columns else [])]
    if HISTORY_ONLY in columns:
        numbers.append(HISTORY_ONLY_COLUMN)
    table, violations = typed_frame(frame, numbers, dates)
    check_lines(violations, path, frame.index)
    days = table["date"].to_numpy()
    backwards = np.append(False, days[1:] < days[:-1])
    violations = violation(backwards, "date", days, "dates in ascending order")
    check_lines(violations + find_target_violations(table, periods, features, labels), path, frame.index)
    order = ClassOrder(labels)
    order.add(table)
    order.check(path)
    types = {DIRECTION: "int64"} | ({HISTORY_ONLY: "int8"} if HISTORY_ONLY in columns else {})
    out = table[columns]
    for name, kind in types.items():  # one by one: `astype` of several would make every column a block of its own
        out[name] = out[name].to_numpy(dtype=kind)
    return out
