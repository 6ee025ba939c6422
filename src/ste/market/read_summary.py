"""What was read from the files of a market, in the lines of one summary."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ste.errors import DataError


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


@dataclass
class ReadSummary:
    """What was understood of the bars of a market and what became of each row, over one or more blocks.

    Attributes:
        shape: of the file in words, such as `Stooq`; empty where the bars did not come from a file.
        files: number of files with bars.
        found: rows in the files.
        kept: rows that became bars.
        tickers: names with bars, sorted.
        first, last: date of the earliest and latest bar.
        ignored: columns that are not read, by name.
        set_aside: rows that did not become bars, by reason.
        doubts: rows that became bars and look wrong, by what is wrong with them.
        spacing: of the bars, `daily`, `weekly` or `monthly`; empty where too few bars tell.
        days: rows on each day, session or not.
        statements: other sentences, such as how prices are adjusted, in order.
    """

    shape: str = ""
    files: int = 0
    found: int = 0
    kept: int = 0
    tickers: list[str] = field(default_factory=list)
    first: pd.Timestamp | None = None
    last: pd.Timestamp | None = None
    ignored: list[str] = field(default_factory=list)
    set_aside: dict[str, Finding] = field(default_factory=dict)
    doubts: dict[str, Finding] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    spacing: str = ""
    days: pd.Series = field(default_factory=lambda: pd.Series(dtype=np.float64))

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
        """Count rows that look wrong and are kept.

        Args:
            bars: with `ticker` and `date`, `[N]`.
            rows: bool `[N]`, which they are.
            reason: completes "rows ...".
            found: what was found in each of them, `[rows.sum()]`.
        """
        if rows.any():
            self.count(self.doubts, bars, rows, reason, "" if found is None else found[0])

    @staticmethod
    def count(findings: dict[str, Finding], bars: pd.DataFrame, rows: np.ndarray, reason: str, found: str = "") -> None:
        """Add rows (bool `[N]`) of `bars` to the finding of this reason."""
        first = bars.iloc[int(np.argmax(rows))]
        day = first["date"]
        when = f"{day:%Y-%m-%d}" if isinstance(day, pd.Timestamp) else str(day)
        text = f"{first['ticker']} {when}" + (f", {found}" if found else "")
        findings.setdefault(reason, Finding()).add(int(rows.sum()), text)

    def add_bars(self, bars: pd.DataFrame) -> None:
        """Count bars that were kept; `bars` has `ticker` and `date`, complete tickers."""
        if bars.empty:
            return
        self.kept += len(bars)
        self.tickers = sorted({*self.tickers, *bars["ticker"].unique().astype(str)})
        first, last = bars["date"].min(), bars["date"].max()
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def check(self, where: object) -> None:
        """Raise `DataError` where no bar is left.

        Args:
            where: the file or source of the bars.
        """
        if self.kept:
            return
        reasons = "".join(f" {found.rows:,} rows {reason}." for reason, found in self.set_aside.items())
        raise DataError(f"{where}: no bar is left.{reasons} Expected daily bars with prices and volume.")

    def notes(self) -> list[str]:
        """Return what a reader must know of the bars: one line for each adjustment, reason and doubt."""
        out = list(self.statements)
        if self.ignored:
            out.append(f"bars: columns not read: {', '.join(self.ignored)}")
        for reason, found in self.set_aside.items():
            out.append(f"bars: {found.rows:,} row{'s' * (found.rows > 1)} {reason} set aside (first: {found.first})")
        for reason, found in self.doubts.items():
            out.append(f"warning: {found.rows:,} row{'s' * (found.rows > 1)} {reason} (first: {found.first})")
        return out
