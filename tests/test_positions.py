"""Positions as a file: of a run, and of the newest predictions."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ste.config import PathSettings, PredictSettings, TrackingSettings
from ste.errors import ConfigError, DataError
from ste.evaluation.portfolio.positions import write_positions
from ste.inference.batch.next_positions import write_next_positions
from ste.market.calendar import NEW_YORK, Periods
from ste.market.sources import RAW_CLOSE, Market

PROBS = ("p_downtrend", "p_neutral", "p_uptrend")


def written(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_file_of_positions_with_sizes(tmp_path: Path):
    path = tmp_path / "positions.csv"
    weights = {"AAA": 0.25, "BBB": -0.5, "CCC": 0.5, "DDD": 0.0, "EEE": 0.1}
    prices = {"AAA": 99.0, "BBB": 33.0, "CCC": 50.0}
    # Friday before Martin Luther King's day, on which the exchange is closed.
    assert write_positions(path, weights, "2024-01-12", "next_open", NEW_YORK, prices, 100_000.0) == 1
    assert written(path) == [
        "as_of,ticker,weight,enter_on,at,price,shares",
        "2024-01-12,CCC,0.50000000,2024-01-16,open,50,1000",
        "2024-01-12,AAA,0.25000000,2024-01-16,open,99,252",
        "2024-01-12,EEE,0.10000000,2024-01-16,open,,",
        "2024-01-12,BBB,-0.50000000,2024-01-16,open,33,-1515",
    ]


@pytest.mark.parametrize(
    ("execution", "enter"), [("next_close", "2024-01-16,close"), ("same_close", "2024-01-12,close")]
)
def test_the_entry_is_that_of_the_execution(tmp_path: Path, execution: str, enter: str):
    path = tmp_path / "positions.csv"
    write_positions(path, {"AAA": 1.0}, "2024-01-12", execution, NEW_YORK)
    assert written(path) == ["as_of,ticker,weight,enter_on,at", f"2024-01-12,AAA,1.00000000,{enter}"]


@pytest.mark.parametrize("ticker", ["=1+1", "+A", "-B", "@SUM(A1)", "\tC"])
def test_no_ticker_becomes_a_formula(tmp_path: Path, ticker: str):
    path = tmp_path / "positions.csv"
    write_positions(path, {ticker: 1.0}, "2024-01-12", "next_open", NEW_YORK)
    assert pd.read_csv(path)["ticker"].tolist() == [f"'{ticker}"]


def settings_of(**named) -> PredictSettings:
    return PredictSettings(tracking=TrackingSettings(), paths=PathSettings(), **named)


def bars_of(tickers: list[str], days: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dates = NEW_YORK.sessions(pd.Timestamp("2022-06-01"), pd.Timestamp("2024-03-01"))[-days:]
    frames = []
    for ticker in tickers:
        close = 40.0 * np.exp(np.cumsum(rng.normal(0, 0.02, len(dates))))
        frames.append(pd.DataFrame({"ticker": ticker, "date": dates, "close": close, RAW_CLOSE: close * 2.0}))
    return pd.concat(frames, ignore_index=True)


CARD = SimpleNamespace(
    classes=["Downtrend", "Neutral", "Uptrend"], frequency="weekly", horizon=1, periods=Periods("weekly", NEW_YORK)
)


def predicted(folder: Path, ups: dict[str, float], last: str = "2024-03-01", ending: str = ".csv") -> str:
    dates = ["2024-02-23", last]
    rows = [(date, name, 0.6 - up, 0.4, up) for date in dates for name, up in ups.items()]
    frame = pd.DataFrame(rows, columns=["date", "ticker", *PROBS])
    frame = pd.concat([frame, frame.iloc[[0]].assign(ticker="OLD")]).sort_values(["ticker", "date"])
    path = folder / f"out{ending}"
    if ending == ".parquet":
        frame.assign(date=pd.to_datetime(frame["date"])).to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return str(path)


UPS = {"AAA": 0.5, "BBB": 0.1, "CCC": 0.3, "NA": 0.4}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_positions_follow_from_the_newest_date(tmp_path: Path, ending: str):
    output, path = predicted(tmp_path, UPS, ending=ending), tmp_path / "positions.csv"
    named = {"portfolio": "topk", "portfolio_arguments": {"k": 2}, "capital": 10_000.0}
    settings = settings_of(bars="bars.csv", output=output, positions=str(path), **named)
    bars = bars_of(list(UPS)[:3])
    text = write_next_positions(settings, CARD, Market(bars))
    assert text == "2 long, 0 short, as of 2024-03-01; 1 without a price"
    price = bars[bars["ticker"] == "AAA"][RAW_CLOSE].iloc[-1]  # as traded, not adjusted
    head, first, second = written(path)
    assert head == "as_of,ticker,weight,enter_on,at,price,shares"
    assert first == f"2024-03-01,AAA,0.50000000,2024-03-04,open,{price:.10g},{int(5_000 / price)}"
    assert second == "2024-03-01,NA,0.50000000,2024-03-04,open,,"


def test_an_optimized_portfolio_knows_the_past_of_the_bars(tmp_path: Path):
    output, path = predicted(tmp_path, UPS), tmp_path / "positions.csv"
    named = {"portfolio": "optimized", "portfolio_arguments": {"max_weight": 0.6, "max_turnover": 0.6}}
    settings = settings_of(bars="bars.csv", output=output, positions=str(path), **named)
    market = Market(bars_of(list(UPS)))
    later = market.bars.assign(date=market.bars["date"] + pd.Timedelta(days=700), close=1.0)
    write_next_positions(settings, CARD, market)
    first = path.read_bytes()
    both = pd.concat([market.bars, later]).sort_values(["ticker", "date"], ignore_index=True)
    write_next_positions(settings, CARD, Market(both))
    assert path.read_bytes() == first  # later bars are not read
    assert "AAA" in pd.read_csv(path)["ticker"].tolist()


def test_two_tickers_are_too_few(tmp_path: Path):
    settings = settings_of(input="t.csv", output=predicted(tmp_path, {"A": 0.5, "B": 0.1}), positions="p.csv")
    with pytest.raises(
        DataError, match=r"positions=p.csv: 2024-03-01 has predictions of 2 tickers. Expected 3 or more"
    ):
        write_next_positions(settings, CARD, None)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"positions": "p.xlsx"}, "positions=p.xlsx: expected a file ending in .csv"),
        ({"positions": "p.csv", "capital": 100.0}, "capital=100.0: expected positions=FILE and bars=FILE"),
        ({"positions": "p.csv", "portfolio": "optimized"}, "portfolio=optimized: expected bars=FILE next to it"),
        ({"positions": "p.csv", "portfolio": "long_shot"}, "portfolio=long_shot.*long_short"),
        ({"positions": "p.csv", "portfolio": "topk", "portfolio_arguments": {"k": 0}}, "portfolio_arguments.k=0"),
    ],
)
def test_settings_that_cannot_be_used(named: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        settings_of(input="t.csv", output="o.csv", **named)
