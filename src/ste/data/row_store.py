"""A table as tensors: one copy of the rows that every window of every split reads.

N rows of the table, F features.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from ste.data.row_columns import RowColumns
from ste.data.windows import count_consecutive
from ste.market.calendar import WEEKS, Periods
from ste.schema import CLASSES, LABEL_END, FeatureSet, trend_count


@dataclass(frozen=True)
class RowStore:
    """A table as tensors, sorted by ticker and date; in memory, or mapped from disk (`memory_mapped.read_tensors`).

    Attributes:
        features: float32 `[N, F]`, raw values of the table.
        label: integers `[N]`, class index; -1 where the row's trend is not one of the model's classes.
        history: integers `[N]`, consecutive periods of the same ticker that end at the row (`count_consecutive`).
        period: integers `[N]`, period index (`market.calendar.Periods`).
        columns: dates, tickers, returns and other columns that no net reads.
        label_end: integers `[N]`, period in which the label is known; None where that is the horizon for all rows.
    """

    features: torch.Tensor
    label: torch.Tensor
    history: torch.Tensor
    period: np.ndarray
    columns: RowColumns
    label_end: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def frame(self) -> pd.DataFrame:
        """The table in the same order, where it is in memory.

        Raises:
            TypeError: the table is mapped from disk.
        """
        if self.columns.frame is None:
            raise TypeError("a mapped table has no frame: ask for columns of chosen rows")
        return self.columns.frame

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, features: FeatureSet, periods: Periods = WEEKS, classes: int = 3
    ) -> "RowStore":
        """Convert a table in any row order.

        Args:
            frame: columns of `schema.table_columns`.
            features: the table's feature set.
            periods: of the rows; default: weeks of New York.
            classes: 2 to 5, see `schema.CLASSES`.
        """
        codes, tickers = pd.factorize(frame["ticker"], sort=True)
        order = np.lexsort((frame["date"].to_numpy(), codes))
        frame = frame.take(order).reset_index(drop=True)
        columns = RowColumns.from_frame(frame, codes[order], np.asarray(tickers, dtype=object), features)
        period = periods.index(frame["date"])
        values = np.ascontiguousarray(frame[list(features.names)], dtype=np.float32)
        return cls(
            features=torch.from_numpy(values),
            label=class_indices(columns.directions, classes),
            history=torch.from_numpy(count_consecutive(columns.ticker, period)),
            period=period,
            columns=columns,
            label_end=periods.index(frame[LABEL_END]) if LABEL_END in frame else None,
        )


def class_indices(directions: np.ndarray, classes: int) -> torch.Tensor:
    """Map trends to class indices `[N]`; -1 for a trend that is not one of the classes.

    Args:
        directions: trends, integers `[N]`; the indices have the same type.
        classes: 2 to 5, see `schema.CLASSES`.
    """
    index = np.full(trend_count(classes), -1, dtype=directions.dtype)
    index[list(CLASSES[classes])] = np.arange(classes)
    return torch.from_numpy(index[directions])
