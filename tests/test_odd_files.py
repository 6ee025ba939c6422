"""Odd files of bars are read to the right numbers, or refused or stated in words; nothing is left out in silence."""

import gzip
import os
import re
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from file_shapes import FIELDS, csv, known_bars, long, one
from ste.config import MarketSettings
from ste.config.read_options import ReadOptions
from ste.data.bar_files.bar_files import open_bar_files
from ste.data.bar_files.reader_registry import open_tables
from ste.data.bar_files.sorted_parquet import sorted_parts
from ste.data.bar_files.table_shapes import shape_of
from ste.data.sources.universe import read_delistings, read_universe
from ste.errors import ConfigError, DataError
from ste.market.read_summary import ReadSummary
from ste.market.spelling import Spellings

BARS = known_bars()
LONG = long(BARS)
AAPL = long(one(BARS)).drop(columns="ticker")
NA = long(one(BARS, "NA")).drop(columns="ticker")
Write = Callable[[Path], Path]


def read(what: object, **options: Any) -> tuple[pd.DataFrame, ReadSummary]:
    summary = ReadSummary()
    settings = MarketSettings(source="market", bars=str(what), **options)
    blocks = list(open_bar_files(settings.bars, settings.read_options(), summary).blocks(1 << 30))
    return pd.concat([block.astype({"ticker": "str"}) for block in blocks], ignore_index=True), summary


def text(content: str | bytes, name: str = "bars.csv") -> Write:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def table(**columns: Any) -> Write:
    """A Parquet file of the bars with other columns."""

    def write(folder: Path) -> Path:
        cells = {name: pa.array(BARS[name]) for name in BARS} | columns
        pq.write_table(pa.table(cells), folder / "bars.parquet")
        return folder / "bars.parquet"

    return write


def thousands(mark: str) -> Write:
    return text(LONG.assign(volume=LONG["volume"].map(lambda v: f"{v:,.0f}".replace(",", mark))).to_csv(index=False))


def lakhs(value: float) -> str:
    digits = f"{value:.0f}"
    return f"{digits[:-5]},{digits[-5:-3]},{digits[-3:]}"


LINES = LONG.to_csv(index=False).splitlines()
COMMAS = long(BARS).astype(dict.fromkeys(FIELDS, object))
for _name in FIELDS[:4]:
    COMMAS[_name] = BARS[_name].map("{:.2f}".format).str.replace(".", ",")

READ: dict[str, tuple[Write, dict[str, Any]]] = {
    "separators of Unicode in a title": (text("Report\x0c\x0bx\u2028y\n" + LONG.to_csv(index=False)), {}),
    "line break in a header": (text(LONG.rename(columns={"close": "close\n(USD)"}).to_csv(index=False)), {}),
    "trailing commas in rows alone": (text(LINES[0] + "\n" + "".join(f"{line},\n" for line in LINES[1:])), {}),
    "carriage returns": (text("\r".join(LINES)), {}),
    "narrow blanks between thousands": (thousands("\u202f"), {}),
    "apostrophes between thousands": (thousands("\u2019"), {}),
    "lakhs": (text(LONG.assign(volume=BARS["volume"].map(lakhs)).to_csv(index=False)), {}),
    "dictionaries with decimal commas": (
        table(**{name: pa.array(COMMAS[name]).dictionary_encode() for name in FIELDS[:4]}),
        {},
    ),
    "bytes": (table(ticker=pa.array([name.encode() for name in BARS["ticker"]])), {}),
    "dates as date32": (table(date=pa.array(BARS["date"].dt.date)), {}),
    "stated format with a zone": (
        text(LONG.assign(date=BARS["date"].dt.strftime("%d.%m.%Y 00:00 +0100")).to_csv(index=False)),
        {"date_format": "%d.%m.%Y %H:%M %z"},
    ),
}


@pytest.mark.parametrize("case", READ)
def test_an_odd_file_is_read_to_its_numbers(tmp_path: Path, case: str):
    write, options = READ[case]
    found, _ = read(write(tmp_path), **options)
    expected = BARS.sort_values(["ticker", "date"], ignore_index=True)
    assert found["ticker"].tolist() == expected["ticker"].tolist()
    assert found["date"].tolist() == expected["date"].tolist()
    for name in FIELDS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)


REFUSED: dict[str, tuple[Write, dict[str, Any], str]] = {
    "lists": (table(close=pa.array([[1.0]] * len(BARS))), {}, "column close holds list"),
    "durations": (table(close=pa.array(np.ones(len(BARS), "timedelta64[s]"))), {}, "column close holds duration"),
    "bytes that are no text": (table(ticker=pa.array([b"\xff"] * len(BARS))), {}, "bytes that are no text"),
    "a day out of range": (
        table(date=pa.array([*BARS["date"].dt.date[1:], np.datetime64("9999-12-31").item()])),
        {},
        "found 9999-12-31; expected a day",
    ),
    "an empty ticker": (
        table(ticker=pa.array([None, *BARS["ticker"][1:]])),
        {},
        "column ticker, line 1: found an empty cell",
    ),
    "JSON": (text('\ufeff {"a": 1}'), {}, "is JSON"),
    "a table of a web page": (text("<table>\n<tr></tr></table>", "bars.xls"), {}, "is a web page"),
    "columns of blanks": (text(LONG.to_string(index=False), "bars.txt"), {}, "has one column.*separated by commas"),
    "rows with one more field": (
        text(LINES[0] + "\n" + "".join(f"{at},{line}\n" for at, line in enumerate(LINES[1:]))),
        {},
        "rows have 8 fields, its header 7 names",
    ),
    "Excel's numbers of days": (text(LONG.assign(date=45293).to_csv(index=False)), {}, "45293 looks like Excel's"),
    "no volume": (text(LONG.drop(columns="volume").to_csv(index=False)), {}, "no column for volume.*one of zeros"),
    "a query of a text file": (text(LONG.to_csv(index=False)), {"query": "bars"}, "is no database. Leave data.query"),
    "one column as two": (
        text(LONG.to_csv(index=False)),
        {"columns": {"close": "open", "open": 3}},
        "close and open are the same column",
    ),
    "a position out of range": (text(LONG.to_csv(index=False)), {"columns": {"close": 0}}, "from 1 to 7"),
    "a name that is there twice": (
        text(LONG.assign(x=1).to_csv(index=False).replace(",x\n", ",close\n")),
        {"columns": {"close": "close"}},
        "columns of this name at 6 and 8",
    ),
    "both marks": (
        text(COMMAS.assign(open=BARS["open"]).to_csv(index=False)),
        {"decimal": ","},
        re.escape(f"column open, line 2, 3, 4 and {len(BARS) - 3} more"),
    ),
    "files of years": (lambda folder: csv(AAPL, folder / "2024.csv"), {}, "is named after a year"),
    "an unknown partition": (
        lambda folder: csv(AAPL, folder / "a" / "foo=AAPL" / "part-0.csv").parents[1],
        {},
        "names the ticker",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_odd_file_is_refused_in_words(tmp_path: Path, case: str):
    write, options, message = REFUSED[case]
    with pytest.raises(DataError, match=f"(?s){message}"):
        read(write(tmp_path), **options)


@pytest.mark.parametrize("what", ["~nobody-by-this-name/bars.csv", "a" * 300, "https://example.org/bars.csv"])
def test_a_path_that_cannot_be_looked_at_is_refused(what: str):
    with pytest.raises(DataError, match=r"data.bars=.*(cannot be read|is an address)"):
        read(what)


@pytest.mark.parametrize("form", ["%Q", "%H:%M", "no directive"])
def test_a_format_that_holds_no_date_is_refused(form: str):
    with pytest.raises(ConfigError, match="date_format"):
        MarketSettings(source="market", bars="bars.csv", date_format=form)


def test_a_point_between_thousands_is_no_decimal_point(tmp_path: Path):
    volume = 12_000.0 + np.arange(len(BARS))
    path = csv(
        COMMAS.assign(volume=[f"{value:,.0f}".replace(",", ".") for value in volume]), tmp_path / "b.csv", sep=";"
    )
    expected = BARS.assign(volume=volume).sort_values(["ticker", "date"])["volume"].tolist()
    for options in ({}, {"decimal": ","}):
        assert read(path, **options)[0]["volume"].tolist() == expected


def test_an_encoding_that_shows_late_is_found(tmp_path: Path):
    days = pd.bdate_range("2000-01-03", periods=400)
    rows = [f"{name},{day:%Y-%m-%d},1,2,1,2,5" for name in ("A", "É") for day in days]
    path = text("\n".join(["ticker,date,open,high,low,close,volume", *rows]).encode("cp1252"))(tmp_path)
    assert read(path)[0]["ticker"].unique().tolist() == ["A", "É"]


def test_files_that_are_not_read_are_stated(tmp_path: Path):
    csv(AAPL, tmp_path / "AAPL.csv")
    (tmp_path / "MSFT.csv").write_text("date,open,high,low,close,volume\n")
    (tmp_path / "GOOG.data").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "broken.csv").symlink_to(tmp_path / "nothing.csv")
    notes = read(tmp_path)[1].notes()
    assert "bars: 2 files not read, by the name (first: GOOG.data)" in notes
    assert f"bars: 1 table has no rows (first: MSFT in {tmp_path}/MSFT.csv)" in notes


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    csv(AAPL, tmp_path / "AAPL.csv")
    csv(NA, tmp_path / "locked" / "NA.csv")
    scan = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"data.bars=.*cannot be read \(Permission denied\)"):
        read(tmp_path)


def test_linked_folders_are_read_once(tmp_path: Path):
    csv(AAPL, tmp_path / "bars" / "AAPL.csv")
    csv(NA, tmp_path / "more" / "NA.csv")
    (tmp_path / "bars" / "more").symlink_to(tmp_path / "more")
    (tmp_path / "bars" / "loop").symlink_to(tmp_path / "bars")
    for what in (tmp_path / "bars", f"{tmp_path}/bars/**/*.csv"):
        found, summary = read(what)
        assert (found["ticker"].unique().tolist(), summary.files) == (["AAPL", "NA"], 2)


def test_two_files_of_a_ticker_are_joined_or_both_named(tmp_path: Path):
    csv(AAPL[:20], tmp_path / "aapl_2023.csv")
    csv(AAPL[20:], tmp_path / "AAPL.csv")
    found, summary = read(tmp_path)
    assert found["close"].tolist() == one(BARS)["close"].tolist()
    assert "bars: 1 ticker is joined from several files (first: AAPL from 2 files)" in summary.notes()
    csv(AAPL[10:], tmp_path / "aapl_2023.csv")
    with pytest.raises(DataError, match=r"(?s)aapl_2023.csv: 1 fault.*line 2 of .*/AAPL.csv has it too"):
        read(tmp_path)


def test_tickers_named_like_fields_are_tickers(tmp_path: Path):
    csv(AAPL, tmp_path / "C.csv")
    assert read(tmp_path / "C.csv")[0]["ticker"].unique().tolist() == ["C"]
    csv(NA, tmp_path / "V.csv")
    assert read(tmp_path)[0]["ticker"].unique().tolist() == ["C", "V"]


def test_a_file_among_those_of_fields_is_named(tmp_path: Path):
    for name in FIELDS:
        BARS.pivot(index="date", columns="ticker", values=name).to_csv(tmp_path / f"{name}.csv")
    (tmp_path / "sectors.csv").write_text("ticker,sector\nAAPL,x\n")
    with pytest.raises(DataError, match=r"sectors.csv: is next to a file for each of open"):
        read(tmp_path)


def test_folders_name_tickers_in_any_spelling(tmp_path: Path):
    csv(AAPL, tmp_path / "Stock_Code=BRK%2FB" / "part-0.csv")
    assert read(tmp_path)[0]["ticker"].unique().tolist() == ["BRK/B"]


def test_archives_of_other_files_are_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "bars.zip", "w") as archive:
        archive.writestr("AAPL.csv.gz", gzip.compress(AAPL.to_csv(index=False).encode()))
    with pytest.raises(DataError, match=r"holds AAPL.csv.gz, which is no plain text. Unpack it"):
        read(tmp_path / "bars.zip")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path):
    path = table()(tmp_path)
    content = bytearray(path.read_bytes())
    content[60:600] = b"\xab" * 540
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bars.parquet: cannot be read"):
        read(path)


@pytest.mark.parametrize("rows", [60, 100])
def test_a_parquet_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, rows: int):
    path = tmp_path / "bars.parquet"
    BARS[:80].to_parquet(path)
    options = ReadOptions()
    (opened,) = open_tables(path, options)
    stream = sorted_parts(path, shape_of(opened, options), options, 1 << 20)
    assert stream is not None
    BARS[:rows].to_parquet(path)
    with pytest.raises(DataError, match="changed while it was read"):
        list(stream.parts())


def test_a_pipe_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "bars.csv")
    with pytest.raises(DataError, match="is no file on disk"):
        read(tmp_path / "bars.csv")


def test_a_statement_may_start_on_its_own_line(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "bars.db")) as store:
        LONG.to_sql("prices", store, index=False)
    assert len(read(tmp_path / "bars.db", query="SELECT\n* FROM prices")[0]) == len(BARS)
    with pytest.raises(DataError, match="has no such table"):
        read(tmp_path / "bars.db", query="DROP TABLE prices")


def test_a_clock_of_twelve_hours_is_read(tmp_path: Path):
    own = LONG[LONG["ticker"] == "AAPL"]
    path = csv(
        pd.concat([own.assign(time="4:00 PM", close=own["close"] + 0.01), own.assign(time="9:30 AM")]),
        tmp_path / "b.csv",
    )
    found, _ = read(path, aggregate=True)
    np.testing.assert_allclose(found["close"], own["close"] + 0.01)


@pytest.mark.parametrize("form", ["csv", "gz", "parquet", "semicolons", "day first", "capitals"])
def test_universes_and_delistings_are_read_in_any_form(tmp_path: Path, form: str):
    members = pd.DataFrame(
        {"ticker": ["AAPL", " BRK-B "], "from": ["2022-01-31", "2022-03-15"], "to": ["", "9999-12-31"]}
    )
    gone = pd.DataFrame({"ticker": ["NA"], "date": ["2023-03-15"], "return": [-0.25]})
    options = {"sep": ";", "decimal": ","} if form == "semicolons" else {}
    if form == "day first":
        members["from"], gone["date"] = ["31/01/2022", "15/03/2022"], ["15/03/2023"]
    if form == "capitals":
        members, gone = members.rename(columns=str.upper), gone.rename(columns=str.title)
    paths = [tmp_path / name for name in ("universe.csv", "delisted.csv")]
    for frame, path in zip((members, gone), paths, strict=True):
        if form == "parquet":
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False, compression="gzip" if form == "gz" else None, **options)
    spans = read_universe(str(paths[0]), ReadOptions()).spans
    assert spans["ticker"].tolist() == ["AAPL", "BRK-B"]
    assert spans["from"].dt.strftime("%Y-%m-%d").tolist() == ["2022-01-31", "2022-03-15"]
    assert spans["to"].dt.strftime("%Y-%m-%d").tolist() == ["2199-12-31"] * 2
    found = read_delistings(str(paths[1]), ReadOptions())
    assert [(t, f"{d:%Y-%m-%d}", r) for t, d, r in found.itertuples(index=False)] == [("NA", "2023-03-15", -0.25)]


def test_a_cut_line_of_a_side_file_is_refused(tmp_path: Path):
    path = text("ticker,from,to\nAAPL,2020-01-01,\nMSFT,2020\n")(tmp_path)
    with pytest.raises(DataError, match="line 3 has not one field for each of its 3 columns: MSFT,2020"):
        read_universe(str(path), ReadOptions())


def test_spellings_do_not_depend_on_the_blocks():
    names = Spellings("news", ["BRK-B", "snap", "ZZZ"])
    assert names.match(["BRK.B"]) == {"BRK-B": "BRK.B"}
    assert names.match(["SNAP"]) == {"snap": "SNAP"}
    assert names.finish(["BRK.B", "SNAP"]) == ["ZZZ"]
    assert names.statements() == ["news: BRK-B is read as BRK.B (2 tickers are spelled otherwise)"]
    names.match(["Snap"])
    with pytest.raises(DataError, match=r"data.news: the ticker snap may be SNAP"):
        names.finish(["BRK.B", "SNAP", "Snap"])


def test_a_folder_names_the_ticker_of_files_that_are_named_alike(tmp_path: Path):
    for at, ticker in enumerate(("AAPL", "MSFT")):
        (tmp_path / ticker).mkdir()
        rows = f"date,open,high,low,close,volume\n2024-01-0{at + 2},5,6,4,5,1\n"
        (tmp_path / ticker / "daily.csv").write_text(rows)
    summary = ReadSummary()
    blocks = open_bar_files(str(tmp_path), ReadOptions(), summary).blocks(9)
    assert [str(name) for block in blocks for name in block["ticker"]] == ["AAPL", "MSFT"]
