"""What was understood of the user's own columns, in sentences. R rows."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ste.data.sources.extra_rows import DatedRows
from ste.market.read_summary import SideFile
from ste.market.spelling import Spellings


@dataclass
class ExtraReading:
    """What was read of one file or field of a request.

    Attributes:
        kind: `extra.NAME`.
        dated: its rows.
        outdated: rows that are valid on no day because a later date was known already, bool `[R]`.
        lag: days from `date` on, where it is stated.
        spelled: names in the file of `ticker`, `date` and `known_at` where they are others.
        ignored: columns that are not read, each with the reason.
    """

    kind: str
    dated: DatedRows
    outdated: np.ndarray
    lag: int | None = None
    spelled: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Match no ticker yet."""
        ticker = self.dated.rows.ticker
        self._counts = None if ticker is None else pd.Series(ticker, dtype=object).value_counts()
        self.spellings = Spellings(self.kind, () if self._counts is None else map(str, self._counts.index))

    def statements(self) -> list[str]:
        """Return how the file was understood, one fact a sentence."""
        rows, names = self.dated.rows, ", ".join(self.dated.rows.values)
        out = [f"{self.kind}: {names}; known from {rows.known.min()} on, {self._how()}"]
        out += [f"{self.kind}: {name} is read as {key}" for key, name in self.spelled.items()]
        out += self.spellings.statements()
        if self.ignored:
            out.append(f"{self.kind}: columns not read: {', '.join(self.ignored)}")
        without = np.all([np.isnan(values) for values in rows.values.values()], axis=0)
        for found, reason in (
            (self.dated.by_time, "with a time of day known from the next day on"),
            (self.outdated, "not used: a later date was known before them"),
            (without, "without a value"),
        ):
            if found.any():
                count = int(found.sum())
                first = self.dated.label(int(np.argmax(found)))
                out.append(f"{self.kind}: {count:,} row{'s' * (count != 1)} {reason} (first: {first})")
        return out

    def side(self, tickers: list[str], last: np.datetime64) -> SideFile:
        """Count the rows that belong to bars, after the last block.

        Args:
            tickers: of all bars.
            last: day of the latest bar.
        """
        rows = len(self.dated.rows.date)
        if self._counts is None:
            return SideFile(rows, int((self.dated.rows.known <= last).sum()), "known by then")
        unknown = self.spellings.finish(tickers)
        matched = int(self._counts.drop(unknown).sum())
        return SideFile(rows, matched, "of tickers with bars", unknown)

    def _how(self) -> str:
        lag = "" if self.lag is None else f"date + {self.lag} day{'s' * (self.lag != 1)}"
        by_lag = self.dated.by_lag
        if by_lag.all():
            return f"by {lag}"
        return f"by known_at, else {lag} ({int(by_lag.sum()):,} rows)" if by_lag.any() else "by known_at"
