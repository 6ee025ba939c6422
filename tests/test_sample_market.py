"""The market of `data=sample`: what the package carries, what is read of it, and that it counts as real."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bokeh_sampledata import stocks

from feature_sets import WEEKLY21
from ste.config import MarketSettings, SampleSettings
from ste.data.build.data_card import is_synthetic
from ste.data.build.prepare import prepare
from ste.data.sources.daily_sources import daily_sources, source_blocks
from ste.data.sources.market_files import read_market
from ste.data.storage.tables import read_table
from ste.errors import DataError
from ste.market.calendar import NEW_YORK
from ste.market.sources import RAW_CLOSE, Market

TICKERS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
SPLITS = [("AAPL", "2000-06-21"), ("AAPL", "2005-02-28"), ("MSFT", "2003-02-18")]  # 2:1 each, of the public record


@pytest.fixture(scope="module")
def market() -> Market:
    return daily_sources(SampleSettings(source="sample"))


def test_every_ticker_has_each_session_of_its_span(market: Market):
    assert list(market.bars["ticker"].unique()) == TICKERS
    for _, bars in market.bars.groupby("ticker"):
        expected = NEW_YORK.sessions(bars["date"].iloc[0], bars["date"].iloc[-1])
        assert np.array_equal(bars["date"].to_numpy(dtype="datetime64[ns]"), expected.to_numpy("datetime64[ns]"))
    assert str(market.bars["date"].min().date()) == "2000-03-01"
    assert str(market.bars["date"].max().date()) == "2013-03-01"


@pytest.mark.parametrize(("ticker", "day"), SPLITS)
def test_a_split_halves_the_price_as_traded_and_is_no_return(market: Market, ticker: str, day: str):
    bars = market.bars[market.bars["ticker"] == ticker].set_index("date")
    at = bars.index.get_loc(pd.Timestamp(day))
    before, after = bars.iloc[at - 1], bars.iloc[at]
    assert after[RAW_CLOSE] / before[RAW_CLOSE] == pytest.approx(0.5, rel=0.11)
    assert abs(after["close"] / before["close"] - 1) < 0.11


def test_the_one_jump_that_remains_is_a_fall_that_happened(market: Market):
    returns = market.bars.groupby("ticker")["close"].pct_change()
    jumps = market.bars[returns.abs() > 0.3]
    assert [(row.ticker, f"{row.date:%Y-%m-%d}") for row in jumps.itertuples()] == [("AAPL", "2000-09-29")]
    assert returns[jumps.index[0]] == pytest.approx(-0.5187, abs=1e-4)  # 53.50 to 25.75 dollars
    assert any(note.startswith("warning: 1 row") and "AAPL 2000-09-29" in note for note in market.notes)
    assert any("is real" in note for note in market.notes)


def test_the_adjustment_keeps_the_shares_and_shape_of_a_day(market: Market):
    raw = stocks.data
    assert len(market.bars) == len(raw)
    factor = np.ones(len(raw))
    for ticker, day in SPLITS:  # the shares of today
        factor[((raw["ticker"] == ticker) & (raw["date"] < day)).to_numpy()] *= 2.0
    google = (raw["ticker"] == "GOOG").to_numpy()  # its issue of 2014 lies behind the data
    assert np.allclose(market.bars["volume"][~google], (raw["volume"] * factor)[~google])
    assert np.allclose(market.bars["close"], raw["adj_close"])
    assert np.allclose(market.bars["high"] / market.bars["low"], raw["high"] / raw["low"])


def test_a_file_of_the_same_bars_gives_the_same_market(market: Market, tmp_path: Path):
    stocks.data.to_csv(tmp_path / "bars.csv", index=False)
    own = read_market(MarketSettings(source="market", bars=str(tmp_path / "bars.csv"), volume="raw"))
    pd.testing.assert_frame_equal(own.bars, market.bars, check_dtype=False)
    assert [note for note in market.notes if not note.startswith("sample")] == own.notes


def test_the_notes_name_source_licence_and_span(market: Market):
    assert "of 5 tickers" in market.notes[0]
    assert "2000-03-01 to 2013-03-01" in market.notes[0]
    assert "public domain (Quandl WIKI prices)" in market.notes[1]


def test_tickers_can_be_chosen_and_a_missing_one_is_told():
    chosen = daily_sources(SampleSettings(source="sample", tickers=["MSFT", "IBM"]))
    assert set(chosen.bars["ticker"]) == {"IBM", "MSFT"}
    with pytest.raises(DataError, match=r"no bars of NVDA\. It has 5 tickers: AAPL, FB"):
        daily_sources(SampleSettings(source="sample", tickers=["NVDA"]))


@pytest.mark.parametrize("max_rows", [1, 3300, 100_000])
def test_blocks_of_any_size_hold_the_market(market: Market, tmp_path: Path, max_rows: int):
    news = pd.DataFrame({"ticker": ["MSFT", "AAPL", "TSLA"], "date": ["2001-03-05"] * 3, "sentiment": [0.1, 0.2, 0.3]})
    news["count"], news["relevance"] = 1, 0.5
    news.to_csv(tmp_path / "news.csv", index=False)
    blocks = list(source_blocks(SampleSettings(source="sample", news=str(tmp_path / "news.csv")), max_rows))
    assert len(blocks) == {1: 5, 3300: 4, 100_000: 1}[max_rows]
    together = pd.concat([block.bars.astype({"ticker": str}) for block in blocks], ignore_index=True)
    pd.testing.assert_frame_equal(together, market.bars)
    items = [
        (str(row.ticker), row.sentiment, set(block.bars["ticker"]) >= {row.ticker})
        for block in blocks
        if block.news is not None
        for row in block.news.itertuples()
    ]
    assert sorted(items) == [("AAPL", 0.2, True), ("MSFT", 0.1, True)]


def test_the_card_says_sample_and_real_and_the_split_is_the_configurations(folder: Path, call):
    assert call("generate", "data=sample", "data.folder=out")[0] == 0
    (card_path,) = Path("out").glob("data_card_*.json")
    from ste.data.build.table_folder import read_card

    card = read_card(card_path)
    assert (card["source"], card["synthetic"], is_synthetic(card)) == ("sample", False, False)
    assert card["truth"] is None
    assert card["identity"]["package"] == "bokeh_sampledata 2026.1"
    (test,) = Path("out").glob("test_data_*.csv")
    assert pd.read_csv(test)["date"].min() >= "2010-07-01"


@pytest.mark.parametrize("format", ["parquet", "parts"])
def test_every_format_holds_the_same_rows(folder: Path, format: str):
    chosen = {"tickers": ["FB", "IBM"], "start": "2009-01-01"}
    rows = {}
    for each in ("csv", format):
        prepared = prepare(SampleSettings(source="sample", format=each, **chosen), folder)
        rows[each] = {split: counts["rows"] for split, counts in prepared.card["files"].items()}
        assert sum(rows[each].values()) > 200
    assert rows["csv"] == rows[format]
    first = prepare(SampleSettings(source="sample", **chosen), folder)
    assert first.reused
    assert len(read_table(first.files["train"], WEEKLY21)) == rows["csv"]["train"]


def test_an_older_package_is_told(monkeypatch: pytest.MonkeyPatch):
    import sys
    import types

    old = types.ModuleType("bokeh_sampledata")
    old.stocks = types.SimpleNamespace(AAPL={})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bokeh_sampledata", old)
    with pytest.raises(DataError, match=r"Expected 2026\.1 or later"):
        daily_sources(SampleSettings(source="sample"))
