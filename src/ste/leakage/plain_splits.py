"""Which rows of a table with columns of any name are training, validation and test."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ste.data.bar_files.column_names import plain_name
from ste.leakage.audit_table import SPLIT
from ste.market.calendar import Periods
from ste.schema import SPLITS

_SPLIT_NAMES = ("split", "set", "subset", "partition", "dataset", "fold")
_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "insample"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "outofsample"), "test"),
}
_LATER = 0.3  # fraction of the periods that stand for the test of a file without a split
_AGREES = 0.8  # fraction of the rows with a known word


def named_column(rows: pd.DataFrame, names: Sequence[str]) -> str | None:
    """Return the column with the first of these plain names (`column_names.plain_name`), or None."""
    plain = {plain_name(str(name)): str(name) for name in rows}
    return next((plain[name] for name in names if name in plain), None)


def splits_of(rows: pd.DataFrame, periods: Periods, summary: list[str]) -> pd.DataFrame:
    """Return the rows with `split`: that of the file, or by date.

    Args:
        rows: with `date`.
        periods: of the rows.
        summary: lines for the user, to which one is added.
    """
    name = named_column(rows, _SPLIT_NAMES)
    if name is not None:
        words = rows[name].astype(str).map(plain_name).map(_SPLIT_WORDS)
        if words.notna().mean() > _AGREES:
            counts = ", ".join(f"{n:,} {split}" for split in SPLITS if (n := int((words == split).sum())))
            summary.append(f"split: {name} ({counts})")
            return rows.drop(columns=name)[words.notna()].assign(**{SPLIT: words[words.notna()]})
    index = periods.index(rows["date"])
    first = np.quantile(np.unique(index), 1 - _LATER)
    summary.append(f"no split: the last {_LATER:.0%} of the {periods.word}s stand for the test")
    return rows.assign(**{SPLIT: np.where(index > first, "test", "train")})
