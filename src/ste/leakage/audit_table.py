"""The audited table: rows of all splits in one frame, with arrays that several checks need."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from ste.market.calendar import WEEKS, Periods
from ste.market.ticker_groups import values_ahead
from ste.schema import DIRECTION, NOT_FEATURES, RETURN, ROW_CLOSE, SPLITS

SPLIT = "split"
"""Column with the name of a row's split."""

CLOSE = "stock_close"
"""Column of the close in a table of `weekly21`; other tables have `schema.ROW_CLOSE`."""


@dataclass(frozen=True, eq=False)
class AuditTable:
    """Rows of every split, sorted by ticker and date.

    Attributes:
        frame: the columns of `ste.schema` and any other numeric ones, and `split`: train, validation, test.
        horizon: periods that the labels look ahead, as configured.
        row_periods: of the rows.
        files: setting and file of each split, for messages.
        trends: number of trends that the classes distinguish, Neutral in the middle.
        plain_return: whether the returns are those from close to close over the horizon.
    """

    frame: pd.DataFrame
    horizon: int = 1
    row_periods: Periods = WEEKS
    files: dict[str, str] = field(default_factory=dict)
    trends: int = 3
    plain_return: bool = True

    def __post_init__(self) -> None:
        ordered = self.frame.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)
        object.__setattr__(self, "frame", ordered)

    @property
    def word(self) -> str:
        """Period of a row: `week`, `day` or `month`."""
        return self.row_periods.word

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Numeric columns that a model may read."""
        numeric = self.frame.select_dtypes("number").columns
        return tuple(name for name in numeric if name not in NOT_FEATURES)

    @cached_property
    def periods(self) -> np.ndarray:
        """Calendar number of each row's period, int64 `[N]`; consecutive periods differ by 1."""
        return self.row_periods.index(self.frame["date"])

    @cached_property
    def period_codes(self) -> np.ndarray:
        """Position of each row's period among those of the table, int64 `[N]`, from 0."""
        return np.unique(self.periods, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def tickers(self) -> np.ndarray:
        """Code of each row's ticker, int64 `[N]`, from 0."""
        return pd.factorize(self.frame["ticker"])[0].astype(np.int64)

    @cached_property
    def ticker_names(self) -> np.ndarray:
        """Name of each ticker code, object `[tickers]`."""
        return pd.factorize(self.frame["ticker"])[1].to_numpy(dtype=object)

    @cached_property
    def split(self) -> np.ndarray:
        """0 train, 1 validation, 2 test, int8 `[N]`."""
        codes = {name: code for code, name in enumerate(SPLITS)}
        return self.frame[SPLIT].map(codes).to_numpy(dtype=np.int8)

    @cached_property
    def training(self) -> np.ndarray:
        """Whether a row is in training, bool `[N]`."""
        return self.split == 0

    @cached_property
    def returns(self) -> np.ndarray:
        """Simple return over the coming `horizon` periods, float64 `[N]`."""
        return self.column(RETURN)

    @cached_property
    def labels(self) -> np.ndarray:
        """Trend class, int64 `[N]`."""
        return self.frame[DIRECTION].to_numpy(dtype=np.int64)

    @cached_property
    def close(self) -> np.ndarray | None:
        """Close of each row, float64 `[N]`; None without such a column."""
        name = next((name for name in (CLOSE, ROW_CLOSE) if name in self.frame), None)
        return None if name is None else self.column(name)

    def column(self, name: str) -> np.ndarray:
        """A column as float64 `[N]`."""
        return self.frame[name].to_numpy(dtype=np.float64)

    def ahead(self, values: np.ndarray, steps: int) -> np.ndarray:
        """The same ticker's value `steps` periods later, `[N]`; see `ticker_groups.values_ahead`."""
        return values_ahead(values, self.tickers, self.periods, steps)

    def name_of(self, split: str) -> str:
        """Setting and file of a split, or its name."""
        return self.files.get(split, split)

    @cached_property
    def shared(self) -> frozenset[str]:
        """Features with one value for all tickers of a period, such as macroeconomic series."""
        by_period = self.frame[list(self.features)].groupby(self.period_codes)
        spread = (by_period.max() - by_period.min()).abs().max()
        return frozenset(str(name) for name, value in spread.items() if not value > 0)
