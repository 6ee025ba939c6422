"""What was read from the files of a market, in the lines of one summary."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.market.adjustment import AdjustmentCounts

_SHOWN = 5  # tickers that a line lists
_BEFORE_1970 = 25567  # days since 1900, the first year of a date


@dataclass
class Finding:
    """Rows that have something in common.

    Attributes:
        rows: number of them.
        first: the first one in words: ticker, date and what was found.
    """

    rows: int = 0
    first: str = ""

    def add(self, rows: int, first: str) -> None:
        """Count more rows."""
        self.first = self.first or first
        self.rows += rows


@dataclass(frozen=True)
class SideFile:
    """What of a file that complements the bars was used.

    Attributes:
        rows: in the file.
        matched: of them, used with the bars.
        how: completes "rows ...", such as `of tickers with bars`.
        unknown: tickers without bars, sorted.
    """

    rows: int
    matched: int
    how: str
    unknown: list[str] = field(default_factory=list)


@dataclass
class ReadSummary:
    """What was understood of the bars of a market and what became of each row, over one or more blocks.

    Attributes:
        shape: of the file in words, such as `Stooq`; empty where the bars did not come from a file.
        files: number of files with bars.
        found: rows in the files.
        bars: rows that became bars.
        tickers: names with bars, sorted.
        first, last: date of the earliest and latest bar.
        ignored: columns that are not read, by name.
        set_aside: rows that did not become bars, by reason.
        doubts: rows that became bars and look wrong, by what is wrong with them.
        spacing: of the bars, `daily`, `weekly` or `monthly`; empty where too few bars tell.
        days: rows on each day, session or not.
        remarks: rows that became bars and that a reader should know of, by what they have in common.
        adjustment: how prices and volume are adjusted.
        empty: files, or tickers of a file, without a row.
        gaps: tickers that start a new history after a gap.
        statements: other sentences, such as how prices are adjusted, in order.
        side: what was used of each other file.
        assumptions: values that stand in for what no file has.
        undefined: rows of the table that have no value of a feature, by feature.
        of_rows: sentences on the rows of the table that was built.
    """

    shape: str = ""
    files: int = 0
    found: int = 0
    bars: int = 0
    tickers: list[str] = field(default_factory=list)
    first: pd.Timestamp | None = None
    last: pd.Timestamp | None = None
    ignored: list[str] = field(default_factory=list)
    set_aside: dict[str, Finding] = field(default_factory=dict)
    doubts: dict[str, Finding] = field(default_factory=dict)
    remarks: dict[str, Finding] = field(default_factory=dict)
    adjustment: AdjustmentCounts = field(default_factory=AdjustmentCounts)
    empty: Finding = field(default_factory=Finding)
    gaps: Finding = field(default_factory=Finding)
    statements: list[str] = field(default_factory=list)
    spacing: str = ""
    days: pd.Series = field(default_factory=lambda: pd.Series(dtype=np.float64))
    side: dict[str, SideFile] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)
    undefined: dict[str, Finding] = field(default_factory=dict)
    of_rows: list[str] = field(default_factory=list)
    _days: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool), repr=False)

    @property
    def sessions(self) -> int:
        """Number of days with a bar of any ticker."""
        return int(self._days.sum())

    def drop(self, bars: pd.DataFrame, rows: np.ndarray, reason: str) -> pd.DataFrame:
        """Count rows as set aside and return the others.

        Args:
            bars: with `ticker` and `date`, `[N]`.
            rows: bool `[N]`, which to set aside.
            reason: completes "rows ...", such as `without a price or volume`.
        """
        if not rows.any():
            return bars
        self.count(self.set_aside, bars, rows, reason)
        return bars[~rows]

    def doubt(self, bars: pd.DataFrame, rows: np.ndarray, reason: str, found: Sequence[str] | None = None) -> None:
        """Count rows that look wrong and remain bars.

        Args:
            bars: with `ticker` and `date`, `[N]`.
            rows: bool `[N]`, which they are.
            reason: completes "rows ...".
            found: what was found in each of them, `[rows.sum()]`.
        """
        if rows.any():
            self.count(self.doubts, bars, rows, reason, "" if found is None else found[0])

    def remark(self, bars: pd.DataFrame, rows: np.ndarray, reason: str) -> None:
        """Count rows that a reader should know of; arguments as in `doubt`."""
        if rows.any():
            self.count(self.remarks, bars, rows, reason)

    @classmethod
    def count(
        cls, findings: dict[str, Finding], bars: pd.DataFrame, rows: np.ndarray, reason: str, found: str = ""
    ) -> None:
        """Add rows (bool `[N]`) of `bars` to the finding of this reason."""
        first = bars.iloc[int(np.argmax(rows))]
        day = first["date"]
        when = f"{day:%Y-%m-%d}" if isinstance(day, pd.Timestamp) else str(day)
        cls.add(findings, reason, int(rows.sum()), f"{first['ticker']} {when}" + (f", {found}" if found else ""))

    @staticmethod
    def add(findings: dict[str, Finding], reason: str, rows: int, first: str) -> None:
        """Add a number of rows to the finding of this reason; `first` describes the first of them."""
        findings.setdefault(reason, Finding()).add(rows, first)

    def state(self, sentence: str) -> None:
        """Add a sentence to `statements`, once."""
        if sentence not in self.statements:
            self.statements.append(sentence)

    def add_bars(self, bars: pd.DataFrame) -> None:
        """Count bars; the frame has `ticker` and `date`, complete tickers."""
        if bars.empty:
            return
        self.bars += len(bars)
        self.tickers = sorted({*self.tickers, *bars["ticker"].unique().astype(str)})
        first, last = bars["date"].min(), bars["date"].max()
        days = bars["date"].to_numpy().astype("datetime64[D]").astype(np.int64) + _BEFORE_1970
        if days.max() >= len(self._days):
            self._days = np.append(self._days, np.zeros(int(days.max()) + 1 - len(self._days), dtype=bool))
        self._days[days] = True
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def check(self, where: object) -> None:
        """Raise `DataError` where no bar is left.

        Args:
            where: the file or source of the bars.
        """
        if self.bars:
            return
        if not self.set_aside and not self.found:
            raise DataError(f"{where}: has a header and no rows. Expected at least one row.")
        reasons = "".join(f" {found.rows:,} rows {reason}." for reason, found in self.set_aside.items())
        raise DataError(f"{where}: no bar is left.{reasons} Expected daily bars with prices and volume.")

    def notes(self) -> list[str]:
        """Return the summary as lines: what was read, how it was understood, each reason and doubt with its rows."""
        adjustment = self.adjustment.statement()
        out = [*([self._headline()] if self.shape else []), *self.statements, *([adjustment] if adjustment else [])]
        if self.gaps.rows:
            starts = "tickers start" if self.gaps.rows > 1 else "ticker starts"
            out.append(f"bars: {self.gaps.rows:,} {starts} a new history after a gap (first: {self.gaps.first})")
        if self.empty.rows:
            noun = "table has" if self.empty.rows == 1 else "tables have"
            out.append(f"bars: {self.empty.rows:,} {noun} no rows (first: {self.empty.first})")
        if self.ignored:
            out.append(f"bars: columns not read: {', '.join(self.ignored)}")
        for reason, found in self.set_aside.items():
            out.append(f"bars: {_rows(found.rows)} {reason} set aside (first: {found.first})")
        for reason, found in self.remarks.items():
            out.append(f"bars: {_rows(found.rows)} {reason} (first: {found.first})")
        for reason, found in self.doubts.items():
            out.append(f"warning: {_rows(found.rows)} {reason} (first: {found.first})")
        for kind, one in self.side.items():
            text = f"{kind}: {one.matched:,} of {_rows(one.rows)} {one.how}"
            names = ", ".join(one.unknown[:_SHOWN]) + (", ..." if len(one.unknown) > _SHOWN else "")
            out.append(text + (f"; no bars of {names}" if names else ""))
        out += self.assumptions
        for reason, found in self.undefined.items():
            out.append(f"features: {_rows(found.rows)} {reason} left out (first: {found.first})")
        return [*out, *self.of_rows]

    def _headline(self) -> str:
        span = f"{self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}" if self.bars else "none"
        files = f"{self.files:,} files, " if self.files > 1 else ""
        days = "day" if self.sessions == 1 else "days"
        names = "ticker" if len(self.tickers) == 1 else "tickers"
        return (
            f"bars: {_rows(self.bars)} of {len(self.tickers):,} {names} on {self.sessions:,} {days}, {span} "
            f"({files}{self.shape})"
        )


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
