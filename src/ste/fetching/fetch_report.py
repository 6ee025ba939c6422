"""What became of each ticker or series that was fetched, and its health, in at most 80 columns."""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ste.market.calendar import TradingCalendar

_WIDTH = 80
_NAME = 16
_HEAD = ("name", "rows", "first", "last", "gaps", "splits", "")


@dataclass(frozen=True)
class FetchedItem:
    """A ticker or series that was fetched.

    Attributes:
        name: of the ticker or series.
        rows: in its file now.
        first, last: dates of its rows.
        change: what the call did to it, such as `new` or `+3 rows`.
        gaps: sessions of the exchange without a row between the first and the last; None where there are no sessions.
        splits: in the history; None where there are none to count.
        notes: what was left out, in words.
    """

    name: str
    rows: int
    first: pd.Timestamp
    last: pd.Timestamp
    change: str
    gaps: int | None = None
    splits: int | None = None
    notes: tuple[str, ...] = ()


@dataclass
class FetchReport:
    """Result of a call of `python -m ste.fetch`.

    Attributes:
        files: that were written, by kind of `schema.MARKET_COLUMNS`, and `actions`.
        items: what was fetched.
        failures: reason by ticker or series.
    """

    files: dict[str, Path]
    items: list[FetchedItem] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the report as text."""
        table = [_HEAD, *(_cells(item) for item in self.items)]
        widths = [max(len(row[column]) for row in table) for column in range(len(_HEAD))]
        out = [_aligned(row, widths) for row in table] if self.items else []
        for item in self.items:
            for note in item.notes:
                out += _wrapped(f"{item.name}: {note}")
        for name, reason in self.failures.items():
            out += _wrapped(f"failed: {name}: {reason}")
        return out


def gap_count(dates: pd.Series, calendar: TradingCalendar) -> int:
    """Return how many sessions have no row.

    Args:
        dates: datetime64 of the rows, in order.
        calendar: of the exchange.
    """
    known = calendar.sessions(dates.iloc[0], dates.iloc[-1]).to_numpy().astype("datetime64[D]")
    return int((~np.isin(known, dates.to_numpy().astype("datetime64[D]"))).sum())


def _cells(item: FetchedItem) -> tuple[str, ...]:
    gaps, splits = ("-" if count is None else f"{count:,}" for count in (item.gaps, item.splits))
    return (
        item.name[:_NAME],
        f"{item.rows:,}",
        f"{item.first:%Y-%m-%d}",
        f"{item.last:%Y-%m-%d}",
        gaps,
        splits,
        item.change,
    )


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    left = (0, 2, 3, 6)
    padded = [
        cell.ljust(width) if column in left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
