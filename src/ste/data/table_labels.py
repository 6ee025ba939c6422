"""What the labels of a ready table are: how many trends, how far they look, and in which columns they stand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ste.config import LabelSettings
from ste.config.header_check import check_columns
from ste.data.columns import check_lines, violation
from ste.labels.label_method import label_method
from ste.schema import CLASSES, DIRECTION, MOVEMENT, RETURN, class_names, trend_count, trend_names


@dataclass(frozen=True)
class TableLabels:
    """The labels of a table.

    Attributes:
        classes: of a model, 2 to 5.
        horizon: periods that a label looks ahead at most.
        ordered: whether every Downtrend's return lies below every Uptrend's.
        plain_return: whether the return is that from close to close over the horizon.
        column: of the classes, 0 to `classes` - 1; None where `stock_trend_direction` holds trends.
        return_column: of the returns; None is `stock_weekly_return`.
    """

    classes: int = 3
    horizon: int = 1
    ordered: bool = True
    plain_return: bool = True
    column: str | None = None
    return_column: str | None = None

    @classmethod
    def of(cls, settings: LabelSettings) -> "TableLabels":
        """Return what label settings say of a ready table."""
        method = label_method(settings)
        own = {name: settings.arguments.get(name) for name in ("column", "return_column")}
        return cls(settings.classes, settings.horizon, method.ordered, method.plain_return, **own)

    @property
    def trends(self) -> str:
        """The trends that a table may hold, in words: `0 (Downtrend), 1 (Neutral) or 2 (Uptrend)`."""
        *others, last = [f"{code} ({name})" for code, name in enumerate(trend_names(self.classes))]
        return f"{', '.join(others)} or {last}"

    @property
    def trend_count(self) -> int:
        """Number of trends."""
        return trend_count(self.classes)


THREE_TRENDS = TableLabels()
"""The labels of a table with three classes that look one period ahead."""


def with_own_labels(frame: pd.DataFrame, labels: TableLabels, where: str | Path) -> pd.DataFrame:
    """Return a raw table with the targets of `schema.TARGETS`, from the user's own columns where they are named.

    Args:
        frame: raw columns of a file.
        labels: of the table.
        where: the file, for messages.

    Raises:
        DataError: a column that is missing, or a value that is no class.
    """
    if labels.column is None:
        return frame
    own = [labels.column, *([labels.return_column] if labels.return_column else [])]
    check_columns(frame, tuple(own), where)
    classes = pd.to_numeric(frame[labels.column], errors="coerce").to_numpy(dtype=np.float64)
    named = ", ".join(f"{code} ({name})" for code, name in enumerate(class_names(labels.classes)))
    wrong = ~np.isin(classes, np.arange(labels.classes))
    expected = f"one of the classes {named} of data.labels.classes={labels.classes}"
    raw = frame[labels.column].to_numpy(dtype=object)
    check_lines(violation(wrong, labels.column, raw, expected), where, frame.index)
    out = frame.drop(columns=[name for name in own if name != RETURN])
    out[DIRECTION] = np.array(CLASSES[labels.classes])[classes.astype(np.int64)]
    if labels.return_column is not None:
        out[RETURN] = frame[labels.return_column]
    if RETURN in out and (labels.return_column is not None or MOVEMENT not in out):
        out[MOVEMENT] = out[RETURN] * out.get("stock_close", 1.0)
    return out
