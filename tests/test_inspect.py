"""`python -m ste.inspect` shows what was understood of files of bars, without training."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from file_shapes import known_bars, long
from ste.config import MarketSettings
from ste.data.inspection import inspect_market


@pytest.fixture
def bars(tmp_path: Path) -> pd.DataFrame:
    """Bars of which one ticker lacks days, has days without trades and doubles once."""
    bars = known_bars()
    own = bars["ticker"] == "AAPL"
    bars.loc[bars.index[own][5:7], "volume"] = 0.0
    later = own & (bars["date"] >= bars["date"].iloc[25])
    bars.loc[later, ["open", "high", "low", "close"]] *= 2.0
    return bars.drop(index=bars.index[own][10:13]).reset_index(drop=True)


def test_the_health_of_each_ticker_is_counted(tmp_path: Path, bars: pd.DataFrame):
    long(bars).to_csv(tmp_path / "bars.csv", index=False)
    found = inspect_market(MarketSettings(source="market", bars=str(tmp_path / "bars.csv")))
    health = found.health.set_index("ticker")
    assert health["bars"].to_dict() == bars["ticker"].value_counts().to_dict()
    sessions = found.summary.sessions
    lacking = sessions - health["bars"]
    assert health["missing"].to_dict() == lacking.to_dict()
    assert health["missing"]["AAPL"] == 3
    assert health["untraded"].to_dict() == {"AAPL": 2, "BRK.B": 0, "NA": 0}
    moves = bars.groupby("ticker")["close"].apply(lambda close: np.abs(close.pct_change()).max())
    pd.testing.assert_series_equal(health["move"], moves, check_names=False)
    assert health["move"]["AAPL"] > 0.9
    assert found.coverage.sum() == len(bars)
    assert set(found.coverage) == {2, 3}


def test_the_command_prints_summary_health_and_coverage(
    tmp_path: Path, bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, call
):
    monkeypatch.chdir(tmp_path)
    long(bars).assign(remark="x").to_csv("bars.csv", index=False)
    code, out, _ = call("inspect", "data.bars=bars.csv", "tickers=1")
    assert code == 0
    assert f"bars: {len(bars)} rows of 3 tickers on" in out
    assert "bars: columns not read: remark" in out
    assert "AAPL" in out
    assert "and 2 more tickers; tickers=3 shows all" in out
    assert "tickers with bars, at most 3" in out
    assert max(map(len, out.splitlines())) <= 80
    assert not list(Path("outputs").glob("*.db"))  # nothing is tracked


def test_a_source_without_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call):
    monkeypatch.chdir(tmp_path)
    code, _, err = call("inspect", "data=world")
    assert (code, "data=world: has no files of bars. Try data=market data.bars=bars.csv" in err) == (2, True)
