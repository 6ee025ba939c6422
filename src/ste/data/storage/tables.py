"""Read a labelled table from disk and check it."""

from pathlib import Path

import numpy as np
import pandas as pd

from ste.config.header_check import check_columns
from ste.data.columns import check_lines, numeric_columns, typed_frame, violation
from ste.data.storage.files import read_frame
from ste.data.table_checks import HISTORY_ONLY_COLUMN, ClassOrder, find_target_violations
from ste.data.table_labels import THREE_TRENDS, TableLabels, with_own_labels
from ste.market.calendar import WEEKS, Periods
from ste.schema import DIRECTION, HISTORY_ONLY, LABEL_END, Column, table_columns


def read_table(
    path: str | Path, periods: Periods = WEEKS, features: str = "full", labels: TableLabels = THREE_TRENDS
) -> pd.DataFrame:
    """Read one split's table.

    Args:
        path: CSV or Parquet.
        periods: of the rows; default: weeks of New York.
        features: name of the feature set.
        labels: of the table; default: three trends, a week ahead.

    Returns:
        The table in the file's row order, `date` as datetime64[ns], targets last, then
        `schema.LABEL_END` and `schema.HISTORY_ONLY` where the file has them.

    Raises:
        DataError: with the file, the column, the first lines at fault, what was found and what was expected.
    """
    frame = with_own_labels(read_frame(path), labels, path)
    columns = list(table_columns(features))
    check_columns(frame, tuple(columns), path, strict=True, optional=(LABEL_END, HISTORY_ONLY))
    numbers = [*numeric_columns(features), Column(DIRECTION, "")]
    dates = ["date"]
    if LABEL_END in frame:
        columns.append(LABEL_END)
        dates.append(LABEL_END)
    if HISTORY_ONLY in frame:
        columns.append(HISTORY_ONLY)
        numbers.append(HISTORY_ONLY_COLUMN)
    table, violations = typed_frame(frame, numbers, dates)
    check_lines(violations, path, frame.index)
    days = table["date"].to_numpy()
    backwards = np.append(False, days[1:] < days[:-1])
    violations = violation(backwards, "date", days, "dates in ascending order")
    check_lines(violations + find_target_violations(table, periods, labels), path, frame.index)
    order = ClassOrder(labels)
    order.add(table)
    order.check(path)
    types = {DIRECTION: "int64"} | ({HISTORY_ONLY: "int8"} if HISTORY_ONLY in columns else {})
    return table[columns].astype(types)
