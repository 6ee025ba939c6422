"""Rows that later windows read and that are neither trained on nor scored: the column `history_only` of a table.

The column is the last one, 1 in such rows, and present only in a table (or a part of one) that has any of them. N rows.
"""

import numpy as np
import pandas as pd

from ste.schema import HISTORY_ONLY


def history_only_rows(table: pd.DataFrame) -> np.ndarray:
    """Return which rows are history only, bool `[N]`; none in a table without the column.

    Args:
        table: of one file, or of several of which some have the column: a missing value counts as 0.
    """
    if HISTORY_ONLY not in table:
        return np.zeros(len(table), dtype=bool)
    return (table[HISTORY_ONLY] == 1).to_numpy(dtype=bool)


def with_history_only(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Return the table with the column where any row needs it, without it otherwise.

    Args:
        table: columns of `schema.table_columns` and possibly others, `[N]`.
        rows: bool `[N]`, which are history only.
    """
    others = table.drop(columns=HISTORY_ONLY) if HISTORY_ONLY in table else table
    return others.assign(**{HISTORY_ONLY: rows.astype(np.int8)}) if rows.any() else others
