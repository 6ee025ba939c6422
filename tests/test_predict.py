"""Prediction from files: every row is predicted, rejected with its line, or short of history; nothing half written."""

import csv
import gzip
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from benchmarks import prediction as bench
from feature_sets import FEATURES, WEEKLY21
from onnx_files import tiny_card, tiny_model, tiny_probabilities
from ste.config import MarketSettings, SyntheticSettings
from ste.config.input_checks import check_file
from ste.config.load import compose_command
from ste.data.bar_files.bar_frame import FaultyRow
from ste.data.build.labelled_rows import build_table
from ste.data.build.prepare import prepare
from ste.data.sources.market_files import read_market
from ste.data.storage.files import write_frame
from ste.data.storage.tables import read_table
from ste.errors import DataError, SteError
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import PREDICTIONS
from ste.experiment.run import train
from ste.features.feature_rows import feature_rows
from ste.inference.batch import csv_reader as reading
from ste.inference.batch import prediction_loop as run
from ste.inference.batch.frame_reader import FrameReader
from ste.inference.batch.prediction_loop import RowCounts, predict_table, row_checker
from ste.inference.batch.row_checks import CheckedRows
from ste.inference.batch.table_reader import open_table
from ste.inference.batch.ticker_history import TickerHistory
from ste.inference.inputs import windows_of_rows
from ste.inference.onnx_model import ServedModel
from ste.predict import predict_task
from ste.schema import KEYS, Column, FeatureSet
from ste.synthetic.generator import generate_market
from ste.tracking.run_lookup import download, find_run
from ste.tracking.store import open_store

WORLD = SyntheticSettings(source="world", tickers=3, start="2022-01-01", end="2022-12-31")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A labelled weekly table, by date and ticker."""
    return build_table(WORLD)[0]


@pytest.fixture
def model(tmp_path: Path) -> ServedModel:
    """A tiny served model that reads windows of four weeks."""
    tiny_model(tmp_path / "model.onnx")
    return ServedModel(tmp_path / "model.onnx")


def predicted(model: ServedModel, path: Path, **options: Any) -> tuple[pd.DataFrame, list[dict[str, str]], RowCounts]:
    """Predictions, rejects and counts of a file."""
    output, rejects = path.parent / "out.parquet", path.parent / "rejects.csv"
    tally = predict_table(model, open_table(path), output, rejects, **options)
    with rejects.open(newline="") as file:
        return pd.read_parquet(output), list(csv.DictReader(file)), tally


# --- reading ---

CELL = st.text(st.sampled_from('ab1 ,"\né'), max_size=5)
RECORD = st.one_of(
    st.lists(CELL, min_size=3, max_size=3),
    st.lists(CELL, min_size=3, max_size=3),
    st.just([]),
    st.lists(CELL, min_size=2, max_size=2),
    st.lists(CELL, min_size=4, max_size=5),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(RECORD, max_size=40),
    end=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(64, 200),
    last=st.booleans(),
)
def test_a_row_of_a_csv_has_the_number_of_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[list[str]], end: str, block: int, last: bool
):
    monkeypatch.setattr(reading, "BLOCK", block)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows([["first", "second\nname", "third"], *records])
    written = text.getvalue() if last or not records else text.getvalue().removesuffix(end)
    path = tmp_path / "table.csv"
    path.write_bytes(written.encode())
    expected_rows, expected_broken = [], []
    parsed = csv.reader(io.StringIO(written, newline=""))
    next(parsed)
    for line, record in enumerate(parsed, start=2):
        if len(record) == 3 and any(record):
            expected_rows.append((line, *record))
        elif record and len(record) != 3:
            expected_broken.append((line, f"expected 3 fields, not {len(record)}"))
    opened = open_table(path)
    assert opened.names == ["first", "second\nname", "third"]
    chunks = [chunk for chunk, _ in opened.chunks(opened.names, 5)]
    assert all(len(chunk.line) <= 5 for chunk in chunks)
    rows = [
        row
        for chunk in chunks
        for row in zip(chunk.line, *(chunk.cells[n].to_pylist() for n in opened.names), strict=True)
    ]
    assert rows == expected_rows
    assert [(reject.line, reject.reason) for chunk in chunks for reject in chunk.rejects] == expected_broken


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as CSV .it has no rows"),
        (b"a,b,a\n1,2,3\n", "the header names a twice"),
    ],
)
def test_a_file_that_is_no_table_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
):
    monkeypatch.setattr(reading, "BLOCK", 64)
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(open_table(path).chunks(["a"], 10))


@pytest.mark.parametrize("name", ["table.csv.gz", "table.parquet"])
def test_a_truncated_file_is_reported(tmp_path: Path, table: pd.DataFrame, model: ServedModel, name: str):
    path = tmp_path / name
    write_frame(table, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="cannot be read as"):
        predicted(model, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", name]


def test_a_file_that_is_not_in_utf8_is_reported(tmp_path: Path, table: pd.DataFrame, model: ServedModel):
    path = tmp_path / "table.csv"
    write_frame(table, path)
    path.write_bytes(path.read_bytes().replace(b"GOOGL", b"Nestl\xe9", 1))
    with pytest.raises(DataError, match=r"cannot be read as CSV \(it is not in UTF-8"):
        predicted(model, path)


# --- checking ---

WRONG = {
    "date": ["", "2022-02-30", "20220107", "07/01/2022", "2022-01-07 12:00:00", "0022-01-07", "soon"],
    "ticker": ["", " "],
    "stock_open": ["", "x", "nan", "NA", "inf", "-inf", "0", "-3", "1e999", "1e39", "0x10", "1_000", "1,5", "True"],
    "stock_volume": ["-1", "many"],
    "stock_rsi": ["101", "-0.5"],
    "stock_high": ["0.0001"],
    "news_sentiment": ["1.5", "-1.01"],
    "macro_gdp_growth": ["", "--2"],
}
RIGHT = {
    "date": ["2022-03-04 00:00:00", "2022-03-04T00:00"],
    "stock_open": ["1e2", " 7 ", "+7", "7.", ".5"],
    "macro_gdp_growth": ["-3", "0", "1E-3"],
}


def one_cell(table: pd.DataFrame, path: Path, column: str, text: str) -> int:
    """A table of one ticker with one cell changed; gives its line."""
    rows = table[table["ticker"] == table["ticker"].iloc[0]].head(12).astype(object)
    rows["date"] = rows["date"].map(lambda day: f"{day:%Y-%m-%d}")
    at = list(rows["date"]).index("2022-03-04")
    rows.iloc[at, rows.columns.get_loc(column)] = text
    rows.to_csv(path, index=False)
    return at + 2


@pytest.mark.parametrize(("column", "text"), [(column, text) for column, texts in WRONG.items() for text in texts])
def test_a_bad_cell_rejects_its_row_alone(
    tmp_path: Path, table: pd.DataFrame, model: ServedModel, column: str, text: str
):
    path = tmp_path / "table.csv"
    line = one_cell(table, path, column, text)
    predictions, rejects, tally = predicted(model, path)
    assert [(reject["line"], reject["column"], reject["found"]) for reject in rejects] == [(str(line), column, text)]
    assert rejects[0]["reason"].startswith("expected ")
    assert tally == RowCounts(predicted=len(predictions), rejected=1, short=11 - len(predictions))
    assert pd.Timestamp("2022-03-04") not in set(predictions["date"])
    if column not in ("date", "ticker") and text not in ("1e39", "1_000"):  # pandas reads these
        with pytest.raises(DataError):  # training would not read it either
            read_table(path, WEEKLY21)


@pytest.mark.parametrize(("column", "text"), [(column, text) for column, texts in RIGHT.items() for text in texts])
def test_a_cell_in_another_form_is_read(
    tmp_path: Path, table: pd.DataFrame, model: ServedModel, column: str, text: str
):
    path = tmp_path / "table.csv"
    one_cell(table, path, column, text)
    predictions, rejects, _ = predicted(model, path)
    assert rejects == []
    assert len(predictions) == 9
    (chunk, _), *_ = open_table(path).chunks(row_checker(open_table(path), model.card).columns, 100)
    rows, _ = row_checker(open_table(path), model.card)(chunk)
    if column != "date":
        assert rows.values[FEATURES.index(column), 8] == float(text)


def test_a_reject_names_the_first_fault_in_table_order(tmp_path: Path, table: pd.DataFrame, model: ServedModel):
    path = tmp_path / "table.csv"
    frame = table.astype(object)
    frame.loc[4, ["stock_low", "news_count", "ticker"]] = ["x", "y", None]
    frame.to_csv(path, index=False, date_format="%Y-%m-%d")
    (reject,) = predicted(model, path)[1]
    day = f"{table['date'][4]:%Y-%m-%d}"
    assert reject["line"] == "6"
    assert reject["date"] == day
    assert (reject["column"], reject["reason"]) == ("ticker", "expected a name")


@pytest.mark.parametrize(
    "kind", ["date32", "timestamp", "text", "dictionary", "large", "float32", "decimal", "text numbers", "null"]
)
def test_parquet_of_other_types_is_read_the_same(tmp_path: Path, table: pd.DataFrame, model: ServedModel, kind: str):
    path = tmp_path / "table.parquet"
    frame = table.assign(stock_volume=table["stock_volume"].round())
    whole = pa.Table.from_pandas(frame, preserve_index=False)
    changes: dict[str, Any] = {
        "date32": ("date", lambda c: c.cast(pa.timestamp("us")).cast(pa.date32())),
        "timestamp": ("date", lambda c: c.cast(pa.timestamp("ns"))),
        "text": ("date", lambda c: c.cast(pa.timestamp("s")).cast(pa.date32()).cast(pa.string())),
        "dictionary": ("ticker", lambda c: c.cast(pa.string()).dictionary_encode()),
        "large": ("ticker", lambda c: c.cast(pa.large_string())),
        "float32": ("stock_volume", lambda c: c.cast(pa.int64())),
        "decimal": ("stock_volume", lambda c: c.cast(pa.int64()).cast(pa.decimal128(38, 2))),
        "text numbers": ("stock_volume", lambda c: c.cast(pa.string())),
        "null": ("policy_event_count", lambda c: pa.chunked_array([pa.nulls(len(c))])),
    }
    column, change = changes[kind]
    pq.write_table(whole, path)
    expected = predicted(model, path)[0]
    changed = whole.set_column(whole.schema.get_field_index(column), column, change(whole.column(column)))
    pq.write_table(changed, path)
    found, rejects, tally = predicted(model, path)
    if kind == "null":
        assert (tally.rejected, len(rejects), len(found)) == (len(table), len(table), 0)
    else:
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("date", pa.array([1]), "column date: holds int64; expected days"),
        ("date", pa.array([0], pa.timestamp("s", tz="UTC")), "without a time or zone"),
        ("ticker", pa.array([1.5]), "column ticker: holds double; expected names"),
        ("stock_rsi", pa.array([True]), "column stock_rsi: holds bool; expected numbers"),
    ],
)
def test_a_column_of_a_wrong_type_is_one_message(
    tmp_path: Path, model: ServedModel, column: str, values: Any, message: str
):
    path = tmp_path / "table.parquet"
    whole = {"date": ["2024-01-05"], "ticker": ["A"], **{name: [1.0] for name in FEATURES}, column: values}
    pq.write_table(pa.table(whole), path)
    with pytest.raises(DataError, match=message):
        predicted(model, path)


# --- history ---


def rows_of(frame: pd.DataFrame, names: list[str]) -> CheckedRows:
    values = frame[names].to_numpy(dtype=np.float64).T
    date = frame["date"].to_numpy().astype("datetime64[D]")
    return CheckedRows(np.arange(len(frame)), date, pa.array(frame["ticker"].tolist(), pa.string()), values)


@st.composite
def streams(draw_: st.DrawFn) -> tuple[pd.DataFrame, list[int]]:
    """Rows of a few tickers in some order, late and repeated ones among them, and where the chunks begin."""
    keys = draw_(st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(0, 9)), max_size=50))
    order = draw_(st.sampled_from(["any", "date", "ticker"]))
    if order != "any":
        keys = sorted(set(keys), key=lambda key: (key[1], key[0]) if order == "date" else key)
    frame = pd.DataFrame({"ticker": [k for k, _ in keys], "week": [k for _, k in keys]}, dtype=object)
    frame["date"] = pd.Timestamp("2024-01-05") + pd.to_timedelta(7 * frame["week"].astype("int64"), unit="D")
    frame["row"], frame["other"] = np.arange(len(frame)), 1.0
    cuts = sorted(draw_(st.lists(st.integers(0, len(keys)), max_size=6)))
    return frame, cuts


@settings(max_examples=150)
@given(stream=streams(), length=st.integers(1, 4))
def test_a_stream_in_chunks_gives_the_windows_of_the_whole(stream: tuple[pd.DataFrame, list[int]], length: int):
    frame, cuts = stream
    card = tiny_card(sequence_length=length, features=FeatureSet("two", (Column("row"), Column("other"))))
    newest: dict[str, int] = {}
    late, twice = [], []
    for row, ticker, week in zip(frame["row"], frame["ticker"], frame["week"], strict=True):
        if week <= newest.get(ticker, -1):
            (twice if week == newest[ticker] else late).append(row)
        newest[ticker] = max(week, newest.get(ticker, -1))
    in_order = frame[~frame["row"].isin(late + twice)]
    whole = windows_of_rows(in_order.reset_index(drop=True), card)
    history, found, windows, short, out = TickerHistory(card), [], [], [], ([], [])
    for start, stop in zip([0, *cuts], [*cuts, len(frame)], strict=True):
        ends = history.add(rows_of(frame.iloc[start:stop], card.features))
        found += (ends.rows + start).tolist()
        short += (ends.short + start).tolist()
        windows.append(ends.features(np.arange(len(ends.rows))))
        out[0].extend(ends.out_of_order + start)
        out[1].extend(ends.repeated + start)
    assert out == (late, twice)
    assert found == in_order["row"].to_numpy()[whole.rows].tolist()
    assert short == np.delete(in_order["row"].to_numpy(), whole.rows).tolist()
    np.testing.assert_array_equal(np.concatenate(windows), whole.features)


def test_memory_of_a_history_does_not_grow_with_rows():
    card = tiny_card(sequence_length=3, features=FeatureSet("two", (Column("row"), Column("other"))))
    history = TickerHistory(card)
    sizes = []
    for year in range(3):
        frame = pd.DataFrame({"ticker": "A", "date": pd.date_range(f"202{year}-01-03", periods=50, freq="7D")})
        history.add(rows_of(frame.assign(row=1.0, other=1.0), card.features))
        sizes.append(sum(value.nbytes for value in vars(history).values() if isinstance(value, np.ndarray)))
    assert len(set(sizes)) == 1


# --- the whole way ---


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.parquet"])
@pytest.mark.parametrize("order", [["date", "ticker"], ["ticker", "date"]])
@pytest.mark.parametrize("view", ["sequence", "flat"])
def test_every_row_with_history_is_predicted_in_the_files_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, name: str, order: list[str], view: str
):
    monkeypatch.setattr(run, "CHUNK", 7)
    monkeypatch.setattr(run, "BATCH", 4)
    card = tiny_model(tmp_path / "model.onnx", view=view)
    frame = table.sort_values(order, ignore_index=True)[[*reversed(FEATURES), *KEYS]]  # any order of columns
    path = tmp_path / name
    write_frame(frame, path)
    model = ServedModel(tmp_path / "model.onnx")
    seen: list[int] = []
    found, rejects, tally = predicted(model, path, advance=seen.append)
    examples = windows_of_rows(frame, card)
    probs = tiny_probabilities(card, examples.features)
    assert list(found) == ["date", "ticker", "class", "p_downtrend", "p_neutral", "p_uptrend", "model_version"]
    assert found["date"].tolist() == frame["date"].iloc[examples.rows].tolist()
    assert found["ticker"].tolist() == frame["ticker"].iloc[examples.rows].tolist()
    np.testing.assert_allclose(found.filter(like="p_"), probs, atol=2e-6)
    assert found["class"].tolist() == [card.classes[k] for k in probs.argmax(axis=1)]
    assert set(found["model_version"]) == {model.version}
    assert rejects == []
    assert tally == RowCounts(predicted=len(examples), short=len(table) - len(examples))
    assert sum(vars(tally).values()) == len(frame)
    assert seen[-1] == open_table(path).size
    assert seen == sorted(seen)


def parts_of(frame: pd.DataFrame, folder: Path) -> None:
    """The rows as parts by year, each by ticker and date."""
    folder.mkdir()
    for year, rows in frame.sort_values(["ticker", "date"]).groupby(frame["date"].dt.year):
        write_frame(rows, folder / f"{year}.parquet")


def test_a_folder_of_parts_is_predicted_as_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: ServedModel
):
    monkeypatch.setattr(run, "CHUNK", 7)
    frame = build_table(replace(WORLD, end="2023-12-31"))[0]
    frame.loc[frame.index[[150, 250]], "stock_rsi"] = -1.0
    write_frame(frame, tmp_path / "table.parquet")
    whole, whole_rejects, counted = predicted(model, tmp_path / "table.parquet")
    parts_of(frame, tmp_path / "parts")
    found, rejects, tally = predicted(model, tmp_path / "parts")
    keys = ["date", "ticker"]
    pd.testing.assert_frame_equal(*(rows.sort_values(keys, ignore_index=True) for rows in (found, whole)))
    assert tally == counted
    assert tally.rejected == 2
    first, second = rejects
    assert [reject["file"] for reject in rejects] == ["2022.parquet", "2023.parquet"]
    for reject in rejects:  # the row, from 1, within its file
        own = pd.read_parquet(tmp_path / "parts" / reject["file"]).iloc[int(reject["line"]) - 1]
        assert (own["ticker"], f"{own['date']:%Y-%m-%d}") == (reject["ticker"], reject["date"][:10])
        assert own["stock_rsi"] == -1.0
    assert {"file", *whole_rejects[0]} == set(first) == set(second)


def test_a_folder_that_is_no_table_is_reported(tmp_path: Path, table: pd.DataFrame):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"is a folder without Parquet files\. Expected the parts of one table"):
        open_table(tmp_path / "empty")
    parts_of(table, tmp_path / "empty" / "test_data")
    with pytest.raises(DataError, match=r"^input=.*Try input=.*empty/test_data\.$"):
        check_file("input", tmp_path / "empty", KEYS, parts=True)
    check_file("input", tmp_path / "empty" / "test_data", KEYS, parts=True)
    with pytest.raises(DataError, match="no such file"):
        check_file("bars", tmp_path / "empty" / "test_data", KEYS)
    parts_of(table, tmp_path / "parts")
    write_frame(table.drop(columns="stock_rsi"), tmp_path / "parts" / "2099.parquet")
    opened = open_table(tmp_path / "parts")
    with pytest.raises(DataError, match=r"2099.parquet: misses column stock_rsi, which .*2022.parquet has"):
        list(opened.chunks(["date", "ticker", "stock_rsi"], 100))


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_every_output_format_has_the_same_rows(tmp_path: Path, table: pd.DataFrame, model: ServedModel, name: str):
    path = tmp_path / "table.parquet"
    table = table.assign(ticker=table["ticker"].replace(table["ticker"].iloc[1], 'A "B", C'))
    write_frame(table, path)
    expected = predicted(model, path)[0]
    predict_table(model, open_table(path), tmp_path / name, tmp_path / "r.csv")
    found = tmp_path / name
    read = pd.read_parquet(found) if name.endswith("parquet") else pd.read_csv(found, dtype={"model_version": str})
    assert read["date"].astype(str).str[:10].tolist() == expected["date"].astype(str).str[:10].tolist()
    assert read[["ticker", "class", "model_version"]].equals(expected[["ticker", "class", "model_version"]])
    np.testing.assert_array_equal(read.filter(like="p_").astype(np.float32), expected.filter(like="p_"))
    if name == "out.csv":
        assert found.read_text().splitlines()[0] == "date,ticker,class,p_downtrend,p_neutral,p_uptrend,model_version"
    if name == "out.csv.gz":
        assert gzip.decompress(found.read_bytes()).startswith(b"date,")


def test_two_classes_have_two_probabilities(tmp_path: Path, table: pd.DataFrame):
    tiny_model(tmp_path / "model.onnx", classes=2)
    write_frame(table, tmp_path / "table.csv")
    found = predicted(ServedModel(tmp_path / "model.onnx"), tmp_path / "table.csv")[0]
    assert list(found.filter(like="p_")) == ["p_downtrend", "p_uptrend"]
    assert set(found["class"]) <= {"Downtrend", "Uptrend"}


def test_rows_that_go_back_or_come_twice_are_rejected_across_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, model: ServedModel
):
    monkeypatch.setattr(run, "CHUNK", 5)
    extra = table.iloc[[40, 10]]
    frame = pd.concat([table.iloc[:43], extra, table.iloc[43:]], ignore_index=True)
    path = tmp_path / "table.csv"
    write_frame(frame, path)
    found, rejects, tally = predicted(model, path)
    assert [(reject["line"], reject["column"]) for reject in rejects] == [("45", "date"), ("46", "date")]
    assert "one row per ticker and week" in rejects[0]["reason"]
    assert "date order" in rejects[1]["reason"]
    write_frame(table, path)
    pd.testing.assert_frame_equal(predicted(model, path)[0], found)
    assert tally.rejected == 2


def test_a_window_of_which_the_model_makes_nothing_finite_is_rejected(
    tmp_path: Path, table: pd.DataFrame, model: ServedModel
):
    answer = model.probabilities
    mute = SimpleNamespace(card=model.card, version=model.version)
    mute.probabilities = lambda x: np.where(x[:, -1:, 0] > table["stock_open"].median(), np.nan, answer(x))
    path = tmp_path / "table.parquet"
    write_frame(table, path)
    found, rejects, tally = predicted(mute, path)  # type: ignore[arg-type]
    assert tally.rejected == len(rejects) > 0
    assert np.isfinite(found.filter(like="p_")).all(axis=None)
    assert sum(vars(tally).values()) == len(table)
    first = int(rejects[0]["line"]) - 1  # of Parquet the row, from 1
    assert rejects[0]["ticker"] == table["ticker"][first]
    assert table["stock_open"][first] > table["stock_open"].median()


def test_missing_columns_are_one_message(tmp_path: Path, table: pd.DataFrame, model: ServedModel):
    path = tmp_path / "table.csv"
    write_frame(table.drop(columns=["stock_rsi", "date"]), path)
    with pytest.raises(DataError, match=r"table.csv: missing columns date, stock_rsi. Tiny reads weekly rows"):
        predicted(model, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "table.csv"]


def test_an_older_output_stays_whole_when_a_prediction_fails(tmp_path: Path, table: pd.DataFrame, model: ServedModel):
    path = tmp_path / "table.parquet"
    write_frame(table, path)
    before = predicted(model, path)[0]
    broken = SimpleNamespace(card=model.card, version=model.version, probabilities=lambda x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        predicted(broken, path)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), before)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "out.parquet", "rejects.csv", "table.parquet"]


# --- bars ---


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the daily files of a world."""
    folder, market = tmp_path_factory.mktemp("sources"), generate_market(WORLD)
    for kind in ("bars", "news", "macro", "policy"):
        getattr(market, kind).to_csv(folder / f"{kind}.csv", index=False)
    return folder


def valid_bars(path: Path) -> tuple[pd.DataFrame, list[FaultyRow]]:
    faults: list[FaultyRow] = []
    market = read_market(MarketSettings(source="market", bars=str(path)), faults.extend)
    return market.bars, faults


def test_valid_bars_are_read_and_the_others_rejected(tmp_path: Path, sources: Path):
    lines = (sources / "bars.csv").read_text().splitlines()
    good = valid_bars(sources / "bars.csv")[0]
    fields = lines[9].split(",")
    lines[4] = "x"
    lines[9] = ",".join([*fields[:2], "-1", *fields[3:]])
    lines[19] = ",".join([*lines[19].split(",")[:-1], ""])
    lines.append(lines[29])
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(lines) + "\n")
    valid, faults = valid_bars(path)
    assert sorted((fault.line, fault.column) for fault in faults) == [
        (5, ""),
        (10, "open"),
        (20, "volume"),
        (len(lines), "date"),
    ]
    assert valid.equals(good.drop(index=[3, 8, 18]).reset_index(drop=True))


@pytest.mark.parametrize("row", ["A,2024-01-05,1,2,-1,1,9", "A,x"])
def test_bars_without_a_valid_row_are_reported(tmp_path: Path, row: str):
    path = tmp_path / "bars.csv"
    path.write_text(f"ticker,date,open,high,low,close,volume\n{row}\n")
    with pytest.raises(DataError, match="no bar is left"):
        valid_bars(path)
    path.write_text("ticker,date,open,high,low,close,volume\n")
    with pytest.raises(DataError, match="has a header and no rows"):
        valid_bars(path)


def test_a_table_in_memory_is_read_as_a_file_is(tmp_path: Path, table: pd.DataFrame, model: ServedModel):
    path = tmp_path / "table.parquet"
    write_frame(table, path)
    expected = predicted(model, path)[0]
    predict_table(model, FrameReader(table, "memory"), tmp_path / "m.parquet", tmp_path / "r.csv")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "m.parquet"), expected)


# --- the command ---


def ste(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ste.predict", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def task(*arguments: str) -> None:
    """The command within this process."""
    config = compose_command("predict", [])
    for argument in arguments:  # a composition alone would take `model` for a group
        key, _, value = argument.partition("=")
        OmegaConf.update(config, key, yaml.safe_load(value))
    predict_task(config)


def test_the_command_predicts_the_newest_week_of_bars(tmp_path: Path, sources: Path):
    card = tiny_model(tmp_path / "model.onnx")
    files = [f"{kind}={sources / kind}.csv" for kind in ("bars", "news", "macro", "policy")]
    done = ste(tmp_path, "model=model.onnx", *files, "output=monday.csv", "latest=true")
    assert done.returncode == 0, done.stderr
    assert "predicted 3 rows of the newest week, rejected 0, 0 without enough history" in done.stdout
    warning = "warning This model was trained on a synthetic market: its predictions say nothing about real stocks."
    assert warning in " ".join(done.stdout.split())
    rows = feature_rows(generate_market(WORLD), "weekly", WEEKLY21)
    examples = windows_of_rows(rows, card)
    newest = examples.date == examples.date.max()
    found = pd.read_csv(tmp_path / "monday.csv", parse_dates=["date"])
    assert found["ticker"].tolist() == examples.ticker[newest].tolist()
    assert set(found["date"]) == {pd.Timestamp(examples.date.max())}
    # Bars went through a CSV, so the last digits differ.
    np.testing.assert_allclose(found.filter(like="p_"), tiny_probabilities(card, examples.features)[newest], atol=1e-5)
    assert (tmp_path / "monday.rejects.csv").read_text() == "line,ticker,date,column,found,reason\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "output=null: expected a file ending in .csv, .csv.gz, .parquet, or a folder"),
        (["output=o.csv"], "input=null: expected a table, or daily bars as bars=FILE"),
        (
            ["input=t.csv", "bars=t.csv", "output=o.csv"],
            "input=t.csv: expected a table, or daily bars as bars=FILE, one of the two",
        ),
        (["input=t.csv"], "output=null: expected a file ending in .csv, .csv.gz, .parquet"),
        (["input=t.csv", "output=t.xls"], "output=t.xls: expected a file ending in"),
        (["input=tt.csv", "output=o.csv"], "input=tt.csv: no such file. In .: t.csv"),
        (["input=t.csv", "output=t.csv"], "output=t.csv: is the file of input= too"),
        (["input=t.csv", "output=o.csv", "rejects=./t.csv"], "rejects=t.csv: is the file of input= too"),
        (["input=t.csv", "output=o.csv", "rejects=o.csv"], "rejects=o.csv: is the output too"),
        (["input=t.csv", "output=o.csv", "latest=true"], "latest=true: expected bars=FILE next to it"),
        (
            ["input=t.csv", "output=o.csv", "news=t.csv"],
            "bars=null: expected a file of daily bars as well as news, macro or policy",
        ),
        (["input=t.csv", "output=o.csv", "threads=0"], "threads=0: expected a whole number, 1 or more"),
        (["input=t.csv", "output=o.csv"], "t.csv: missing columns stock_open"),
        (["bars=t.csv", "output=o.csv"], "t.csv: no column for open, high, low, close, volume"),
        (["model=nothing.onnx", "input=t.csv", "output=o.csv"], "model=nothing.onnx: there is no such file"),
        (["model=t.csv", "input=t.csv", "output=o.csv"], "model=t.csv: not an ONNX file"),
    ],
)
def test_a_mistake_is_reported(folder: Path, arguments: list[str], message: str):
    tiny_model(folder / "model.onnx")
    (folder / "t.csv").write_text("date,ticker\n2024-01-05,A\n")
    first = [] if any(text.startswith("model=") for text in arguments) else ["model=model.onnx"]
    with pytest.raises(SteError) as raised:
        task(*first, *arguments)
    assert str(raised.value).startswith(message)
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "t.csv"}


def test_where_nothing_can_be_predicted_the_rejects_are_written(folder: Path, table: pd.DataFrame):
    tiny_model(folder / "model.onnx")
    write_frame(table.assign(stock_rsi=-1.0), folder / "t.csv")
    with pytest.raises(DataError, match=r"t.csv: no row could be predicted. A prediction needs 4 consecutive weeks"):
        task("model=model.onnx", "input=t.csv", "output=o.csv")
    assert len((folder / "o.rejects.csv").read_text().splitlines()) == len(table) + 1


@pytest.mark.parametrize("model", ["gbm", pytest.param("lstm", marks=pytest.mark.slow)])
def test_predictions_of_a_runs_own_tables_are_the_tracked_ones(small: Callable[..., Any], folder: Path, model: str):
    few = ["model.trees=20"] if model == "gbm" else []
    options, values = small(f"model={model}", *few, "data.sequence_length=3", "data.tickers=2")
    result = train(options, values, folder / "run", "test", "python -m ste.train")
    tables = prepare(options.data, Path(options.paths.data)).files.values()
    pd.concat([pd.read_csv(path) for path in tables]).to_csv("all.csv", index=False)
    task(f"model={result.run_id}", "input=all.csv", "output=out.parquet")
    client = open_store(options.tracking, Path(options.paths.output))
    found = find_run(client, str(result.run_id), options.tracking.experiment)
    tracked = Predictions.read(download(client, found, PREDICTIONS, folder))
    served = pd.read_parquet("out.parquet").set_index(["date", "ticker"])
    rows = tracked.frame.set_index(["date", "ticker"])
    names = [f"p_{name.lower()}" for name in tracked.classes]
    np.testing.assert_allclose(served.loc[rows.index, names], rows[names], atol=1e-5)
    further = served.drop(rows.index).reset_index()
    purged = further["date"] >= rows.reset_index()["date"].min()  # validation rows whose labels reach into the test
    assert purged.sum() == 2 * options.data.split.purged_periods(options.data.labels.horizon)


def test_a_mistake_on_the_command_line_ends_with_code_2(tmp_path: Path):
    done = ste(tmp_path, "model=no=thing.onnx", "input=t.csv")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    done = ste(tmp_path, "model=[a,b]", "input=t.csv", "output=o.csv")
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_stopped_prediction_leaves_nothing_that_looks_whole(tmp_path: Path, how: signal.Signals):
    tiny_model(tmp_path / "model.onnx")
    rows = next(bench.random_blocks(200_000, 500, "date"))
    pq.write_table(rows, tmp_path / "t.parquet", row_group_size=1000)
    process = subprocess.Popen(
        [sys.executable, "-m", "ste.predict", "model=model.onnx", "input=t.parquet", "output=o.parquet"], cwd=tmp_path
    )
    while process.poll() is None and not sum(path.stat().st_size for path in tmp_path.glob(".o.parquet.*")):
        time.sleep(0.002)
    process.send_signal(how)
    code = process.wait()
    assert code in ({143} if how == signal.SIGTERM else {-9})
    assert not (tmp_path / "o.parquet").exists()
    assert not (tmp_path / "o.rejects.csv").exists()
    if how == signal.SIGTERM:
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".o")]


def test_the_bench_makes_tables_that_hold(tmp_path: Path):
    for order in ("date", "ticker"):
        path = tmp_path / f"{order}.parquet"
        bench.write_table(bench.random_blocks(1000, 10, order), path)
        card = tiny_model(tmp_path / "model.onnx")
        found, rejects, tally = predicted(ServedModel(tmp_path / "model.onnx"), path)
        assert rejects == []
        assert tally == RowCounts(predicted=970, short=30)
        assert len(found) == 970
        assert list(pd.read_parquet(path)) == [*KEYS, *card.features]
