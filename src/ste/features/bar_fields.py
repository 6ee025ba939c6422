"""The fields of feature expressions: columns of the bars, news, macro figures, policy events and files of the user."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import pandas as pd

from ste.errors import ConfigError
from ste.features.macro import macro_level
from ste.features.news import NEWS_FIELDS, news_features
from ste.features.policy import POLICY_FIELDS, policy_features
from ste.market.calendar import WEEKS, Periods
from ste.market.extra_table import ExtraTable
from ste.market.sources import RAW_CLOSE, Market
from ste.schema import MACRO_SERIES, ROW_PERIOD

BAR_FIELDS = ("open", "high", "low", "close", "volume", "raw_close", "vwap")
MACRO = "macro_"


@dataclass(frozen=True)
class Fields:
    """Values of the fields `$NAME` on the bars of a market.

    Attributes:
        market: daily sources; N bars sorted by ticker and date.
        periods: of the rows.
        period: period index of each bar, int64 `[N]`.
        last: last bar of each period, int64 `[P]`.
    """

    market: Market
    periods: Periods
    period: np.ndarray
    last: np.ndarray

    def __call__(self, name: str) -> tuple[np.ndarray, bool]:
        """Return a field, float64, and whether it has a value per period `[P]` rather than per bar `[N]`."""
        if name in BAR_FIELDS:
            return _bar_field(self.market.bars, name), False
        if name in MACRO_FIELDS:
            return macro_level(self.market.macro, name.removeprefix(MACRO), self.market.bars["date"]), False
        if name in (*NEWS_FIELDS, *POLICY_FIELDS):
            return self._period_field(name), True
        table, _, column = name.partition(".")
        bars = self.market.bars
        return self.market.extra[table].as_of(column, bars["ticker"], bars["date"]), False

    def _period_field(self, name: str) -> np.ndarray:
        frame = self._news if name in NEWS_FIELDS else self._policy
        return frame[name].to_numpy(dtype=np.float64)

    @cached_property
    def _news(self) -> pd.DataFrame:
        return news_features(self._rows, self.market.news, self.periods)

    @cached_property
    def _policy(self) -> pd.DataFrame:
        return policy_features(self._rows, self.market.policy, self.periods)

    @cached_property
    def _rows(self) -> pd.DataFrame:
        """Ticker and period of each period's row."""
        tickers = self.market.bars["ticker"].iloc[self.last].reset_index(drop=True)
        return pd.DataFrame({"ticker": tickers, ROW_PERIOD: self.period[self.last]})


MACRO_FIELDS = tuple(f"{MACRO}{series}" for series in MACRO_SERIES)
FIELDS = (*BAR_FIELDS, *MACRO_FIELDS, *NEWS_FIELDS, *POLICY_FIELDS)
"""Every field but those of the user's own files, `$NAME.column`."""
PERIOD_FIELDS = frozenset((*NEWS_FIELDS, *POLICY_FIELDS))
"""Fields with one value per period: what became known in it up to its close."""


def own_fields(market: Market, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the values of fields of the user's files as of each bar, float64 `[N]` by name of the field.

    Args:
        market: daily sources.
        names: such as `mine.sentiment`.
    """
    nothing = np.empty(0, dtype=np.int64)
    fields = Fields(market, WEEKS, nothing, nothing)  # such fields have a value per bar, whatever the periods
    return {name: fields(name)[0] for name in names}


def check_fields(name: str, fields: Iterable[str], extra: Mapping[str, ExtraTable]) -> None:
    """Check that a market has the fields that a column reads.

    Args:
        name: of the column.
        fields: that its expression reads.
        extra: tables of the user's own columns.

    Raises:
        ConfigError: there is no such field.
    """
    own = [f"{table}.{column}" for table in extra for column in extra[table].value_columns]
    for field in sorted(set(fields) - {*FIELDS, *own}):
        table = field.partition(".")[0]
        if "." in field and table not in extra:
            raise ConfigError(
                f"feature {name}: no field ${field}, and no file {table}. Try data.extra.{table}=FILE, "
                f"or extra.{table}=FILE with a model."
            )
        near = get_close_matches(field, [*FIELDS, *own], n=1, cutoff=0.4)
        hint = f" Try ${near[0]}." if near else ""
        listed = ", ".join(f"${one}" for one in (*BAR_FIELDS, *own, *FIELDS[len(BAR_FIELDS) :]))
        raise ConfigError(
            f"feature {name}: no field ${field}. Expected one of {listed}; or $NAME.column with "
            f"data.extra.NAME=FILE.{hint}"
        )


def _bar_field(bars: pd.DataFrame, name: str) -> np.ndarray:
    if name == "vwap" and name not in bars:
        # The typical price stands in: bars rarely have a volume-weighted average price.
        return np.asarray((bars["high"] + bars["low"] + bars["close"]) / 3.0, dtype=np.float64)
    column = "close" if name == RAW_CLOSE and name not in bars else name
    return np.ascontiguousarray(bars[column], dtype=np.float64)
