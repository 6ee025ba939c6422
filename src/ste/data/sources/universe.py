"""Read which tickers belong to a market and when: members of a universe, and delistings. N rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.config.read_options import ReadOptions
from ste.data.columns import check_lines, find_repeats, violation
from ste.data.sources.side_tables import TableColumns, read_side_table
from ste.schema import UNIVERSE_COLUMNS, Column

_DELISTING_RETURN = Column("return", "from the last close to what a holder received, simple", low=-1.0)
_DAYS = 1 << 20  # more than the days from 1900 to 2199


@dataclass(frozen=True)
class Universe:
    """Spans of membership.

    Attributes:
        path: of the file.
        spans: `ticker`, `from` and `to`, both included, sorted; those of a ticker do not overlap.
    """

    path: str
    spans: pd.DataFrame

    @property
    def tickers(self) -> pd.Index:
        """Members, sorted."""
        return pd.Index(self.spans["ticker"].unique())

    def renamed(self, spelled: dict[str, str]) -> "Universe":
        """Return the spans of some tickers under the names that bars have.

        Args:
            spelled: ticker of the bars by ticker of the file.
        """
        own = self.spans[self.spans["ticker"].isin(list(spelled))]
        return Universe(self.path, _merged(own.assign(ticker=own["ticker"].map(spelled))))

    def members(self, rows: pd.DataFrame) -> np.ndarray:
        """Return which rows lie in a span of their ticker, bool `[N]`.

        Args:
            rows: `ticker` and `date`, in any order.
        """
        if self.spans.empty:
            return np.zeros(len(rows), dtype=bool)
        names = self.tickers
        code = names.get_indexer(pd.Index(rows["ticker"].astype(object)))
        day = _days(rows["date"])
        own = names.get_indexer(pd.Index(self.spans["ticker"])) * _DAYS
        begin, end = own + _days(self.spans["from"]), own + _days(self.spans["to"])
        key = code * _DAYS + day
        at = np.searchsorted(begin, key, side="right") - 1
        return (code >= 0) & (at >= 0) & (key <= end[at])


def read_universe(path: str, options: ReadOptions) -> Universe:
    """Read a file of members: `ticker`, `from` and `to`, days; an empty `to` is a member to this day.

    A ticker may have several spans; those that overlap or touch count as one.

    Args:
        path: as `side_tables.read_side_table`.
        options: how to read.

    Raises:
        DataError: with the file, the column and the first lines at fault.
    """
    columns = TableColumns(days=("from", "to"), names=("ticker",), open_days=("to",))
    spans, violations, lines = read_side_table(path, "universe", UNIVERSE_COLUMNS["universe"], columns, options)
    if not violations:
        violations = violation(
            (spans["to"] < spans["from"]).to_numpy(), "to", spans["to"].to_numpy(), "a day not before that of from"
        )
        keys = {name: spans[name].to_numpy() for name in ("ticker", "from")}
        violations += find_repeats(keys, "from", spans["from"], "one span per ticker and first day")
    check_lines(violations, path, lines)
    return Universe(path, _merged(spans))


def read_delistings(path: str, options: ReadOptions) -> pd.DataFrame:
    """Read a file of delistings.

    Args:
        path: as `side_tables.read_side_table`.
        options: how to read.

    Returns:
        `ticker`, `date` from which the outcome was known, and `return`: simple, from the last close to what a holder
        received in the end, -1 for nothing; sorted by ticker and date.

    Raises:
        DataError: with the file, the column and the first lines at fault.
    """
    names = UNIVERSE_COLUMNS["delisted"]
    columns = TableColumns(days=("date",), names=("ticker",), numbers=(_DELISTING_RETURN,))
    typed, violations, lines = read_side_table(path, "delisted", names, columns, options)
    if not violations:
        keys = {name: typed[name].to_numpy() for name in ("ticker", "date")}
        violations = find_repeats(keys, "date", typed["date"], "one row per ticker and day")
    check_lines(violations, path, lines)
    return typed.sort_values(["ticker", "date"], kind="stable", ignore_index=True)


def _merged(spans: pd.DataFrame) -> pd.DataFrame:
    """Join the spans of a ticker that overlap or touch."""
    spans = spans.sort_values(["ticker", "from", "to"], kind="stable", ignore_index=True)
    latest = spans.groupby("ticker")["to"].cummax()
    before = latest.groupby(spans["ticker"]).shift()
    starts = before.isna() | (spans["from"] > before + pd.Timedelta(days=1))
    number = starts.cumsum()
    grouped = spans.groupby(number)
    return pd.DataFrame(
        {"ticker": grouped["ticker"].first(), "from": grouped["from"].first(), "to": grouped["to"].max()}
    ).reset_index(drop=True)


def _days(dates: pd.Series) -> np.ndarray:
    return dates.to_numpy().astype("datetime64[D]").astype(np.int64) + _DAYS // 2
