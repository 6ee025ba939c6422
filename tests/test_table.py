"""The weekly table's contract: what a file may hold, and what is said of a file that breaks it."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_sets import COLUMNS, WEEKLY21
from ste.data.storage.files import atomic_file, read_frame, sha256, write_frame
from ste.data.storage.tables import read_table, unread_columns
from ste.errors import DataError
from ste.schema import DIRECTION, MOVEMENT, RETURN

DATES = ("2024-11-15", "2024-11-22", "2024-11-29")
TICKERS = ("AAPL", "MSFT")


def good_table() -> pd.DataFrame:
    """Six rows that keep the contract: three weeks of two tickers."""
    n = len(DATES) * len(TICKERS)
    values = {column.name: 0.1 + 0.01 * np.arange(n) for column in WEEKLY21.columns}
    values["stock_close"] = 100.0 + np.arange(n)
    values[RETURN] = np.resize([-0.02, 0.0, 0.03], n)
    values[MOVEMENT] = values[RETURN] * values["stock_close"]
    values[DIRECTION] = np.resize([0, 1, 2], n)
    dates = pd.DatetimeIndex(np.repeat(DATES, len(TICKERS))).as_unit("ns")
    return pd.DataFrame({"date": dates, "ticker": np.resize(TICKERS, n), **values})[list(COLUMNS)]


def with_cell(row: int, column: str, value: object) -> pd.DataFrame:
    table = good_table().astype({"date": str}).astype({column: object})
    table.loc[row, column] = value
    return table


def save(table: pd.DataFrame, folder: Path, name: str = "table.csv") -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False)
    return path


def message_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_table(path, WEEKLY21)
    text = str(caught.value)
    assert str(path) in text
    assert "xpected" in text
    return text


def lines_of(folder: Path) -> list[str]:
    return save(good_table(), folder).read_text().splitlines()


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.parquet"])
def test_a_good_table_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    table = read_table(save(good_table(), tmp_path, name), WEEKLY21)
    pd.testing.assert_frame_equal(table, good_table(), rtol=1e-15)
    assert table[DIRECTION].dtype == np.int64
    assert table["date"].dtype == "datetime64[ns]"


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_columns_may_come_in_any_order(tmp_path: Path, name: str) -> None:
    table = read_table(save(good_table()[list(reversed(COLUMNS))], tmp_path, name), WEEKLY21)
    pd.testing.assert_frame_equal(table, good_table())


@pytest.mark.parametrize("column", ["date", "ticker", "stock_rsi", DIRECTION])
@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_missing_column_is_named(tmp_path: Path, name: str, column: str) -> None:
    text = message_of(save(good_table().drop(columns=column), tmp_path, name))
    assert f"missing column {column}." in text


def test_a_further_column_is_left_out(tmp_path: Path) -> None:
    path = save(good_table().assign(p_uptrend=0.5), tmp_path)
    pd.testing.assert_frame_equal(read_table(path, WEEKLY21), read_table(save(good_table(), tmp_path), WEEKLY21))
    assert unread_columns(WEEKLY21, [*COLUMNS, "p_uptrend"]) == ["p_uptrend"]


def test_a_misspelt_column_is_missing_and_its_spelling_is_named(tmp_path: Path) -> None:
    text = message_of(save(good_table().rename(columns={"macro_vix": "macro_vics"}), tmp_path))
    assert "missing column macro_vix. Is macro_vics meant as macro_vix?" in text


@pytest.mark.parametrize(
    ("row", "column", "value", "line", "expected"),
    [
        (1, "stock_close", "abc", 3, "a price above 0"),
        (4, DIRECTION, "Uptrend", 6, "a finite number"),
        (2, "macro_vix", "", 4, "a number of 0 or more"),
        (0, DIRECTION, "", 2, "a finite number"),
        (3, "date", "", 5, "a day such as 2024-11-29, without a time"),
        (5, "stock_macd", "inf", 7, "a finite number"),
        (5, "stock_macd", "-inf", 7, "a finite number"),
        (2, RETURN, "inf", 4, "a number of -1 or more"),
        (0, "stock_rsi", 100.5, 2, "a number from 0 to 100"),
        (0, "stock_volume", -1.0, 2, "a number of 0 or more"),
        (0, "news_sentiment", -1.5, 2, "a number from -1 to 1"),
        (2, DIRECTION, 3, 4, "0 (Downtrend), 1 (Neutral) or 2 (Uptrend)"),
        (2, DIRECTION, -1, 4, "0 (Downtrend), 1 (Neutral) or 2 (Uptrend)"),
        (2, DIRECTION, 1.5, 4, "0 (Downtrend), 1 (Neutral) or 2 (Uptrend)"),
        (1, "date", "2024-13-01", 3, "a day such as 2024-11-29, without a time"),
        (1, "date", "2024-11-15 16:00", 3, "a day such as 2024-11-29, without a time"),
        (1, "date", "15/11/2024", 3, "a day such as 2024-11-29, without a time"),
        (1, "ticker", "", 3, "a name"),
    ],
)
def test_a_bad_cell_is_told_by_column_line_and_value(
    tmp_path: Path, row: int, column: str, value: object, line: int, expected: str
) -> None:
    text = message_of(save(with_cell(row, column, value), tmp_path))
    assert "1 fault in the table" in text
    empty = "an empty cell" if column == "ticker" else "nan"
    found = empty if value == "" else str(value).removesuffix(".0")
    assert f"column {column}, line {line}: found {found}; expected {expected}" in text


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_numbers_are_not_taken_for_dates(tmp_path: Path, name: str) -> None:
    numbered = good_table().assign(date=good_table()["date"].dt.strftime("%Y%m%d").astype(int))
    text = message_of(save(numbered, tmp_path, name))
    assert "column date, line 2, 3, 4 and 3 more: found 20241115, 20241115, 20241122; expected a day such as" in text


def test_classes_of_a_parquet_file_are_not_rounded(tmp_path: Path) -> None:
    halves = good_table().assign(**{DIRECTION: [0.0, 1.0, 1.5, 0.0, 1.0, 2.0]})
    assert f"column {DIRECTION}, line 4: found 1.5" in message_of(save(halves, tmp_path, "table.parquet"))


def test_a_missing_value_of_a_parquet_file_is_told(tmp_path: Path) -> None:
    text = message_of(save(good_table().assign(stock_rsi=np.nan), tmp_path, "table.parquet"))
    assert "column stock_rsi, line 2, 3, 4 and 3 more" in text


def test_a_second_row_of_a_ticker_and_week_is_one_fault(tmp_path: Path) -> None:
    table = pd.concat([good_table(), good_table().iloc[[5]]])
    text = message_of(save(table, tmp_path))
    assert "1 fault in the table" in text
    assert "column date, line 8: found 2024-11-29; expected one row per ticker and week" in text


def test_dates_that_go_back_are_told_at_the_line_where_they_do(tmp_path: Path) -> None:
    text = message_of(save(good_table().iloc[[2, 3, 0, 1, 4, 5]], tmp_path))
    assert "1 fault in the table" in text
    assert "column date, line 4: found 2024-11-15; expected dates in ascending order" in text


def test_several_faults_make_one_message(tmp_path: Path) -> None:
    table = with_cell(0, "stock_rsi", 101)
    table.loc[1, "news_count"] = -1
    table.loc[2, "macro_inflation"] = np.nan
    table.loc[3, "policy_event_count"] = -1
    text = message_of(save(table, tmp_path))
    assert "4 faults in the table" in text
    assert text.count("\n  column ") == 3
    assert "and 1 more columns or checks" in text


def test_a_movement_that_contradicts_return_and_close_is_told(tmp_path: Path) -> None:
    text = message_of(save(with_cell(2, MOVEMENT, 50.0), tmp_path))
    assert f"column {MOVEMENT}, line 4: found 50; expected {RETURN} x stock_close" in text


def test_a_movement_rounded_to_cents_is_no_contradiction(tmp_path: Path) -> None:
    table = good_table()
    table[MOVEMENT] = table[MOVEMENT].round(2) + 0.004
    assert len(read_table(save(table, tmp_path), WEEKLY21)) == len(table)


def test_classes_that_contradict_returns_are_told_with_both_lines(tmp_path: Path) -> None:
    table = good_table()
    table.loc[1, RETURN] = 0.04
    table.loc[1, MOVEMENT] = 0.04 * table.loc[1, "stock_close"]
    table.loc[1, DIRECTION] = 0
    text = message_of(save(table, tmp_path))
    assert (
        f"{DIRECTION} contradicts {RETURN}: MSFT on 2024-11-15 is a Downtrend with +0.0400, "
        "AAPL on 2024-11-22 an Uptrend with +0.0300" in text
    )


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_no_file_and_a_folder_are_told_apart_from_bad_tables(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(DataError, match="no such file") as caught:
            read_table(path, WEEKLY21)
        assert str(path) in str(caught.value)


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"")
    assert "the file is empty" in message_of(path)


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.parquet"])
def test_a_table_without_rows_is_told(tmp_path: Path, name: str) -> None:
    assert "has a header and no rows" in message_of(save(good_table().iloc[:0], tmp_path, name))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n" + np.random.default_rng(0).bytes(4000), id="png"),
        pytest.param(bytes(range(256)) * 20, id="every byte"),
        pytest.param(b"\0" * 3000, id="zeros"),
        pytest.param("date;ticker\n2024-11-29;AAPL\n".encode("utf-16"), id="utf-16"),
    ],
)
def test_a_binary_file_is_not_csv(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert "Traceback" not in message_of(path)


def test_a_broken_parquet_file_is_told(tmp_path: Path) -> None:
    path = save(good_table(), tmp_path, "table.parquet")
    whole = path.read_bytes()
    for broken in (b"nope" * 100, whole[: len(whole) // 2], whole[:200] + b"\xff" * 700 + whole[900:]):
        path.write_bytes(broken)
        assert "cannot be read as Parquet" in message_of(path)


def test_a_broken_gzip_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    packed = gzip.compress("\n".join(lines_of(tmp_path)).encode(), mtime=0)
    for broken in (packed[: len(packed) // 2], packed[:300] + b"\xff" * 30 + packed[330:], b"date,ticker\n"):
        path.write_bytes(broken)
        assert "cannot be read as CSV" in message_of(path)


def test_rows_with_more_fields_than_the_header_are_told(tmp_path: Path) -> None:
    header, *rows = lines_of(tmp_path)
    path = tmp_path / "table.csv"
    path.write_text("\n".join([header, *(f"{row}," for row in rows)]))
    assert "more fields than its header" in message_of(path)
    path.write_text("\n".join([header, rows[0], f"{rows[1]},9", *rows[2:]]))
    assert "Expected 26 fields in line 3, saw 27" in message_of(path)


def test_a_row_cut_short_is_told_at_its_line(tmp_path: Path) -> None:
    lines = lines_of(tmp_path)
    path = tmp_path / "table.csv"
    path.write_text("\n".join([*lines[:3], ",".join(lines[3].split(",")[:10]), *lines[4:]]))
    assert "line 4: found nan; expected a finite number" in message_of(path)


@pytest.mark.parametrize("ticker", ["NA", "TRUE", "nan", "null", "1E5", "007"])
@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_ticker_is_a_name_whatever_it_looks_like(tmp_path: Path, name: str, ticker: str) -> None:
    table = good_table().assign(ticker=np.resize([ticker, "ZZ"], 6))
    path = tmp_path / name
    write_frame(table, path)
    assert read_table(path, WEEKLY21)["ticker"].tolist() == [ticker, "ZZ"] * 3


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_what_is_written_is_read_back_and_written_to_the_same_bytes(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(3)
    table = good_table()
    table["stock_macd"] = rng.normal(size=6) * 10.0 ** np.arange(-12, 12, 4)
    table["stock_volume"] = rng.integers(1, 10**15, 6).astype(float)
    first, second = tmp_path / f"first_{name}", tmp_path / f"second_{name}"
    write_frame(table, first)
    read = read_table(first, WEEKLY21)
    # CSV keeps ten significant digits, Parquet all of them.
    pd.testing.assert_frame_equal(read, table, rtol=1e-9 if name.endswith("csv") else 0, atol=0)
    write_frame(read, second)
    assert first.read_bytes() == second.read_bytes()
    assert sha256(first) == sha256(second)


def test_csv_numbers_are_read_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    values = np.random.default_rng(0).normal(size=200) ** 9
    path.write_text("x\n" + "\n".join(repr(float(value)) for value in values))
    np.testing.assert_array_equal(read_frame(path)["x"].to_numpy(), values)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    write_frame(good_table(), path)
    before = path.read_bytes()

    def stop_in_the_middle() -> None:
        with atomic_file(path) as partial:
            partial.write_text("date,tick")
            assert partial.parent == path.parent
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_a_frame_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    unwritable = pd.DataFrame({"x": [object(), 1.0]})
    with pytest.raises(Exception, match="Could not convert"):
        write_frame(unwritable, tmp_path / "table.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_written_file_can_be_read_by_others(tmp_path: Path) -> None:
    path, plain = tmp_path / "table.csv", tmp_path / "plain"
    write_frame(good_table(), path)
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def forms_of_a_good_table() -> dict[str, pd.DataFrame]:
    table = good_table()
    numbers = table.select_dtypes("float").columns
    return {
        "as it is": table,
        "dates as text": table.astype({"date": str}),
        "dates in seconds": table.astype({"date": "datetime64[s]"}),
        "whole numbers": table.assign(stock_volume=np.arange(1, len(table) + 1), news_count=1),
        "single precision": table.astype(dict.fromkeys(numbers, "float32")),
        "classes as floats": table.astype({DIRECTION: float}),
        "names as objects": table.astype({"ticker": object}),
        "another index": table.set_index(np.arange(10, 10 + len(table))),
    }


@pytest.mark.parametrize("form", forms_of_a_good_table())
def test_every_form_of_a_column_is_read_as_the_same_table(tmp_path: Path, form: str) -> None:
    path = tmp_path / "table.parquet"
    forms_of_a_good_table()[form].to_parquet(path)
    rtol = 1e-6 if form == "single precision" else 0
    expected = good_table()
    if form == "whole numbers":
        expected = expected.assign(stock_volume=np.arange(1.0, len(expected) + 1), news_count=1.0)
    pd.testing.assert_frame_equal(read_table(path, WEEKLY21), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize(
    ("column", "value"),
    [("stock_close", "soon"), ("news_count", None), ("date", "15.11.2024"), ("ticker", None), ("stock_rsi", True)],
)
def test_a_cell_of_another_type_is_refused(tmp_path: Path, column: str, value: object) -> None:
    text = message_of(save(good_table().astype({column: object}).assign(**{column: value}), tmp_path, "table.parquet"))
    assert f"column {column}, line 2, 3, 4 and 3 more: found {value}, {value}, {value}; expected" in text
