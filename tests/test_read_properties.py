"""Law 9 on files of bars: what happens to a row shows in the summary, in the health of a ticker or in an error."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from file_shapes import FIELDS, known_bars, long
from ste.config import MarketSettings
from ste.data.inspection import inspect_market
from ste.errors import DataError

BARS = long(known_bars()).astype(object)
PRICES = FIELDS[:4]
Change = Callable[[pd.DataFrame, int, int], pd.DataFrame]


def drop(bars: pd.DataFrame, row: int, _other: int) -> pd.DataFrame:
    return bars.drop(index=bars.index[row])


def duplicate(bars: pd.DataFrame, row: int, _other: int) -> pd.DataFrame:
    return pd.concat([bars, bars.iloc[[row]]])


def shift(bars: pd.DataFrame, row: int, other: int) -> pd.DataFrame:
    """Move a bar to another day, which may be a weekend, another bar's or one behind the last."""
    day = pd.Timestamp(bars["date"].iloc[row]) + pd.Timedelta(days=other % 90 + 1)
    return with_cell(bars, row, "date", f"{day:%Y-%m-%d}")


def rename_ticker(bars: pd.DataFrame, row: int, other: int) -> pd.DataFrame:
    return with_cell(bars, row, "ticker", ("ZZZ", "aapl", "")[other % 3])


def rename_column(bars: pd.DataFrame, _row: int, other: int) -> pd.DataFrame:
    name = bars.columns[other % len(bars.columns)]
    return bars.rename(columns={name: f"my {name} x"})


def empty(bars: pd.DataFrame, row: int, other: int) -> pd.DataFrame:
    return with_cell(bars, row, FIELDS[other % 5], "")


def garble(bars: pd.DataFrame, row: int, other: int) -> pd.DataFrame:
    return with_cell(bars, row, ("date", *FIELDS)[other % 6], "?x?")


def negate(bars: pd.DataFrame, row: int, other: int) -> pd.DataFrame:
    name = FIELDS[other % 5]
    return with_cell(bars, row, name, -float(bars[name].iloc[row]))


def hundredfold(bars: pd.DataFrame, row: int, _other: int) -> pd.DataFrame:
    """Prices in pence on one day."""
    for name in PRICES:
        bars = with_cell(bars, row, name, 100 * float(bars[name].iloc[row]))
    return bars


def swap(bars: pd.DataFrame, row: int, _other: int) -> pd.DataFrame:
    high, low = bars["high"].iloc[row], bars["low"].iloc[row]
    return with_cell(with_cell(bars, row, "high", low), row, "low", high)


def with_cell(bars: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    bars = bars.copy()
    bars.iloc[row, bars.columns.get_loc(column)] = value
    return bars


CHANGES: tuple[Change, ...] = (
    *(drop, duplicate, shift, rename_ticker, rename_column, empty, garble, negate, hundredfold, swap),
)


def seen(bars: pd.DataFrame, extra: str = "") -> object:
    """Return everything that a reader of the summary sees of these rows, or the error."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.csv"
        path.write_text(bars.to_csv(index=False) + extra)
        try:
            found = inspect_market(MarketSettings(source="market", bars=str(path)))
        except DataError as error:
            return str(error)
    summary = found.summary
    lines = [note.replace(folder, "") for note in summary.notes()]
    return lines, summary.found, summary.bars, found.health.to_dict("list"), found.coverage.tolist()


UNCHANGED = seen(BARS)


@settings(max_examples=50, deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    row=st.integers(0, len(BARS) - 1),
    other=st.integers(0, 1000),
)
def test_every_change_of_a_row_is_seen(change: Change, row: int, other: int):
    assert seen(change(BARS, row, other)) != UNCHANGED


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.integers(0, len(BARS) - 1), min_size=1, max_size=9, unique=True))
def test_every_row_without_a_value_is_counted(rows: list[int]):
    bars = BARS
    for row in rows:
        bars = with_cell(bars, row, FIELDS[row % 5], "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.csv"
        bars.to_csv(path, index=False)
        summary = inspect_market(MarketSettings(source="market", bars=str(path))).summary
    assert summary.set_aside["without a price or volume"].rows == len(rows)
    assert (summary.found, summary.bars) == (len(BARS), len(BARS) - len(rows))


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(len(BARS))))
def test_the_order_of_the_rows_changes_nothing(order: list[int]):
    assert seen(BARS.iloc[order]) == UNCHANGED


def test_tickers_that_differ_in_spelling_alone_are_named():
    lines = seen(rename_ticker(BARS, 0, 1))[0]  # type: ignore[index]
    assert "bars: AAPL and aapl differ in spelling alone and are two tickers" in lines


def test_a_line_that_is_cut_is_counted():
    assert isinstance(seen(BARS, "AAPL,2024-03-01,1"), tuple)
    assert any("1 row that hold no bar" in line for line in seen(BARS, "AAPL,2024-03-01,1")[0])  # type: ignore[index]
