"""Files with the user's own columns: formats, from when a row is known, mistakes in one message, and the summary."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ste.config import MarketSettings, SyntheticSettings
from ste.config.read_options import ReadOptions
from ste.data.build.prepare import prepare
from ste.data.sources.daily_sources import daily_sources, source_blocks
from ste.data.sources.extra_files import column_name, read_extra_file
from ste.data.sources.market_files import market_blocks, read_market
from ste.errors import DataError
from ste.market.extra_table import ExtraTable
from ste.market.sources import Market
from ste.synthetic.generator import generate_market

OPTIONS = ReadOptions()
DAYS = pd.bdate_range("2024-01-02", periods=30)
OWN = pd.DataFrame(
    {
        "ticker": np.repeat(["AAPL", "MSFT"], 30),
        "date": np.tile(DAYS, 2),
        "known_at": np.tile(DAYS, 2) + pd.Timedelta(days=2),
        "sent": np.arange(60) / 8 - 3,
        "n": np.arange(60, dtype=np.int64),
    }
)


@pytest.fixture(scope="module")
def market() -> Market:
    """Three tickers, about eleven months of sessions."""
    return generate_market(SyntheticSettings(source="world", tickers=3, start="2024-01-01", end="2024-04-30"))


def written(text: str, folder: Path, name: str = "own.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def read(text: str, folder: Path, lag: int | None = None) -> ExtraTable:
    return read_extra_file("mine", written(text, folder), lag, OPTIONS)[0]


def on(table: ExtraTable, column: str, ticker: str, *days: str) -> list[float]:
    return table.as_of(column, pd.Series([ticker] * len(days)), np.array(days, "datetime64[D]")).tolist()


# --- formats ---


def test_every_format_gives_the_same_values(tmp_path: Path):
    OWN.to_csv(tmp_path / "own.csv", index=False)
    OWN.to_csv(tmp_path / "index.csv.gz")  # with the index of the frame
    OWN.to_csv(tmp_path / "german.csv", index=False, sep=";", decimal=",")
    OWN.to_parquet(tmp_path / "own.parquet", index=False)
    OWN.astype({"ticker": "category"}).to_feather(tmp_path / "own.feather")
    renamed = OWN.rename(columns={"ticker": "Symbol", "date": "Trade Date", "known_at": "Known At"})
    renamed.to_csv(tmp_path / "renamed.tsv", index=False, sep="\t")
    with sqlite3.connect(tmp_path / "own.db") as connection:
        OWN.assign(date=OWN["date"].astype(str), known_at=OWN["known_at"].astype(str)).to_sql(
            "own", connection, index=False
        )
    days = pd.bdate_range("2023-12-20", periods=50)
    frame = pd.DataFrame({"ticker": np.repeat(["AAPL", "MSFT"], 50), "date": np.tile(days, 2)})
    files = [path for path in sorted(tmp_path.iterdir()) if path.suffix != ".db-journal"]
    assert len(files) == 7
    for path in files:
        table, reading = read_extra_file("mine", str(path), None, OPTIONS)
        assert table.value_columns == ("sent", "n")
        for column in ("sent", "n"):
            found = table.as_of(column, frame["ticker"], frame["date"])
            expected = [_latest(OWN, column, ticker, day) for ticker, day in frame.itertuples(index=False)]
            np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=path.name)
        assert len(reading.statements()) == {"index.csv.gz": 2, "renamed.tsv": 3}.get(path.name, 1)


def _latest(own: pd.DataFrame, column: str, ticker: str, day: pd.Timestamp) -> float:
    known = own[(own["ticker"] == ticker) & (own["known_at"] <= day)]
    return float(known[column].iloc[-1]) if len(known) else np.nan


@pytest.mark.parametrize(
    ("name", "column"),
    [("sent", "sent"), ("Mean Sentiment (%)", "Mean_Sentiment"), ("P/E", "P_E"), ("7d_change", "d_change"), ("12", "")],
)
def test_a_column_has_a_name_that_an_expression_can_hold(name: str, column: str):
    assert column_name(name) == column


# --- from when a row is known ---


def test_known_at_decides_and_a_time_counts_from_the_next_day(tmp_path: Path):
    text = "ticker,date,known_at,x\nA,2024-01-02,2024-01-04,1\nA,2024-01-03,2024-01-05 16:30,2\n"
    table, reading = read_extra_file("mine", written(text, tmp_path), None, OPTIONS)
    found = on(table, "x", "A", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-06")
    np.testing.assert_array_equal(found, [np.nan, 1, 1, 2])
    assert reading.statements() == [
        "extra.mine: x; known from 2024-01-04 on, by known_at",
        "extra.mine: 1 row with a time of day known from the next day on (first: A 2024-01-05 16:30)",
    ]


def test_a_time_with_a_zone_is_read_on_the_clock_of_the_exchange(tmp_path: Path):
    text = "ticker,known_at,x\nA,2024-01-05T03:30:00Z,1\nA,2024-01-09T20:00:00Z,2\n"  # 22:30 of the 4th in New York
    found = on(read(text, tmp_path), "x", "A", "2024-01-04", "2024-01-05", "2024-01-09", "2024-01-10")
    np.testing.assert_array_equal(found, [np.nan, 1, 1, 2])


@pytest.mark.parametrize(("lag", "first"), [(0, "2024-01-05"), (1, "2024-01-06"), (10, "2024-01-15")])
def test_a_lag_counts_calendar_days_from_the_date(tmp_path: Path, lag: int, first: str):
    table = read("ticker,date,x\nA,2024-01-05,1\n", tmp_path, lag)
    before = str(np.datetime64(first) - 1)
    np.testing.assert_array_equal(on(table, "x", "A", before, first), [np.nan, 1])


def test_rows_without_known_at_take_the_lag(tmp_path: Path):
    text = "date,known_at,x\n2024-01-02,2024-01-09,1\n2024-01-03,,2\n"
    table, reading = read_extra_file("mine", written(text, tmp_path), 1, OPTIONS)
    np.testing.assert_array_equal(on(table, "x", "any", "2024-01-03", "2024-01-04", "2024-01-09"), [np.nan, 2, 2])
    assert reading.statements() == [
        "extra.mine: x; known from 2024-01-04 on, by known_at, else date + 1 day (1 rows)",
        "extra.mine: 1 row not used: a later date was known before them (first: 2024-01-09)",
    ]


def test_an_empty_cell_is_no_new_value(tmp_path: Path):
    table = read("ticker,date,x,y\nA,2024-01-02,1,5\nA,2024-01-03,,6\nA,2024-01-04,3,NaN\n", tmp_path, 0)
    days = ("2024-01-02", "2024-01-03", "2024-01-04")
    assert on(table, "x", "A", *days) == [1, 1, 3]
    assert on(table, "y", "A", *days) == [5, 6, 6]


# --- mistakes ---

REFUSED = {
    "no lag": (
        "ticker,date,x\nA,2024-01-02,1\n",
        "has no column known_at: the days from which its rows are known are missing. Try data.extra_lag.mine=0 if "
        "the values are known at the close of date, or data.extra_lag.mine=1 if they are known the next day.",
    ),
    "no dates": (
        "ticker,sector\nA,3\n",
        "has no column date or known_at: the days from which its rows are known are missing. Expected one of "
        "them; give values that never change the day from which they were known.",
    ),
    "known before its date": (
        "ticker,date,known_at,x\nA,2024-01-02,2024-01-02,1\nA,2024-01-09,2024-01-08,1\n",
        "column known_at, line 3: found 2024-01-08; expected a day not before date.",
    ),
    "neither": (
        "ticker,date,known_at,x\nA,2024-01-02,2024-01-02,1\nA,2024-01-03,,1\n",
        "column known_at, line 3: found an empty cell; expected a day or a time such as 2024-11-29 16:30, or "
        "data.extra_lag.mine=DAYS for rows without one.",
    ),
    "repeated": (
        "ticker,date,known_at,x\nA,2024-01-02,2024-01-03,1\nB,2024-01-02,2024-01-03,1\nA,2024-01-02,2024-01-03,2\n",
        "column date, line 4: found 2024-01-02; expected one row per ticker, date and known_at.",
    ),
    "repeated for all tickers": (
        "known_at,x\n2024-01-02,1\n2024-01-02,2\n",
        "column known_at, line 3: found 2024-01-02; expected one row per known_at.",
    ),
    "no number": (
        "ticker,known_at,x\nA,2024-01-02,1\nA,2024-01-03,high\nA,2024-01-04,2\n",
        "column x, line 3: found high; expected a number, or an empty cell for no new value.",
    ),
    "no ticker": (
        "ticker,known_at,x\n,2024-01-02,1\n",
        "column ticker, line 2: found an empty cell; expected a name.",
    ),
    "no day": (
        "ticker,date,known_at,x\nA,2024-02-30,2024-03-01,1\nA,2024-01-02,2024-03-01,1\n",
        "column date, line 2: found 2024-02-30; expected a day such as 2024-11-29.",
    ),
    "text alone": (
        "ticker,known_at,sector\nA,2024-01-02,Tech\n",
        "no column of numbers next to ticker, known_at. Not read: sector (text). Expected at least one.",
    ),
    "one name twice": (
        "ticker,known_at,P/E,P-E\nA,2024-01-02,1,2\n",
        "two columns are called P_E in expressions. Rename P-E.",
    ),
    "two dates": (
        "ticker,date,Date,x\nA,2024-01-02,2024-01-02,1\n",
        "several columns are called date, which means date",
    ),
    "no rows": ("ticker,known_at,x\n", "has a header and no rows. Expected at least one row."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_one_message(tmp_path: Path, name: str):
    text, message = REFUSED[name]
    with pytest.raises(DataError) as caught:
        read(text, tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path / "own.csv") in str(caught.value)


def test_a_lag_without_a_date_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"data.extra_lag.mine=2: counts from the column date, which .* has not"):
        read("ticker,known_at,x\nA,2024-01-02,1\n", tmp_path, 2)


# --- in a market ---


def settings_of(market: Market, folder: Path, **files: str) -> MarketSettings:
    market.bars.to_csv(folder / "bars.csv", index=False)
    return MarketSettings(source="market", bars=str(folder / "bars.csv"), extra=files)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 900))
def test_blocks_have_what_the_whole_market_has(tmp_path_factory: pytest.TempPathFactory, seed: int, size: int):
    folder, rng = tmp_path_factory.mktemp("blocks"), np.random.default_rng(seed)
    world = SyntheticSettings(source="world", tickers=["BRK.B", "C", "D"], start="2024-01-01", end="2024-02-28")
    own = pd.DataFrame(
        {"ticker": rng.choice(["BRK-B", "c", "E"], 40), "known_at": rng.integers(0, 40, 40), "x": rng.normal(size=40)}
    )
    own = own.drop_duplicates(["ticker", "known_at"])
    own["known_at"] = (pd.Timestamp("2024-01-01") + pd.to_timedelta(own["known_at"], unit="D")).astype("datetime64[ns]")
    own.to_csv(folder / "own.csv", index=False)
    files = {"mine": str(folder / "own.csv")}
    real = settings_of(generate_market(world), folder, **files)
    world = replace(world, extra=files)
    for whole, blocks in (
        (read_market(real), list(market_blocks(real, size))),
        (daily_sources(world), list(source_blocks(world, size))),
    ):
        found = whole.extra["mine"].as_of("x", whole.bars["ticker"], whole.bars["date"])
        parts = [one.extra["mine"].as_of("x", one.bars["ticker"], one.bars["date"]) for one in blocks]
        np.testing.assert_array_equal(np.concatenate(parts), found)
        spelled = own.assign(ticker=own["ticker"].replace({"BRK-B": "BRK.B", "c": "C"})).sort_values("known_at")
        frame = whole.bars[["ticker", "date"]].astype({"ticker": "str"}).reset_index()
        joined = pd.merge_asof(
            frame.sort_values("date", kind="stable"), spelled, left_on="date", right_on="known_at", by="ticker"
        )
        np.testing.assert_array_equal(joined.sort_values("index")["x"], found)
        notes = blocks[-1].summary.notes()
        assert notes == whole.summary.notes()
        assert (
            f"extra.mine: {(own['ticker'] != 'E').sum()} of {len(own)} rows of tickers with bars; no bars of E" in notes
        )


def test_the_summary_says_what_was_understood(tmp_path: Path, market: Market):
    text = (
        "Symbol,date,known_at,x,sector,when\n"
        "AAPL,2024-01-02,2024-01-03,1,Tech,2024-01-01\n"
        "XYZ,2024-01-02,2024-01-04,,Oil,2024-01-01\n"
    )
    notes = read_market(settings_of(market, tmp_path, mine=written(text, tmp_path))).notes
    assert [note for note in notes if note.startswith("extra.")] == [
        "extra.mine: x; known from 2024-01-03 on, by known_at",
        "extra.mine: Symbol is read as ticker",
        "extra.mine: columns not read: sector (text), when (dates)",
        "extra.mine: 1 row without a value (first: XYZ 2024-01-04)",
        "extra.mine: 1 of 2 rows of tickers with bars; no bars of XYZ",
    ]


def test_a_file_for_every_ticker_counts_what_was_known_by_the_last_bar(tmp_path: Path, market: Market):
    text = "date,x\n2024-01-02,1\n2030-01-02,1\n"
    chosen = settings_of(market, tmp_path, mine=written(text, tmp_path))
    chosen = replace(chosen, extra_lag={"mine": 0})
    assert "extra.mine: 1 of 2 rows known by then" in read_market(chosen).notes


@pytest.mark.parametrize("text", ["name,known_at,x\nApple Inc,2024-01-02,1\n", "known_at,x\n2030-01-02,1\n"])
def test_a_file_that_gives_no_bar_a_value_is_a_warning(tmp_path: Path, market: Market, text: str):
    notes = read_market(settings_of(market, tmp_path, mine=written(text, tmp_path))).notes
    assert "warning: extra.mine: no row belongs to the bars, so its columns have no value" in notes


def test_two_spellings_of_one_ticker_are_refused(tmp_path: Path, market: Market):
    text = "ticker,known_at,x\nA.APL,2024-01-02,1\nA-APL,2024-01-03,1\n"
    with pytest.raises(DataError, match=r"the tickers A-APL and A\.APL both mean AAPL of the bars"):
        read_market(settings_of(market, tmp_path, mine=written(text, tmp_path)))


def test_a_changed_file_or_lag_builds_the_table_again(tmp_path: Path):
    path = written("date,x\n2020-01-02,1\n", tmp_path)
    split = {"validation_start": "2020-09-01", "test_start": "2020-11-01"}
    world = {"source": "world", "tickers": 2, "start": "2020-01-01", "end": "2020-12-31"}

    def build(lag: int = 1, file: str = path) -> tuple[bool, str]:
        from ste.config import SplitSettings

        made = prepare(
            SyntheticSettings(**world, split=SplitSettings(**split), extra={"mine": file}, extra_lag={"mine": lag}),
            tmp_path / "tables",
        )
        return made.reused, made.files["train"].parent.name

    first = build()
    assert build() == (True, first[1])
    moved = build(file=written("date,x\n2020-01-02,1\n", tmp_path, "moved.csv"))
    assert moved == (True, first[1])
    assert build(lag=2)[1] != first[1]
    written("date,x\n2020-01-02,2\n", tmp_path)
    assert not build()[0]
