"""What a user states about files that cannot be read from their content alone."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal

from annotated_types import Predicate

from ste.config.validation import Expect, Name, Settings
from ste.schema import EXCHANGE

FIELDS = ("open", "high", "low", "close", "volume")
"""Numeric columns of a bar that a file must have."""

NAMED = ("ticker", "date", *FIELDS, "adj_close")
"""Columns that `data.columns` may name."""


def _are_known(columns: dict[str, str | int]) -> bool:
    return set(columns) <= set(NAMED)


def _is_format(text: str) -> bool:
    day = datetime(2024, 1, 31, tzinfo=UTC)
    try:
        return datetime.strptime(day.strftime(text), text).year == day.year
    except ValueError:
        return False


Columns = Annotated[
    dict[str, str | int],
    Predicate(_are_known),
    Expect(f"names or positions of {', '.join(NAMED)}", "{ticker: Symbol, close: Last}"),
]
DateFormat = Annotated[str, Predicate(_is_format), Expect("a format such as %d.%m.%Y", "%d.%m.%Y")]


@dataclass(frozen=True)
class ReadOptions:
    """How to read files.

    Attributes:
        columns: name in the file of each of `NAMED`, or its position from 1; the others are found by their names.
        date_format: of dates that are not ISO 8601, as `strftime` writes them; None finds it where it is unambiguous.
        decimal: decimal mark, `.` or `,`; None finds it where it is unambiguous.
        query: table or SELECT statement of a database.
        aggregate: whether several rows of a ticker and day become one bar.
        volume: `raw` or `adjusted` for splits, where the close is raw; None finds it from the data.
        calendar: whose exchange times with a zone are converted to; with `bars` they stay as written.
        prefix: of these settings on the command line, for messages.
    """

    columns: dict[str, str | int] = field(default_factory=dict)
    date_format: str | None = None
    decimal: Literal[".", ","] | None = None
    query: str | None = None
    aggregate: bool = False
    volume: Literal["raw", "adjusted"] | None = None
    calendar: str = EXCHANGE
    prefix: str = "data."


@dataclass(kw_only=True)
class ReadingSettings(Settings):
    """Settings of `ReadOptions`, for every command that reads bars.

    Attributes:
        columns: name in the file, or position from 1, of what is not found by its usual name: `{ticker: Sym}`.
        date_format: of dates that are not ISO 8601, as `%d.%m.%Y`; None finds it where it is unambiguous.
        decimal: decimal mark, `.` or `,`; None finds it where it is unambiguous.
        query: table or SELECT statement of a database; None is its only table.
        aggregate: whether several rows of a ticker and day become one daily bar.
        volume: `raw` or `adjusted` for splits, where the close is raw; None finds it from the volumes at the splits.
    """

    columns: Columns = field(default_factory=dict)
    date_format: DateFormat | None = None
    decimal: Literal[".", ","] | None = None
    query: Name | None = None
    aggregate: bool = False
    volume: Literal["raw", "adjusted"] | None = None

    def read_options(self) -> ReadOptions:
        """Return the options of the readers."""
        prefix = f"{self.section}." if self.section else ""
        return ReadOptions(
            columns=dict(self.columns),
            date_format=self.date_format,
            decimal=self.decimal,
            query=self.query,
            aggregate=self.aggregate,
            volume=self.volume,
            calendar=getattr(self, "calendar", EXCHANGE),
            prefix=prefix,
        )
