"""The classes of a column of the user's own ready table."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ste.config import LabelSettings
from ste.errors import DataError
from ste.labels.label_method import LabelMethod, Rules
from ste.registry import LABELS


@dataclass(frozen=True)
class TableColumn(LabelMethod):
    """Classes that stand in a ready table (`data=csv`), from 0 to the number of classes less 1.

    `data.labels.horizon` must state how far they look ahead: it decides the purge. A column `label_end` may state the
    end of each label.

    Args:
        column: of the classes.
        return_column: of the return that the label is about; None is `stock_weekly_return`.
    """

    ordered: ClassVar[bool] = False
    plain_return: ClassVar[bool] = False
    meaning: ClassVar[str] = "a column of the table, about {ahead} return"

    column: str = ""
    return_column: str | None = None

    @classmethod
    def rules(cls, settings: LabelSettings) -> Rules:
        """Yield the rule of the column's name."""
        yield from super().rules(settings)
        yield bool(settings.value("column")), "column", "a column of the table with the classes", "my_label"

    def trends(
        self, returns: np.ndarray, period: np.ndarray, volatility: np.ndarray, fitted: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Refuse to compute what stands in a table."""
        raise DataError(
            f"data.labels.column={self.column}: the labels stand in a column of a ready table, and these are computed "
            "from bars. Try data=csv data.train=FILE data.validation=FILE, or labels=fixed."
        )


LABELS.add("column", TableColumn)
