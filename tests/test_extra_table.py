"""The user's own columns as of each day: never earlier than known, against a slow reading by hand."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ste.market.extra_table import ExtraRows, ExtraTable, extra_table

NAMES = ["A", "B", "C"]
START = pd.Timestamp("2020-01-01")
DAYS = 24


class Row(NamedTuple):
    """A row by day numbers from `START`; `hour` 0 is a day without a time."""

    ticker: str
    date: int
    delay: int
    hour: int
    values: tuple[float | None, float | None]

    @property
    def stamp(self) -> pd.Timestamp:
        return START + pd.Timedelta(days=self.date + self.delay, hours=self.hour)

    @property
    def known(self) -> int:
        return self.date + self.delay + (self.hour > 0)


VALUE = st.none() | st.floats(-9, 9)
ROW = st.builds(
    Row, st.sampled_from(NAMES), st.integers(0, 10), st.integers(0, 9), st.integers(0, 2), st.tuples(VALUE, VALUE)
)
ROWS = st.lists(ROW, max_size=25, unique_by=lambda row: (row.ticker, row.date, row.stamp))


def table_of(rows: Sequence[Row], everywhere: bool = False) -> tuple[ExtraTable, np.ndarray]:
    days = np.array([START + pd.Timedelta(days=row.date) for row in rows], dtype="datetime64[ns]")
    known = np.array([START + pd.Timedelta(days=row.known) for row in rows], dtype="datetime64[D]")
    values = {
        name: np.array([row.values[at] for row in rows], dtype=np.float64) for at, name in enumerate(("one", "two"))
    }
    ticker = None if everywhere else np.array([row.ticker for row in rows], dtype=object)
    return extra_table(ExtraRows(ticker, days, np.array([row.stamp for row in rows], "datetime64[ns]"), known, values))


def bars() -> pd.DataFrame:
    """A bar of each ticker, and of one without values, on each day."""
    days = pd.date_range(START - pd.Timedelta(days=1), periods=DAYS)
    names = [*NAMES, "D"]
    return pd.DataFrame({"ticker": np.repeat(names, DAYS), "date": np.tile(days, len(names))})


def valid(rows: Sequence[Row], ticker: str | None, at: int, day: int) -> float:
    """The value that a reader of the file would use on a day: of the latest date, in its latest revision."""
    known = [row for row in rows if ticker in (None, row.ticker) and row.known <= day and row.values[at] is not None]
    return max(known, key=lambda row: (row.date, row.stamp)).values[at] if known else np.nan


def by_hand(rows: Sequence[Row], frame: pd.DataFrame, at: int, everywhere: bool = False) -> np.ndarray:
    days = (frame["date"] - START).dt.days
    return np.array(
        [valid(rows, None if everywhere else t, at, d) for t, d in zip(frame["ticker"], days, strict=True)], np.float64
    )


@given(ROWS, st.booleans())
def test_each_day_has_the_latest_value_known_by_then(rows: list[Row], as_category: bool):
    frame = bars().sample(frac=1.0, random_state=0)  # in any order
    tickers = frame["ticker"].astype("category") if as_category else frame["ticker"]
    table, _ = table_of(rows)
    assert table.value_columns == ("one", "two")
    for at, column in enumerate(table.value_columns):
        np.testing.assert_array_equal(table.as_of(column, tickers, frame["date"]), by_hand(rows, frame, at))


@given(st.lists(ROW, max_size=25, unique_by=lambda row: (row.date, row.stamp)))
def test_rows_without_a_ticker_hold_for_every_ticker(rows: list[Row]):
    frame = bars()
    table, _ = table_of(rows, everywhere=True)
    found = table.as_of("one", frame["ticker"], frame["date"])
    np.testing.assert_array_equal(found, by_hand(rows, frame, 0, everywhere=True))


@given(ROWS, ROWS, st.integers(0, DAYS - 2))
def test_nothing_known_later_changes_a_day(rows: list[Row], others: list[Row], day: int):
    """Law 1: rows known after a day are removed, changed or added; the day and those before it stay."""
    frame = bars()
    frame = frame[frame["date"] <= START + pd.Timedelta(days=day)]
    past = [row for row in rows if row.known <= day]
    keys = {(row.ticker, row.date, row.stamp) for row in past}
    future = [row for row in others if row.known > day and (row.ticker, row.date, row.stamp) not in keys]
    expected, removed, changed = (table_of(each)[0] for each in (rows, past, [*future, *past]))
    for column in ("one", "two"):
        value = expected.as_of(column, frame["ticker"], frame["date"])
        np.testing.assert_array_equal(removed.as_of(column, frame["ticker"], frame["date"]), value)
        np.testing.assert_array_equal(changed.as_of(column, frame["ticker"], frame["date"]), value)


@given(ROWS)
def test_outdated_rows_change_nothing_and_are_all_that_do_not(rows: list[Row]):
    frame = bars()
    table, outdated = table_of(rows)
    used, _ = table_of([row for row, is_out in zip(rows, outdated, strict=True) if not is_out])
    np.testing.assert_array_equal(
        table.as_of("two", frame["ticker"], frame["date"]), used.as_of("two", frame["ticker"], frame["date"])
    )
    for row, is_out in zip(rows, outdated, strict=True):
        newer = [
            any(o.ticker == row.ticker and o.date > row.date and o.known < row.known and o.values[at] is not None
                for o in rows)
            for at in range(2) if row.values[at] is not None
        ]  # fmt: skip
        if newer and all(newer):
            assert is_out
        if not newer:
            assert not is_out  # without a value


def test_a_late_revision_of_an_earlier_date_does_not_replace_a_later_one():
    rows = [Row("A", 0, 1, 0, (1.0, None)), Row("A", 3, 1, 0, (2.0, None)), Row("A", 0, 6, 0, (9.0, None))]
    table, outdated = table_of(rows)
    days = pd.date_range(START, periods=8)
    found = table.as_of("one", pd.Series(["A"] * 8), days)
    np.testing.assert_array_equal(found, [np.nan, 1, 1, 1, 2, 2, 2, 2])
    assert outdated.tolist() == [False, False, True]


def test_tickers_are_renamed_and_parts_joined_without_a_copy():
    table, _ = table_of([Row("A", 0, 0, 0, (1.0, 2.0)), Row("B", 0, 0, 0, (3.0, 4.0))])
    first, second = table.renamed({"A": "BRK.B"}), table.renamed({"B": "X"})
    day = [START] * 3
    names = pd.Series(["BRK.B", "X", "B"])
    np.testing.assert_array_equal(first.as_of("one", names, day), [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(first.joined(second).as_of("one", names, day), [1.0, 3.0, np.nan])
    assert first.columns is table.columns


def test_an_unknown_column_is_a_key_error():
    table, _ = table_of([Row("A", 0, 0, 0, (1.0, 2.0))])
    with pytest.raises(KeyError, match="three"):
        table.as_of("three", pd.Series(["A"]), [START])
