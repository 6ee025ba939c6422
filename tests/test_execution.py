"""The price at which a portfolio enters: from bars to the predictions, the score and its texts."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ste.config import SyntheticSettings, TableSettings
from ste.data.build.labelled_rows import build_with_trading
from ste.data.build.prepare import prepare
from ste.data.build.trading_returns import SPREAD_BARS, estimated_spread
from ste.data.panel import Panel
from ste.errors import DataError
from ste.evaluation.portfolio.benchmark import file_returns
from ste.evaluation.portfolio.costs import trading_costs
from ste.evaluation.portfolio.execution import traded_returns
from ste.evaluation.portfolio.rules import TradingRules
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scoring import score
from ste.evaluation.verdict import judge
from ste.market.histories import history_starts
from ste.schema import RETURN, SPREAD, TRADING_COLUMNS
from ste.synthetic.generator import generate_market

WORLD = SyntheticSettings(source="world", tickers=4, start="2019-01-01", end="2020-12-31")


def horizon_of(periods: int, **changes) -> SyntheticSettings:
    return replace(WORLD, labels=replace(WORLD.labels, horizon=periods), **changes)


@pytest.mark.parametrize("frequency", ["weekly", "daily", "monthly"])
@pytest.mark.parametrize("horizon", [1, 3])
def test_returns_are_those_from_the_next_bar_to_the_bar_after_the_period(frequency: str, horizon: int):
    chosen = horizon_of(horizon, frequency=frequency)
    built = build_with_trading(chosen)
    bars, periods = built.market.bars, chosen.periods
    assert built.trading[["date", "ticker"]].equals(built.table[["date", "ticker"]])
    prices = {ticker: own.reset_index(drop=True) for ticker, own in bars.groupby("ticker", observed=True)}
    dates = {ticker: own["date"].to_numpy() for ticker, own in prices.items()}
    number = {ticker: periods.index(own["date"]) for ticker, own in prices.items()}
    rng = np.random.default_rng(0)
    chosen_rows = {
        *rng.integers(len(built.trading), size=60).tolist(),
        *range(len(built.trading) - 8, len(built.trading)),
    }
    for i in chosen_rows:
        row = built.trading.iloc[i]
        own, days, period = prices[row["ticker"]], dates[row["ticker"]], number[row["ticker"]]
        at = int(np.searchsorted(days, row["date"].to_datetime64()))
        end = int(np.flatnonzero(period == period[at] + horizon)[-1])
        assert row["return_same_close"] == pytest.approx(own["close"][end] / own["close"][at] - 1.0, abs=1e-12)
        for name in ("open", "close"):
            # After the last bar of all there is no later price: the position is worth its last close.
            left = own[name][end + 1] if end + 1 < len(own) else own["close"][end]
            assert row[f"return_next_{name}"] == pytest.approx(left / own[name][at + 1] - 1.0, abs=1e-12)
    same = built.trading["return_same_close"].to_numpy()
    assert same == pytest.approx(built.table[RETURN].to_numpy(), abs=1e-12)


def test_later_bars_than_the_exit_change_nothing():
    built = build_with_trading(WORLD)
    cut = pd.Timestamp("2020-06-30")
    market = generate_market(WORLD).until(cut)
    from ste.data.build.trading_returns import add_trading
    from ste.features.feature_rows import feature_rows

    rows = feature_rows(market, "weekly", WORLD.feature_set)
    early = add_trading(rows, market.bars, 1)
    known = early["date"] < cut - pd.Timedelta(days=21)
    both = early[known].merge(built.trading, on=["date", "ticker"], suffixes=("", "_all"))
    assert len(both) > 200
    for name in TRADING_COLUMNS:
        np.testing.assert_allclose(both[name], both[f"{name}_all"], rtol=0, atol=1e-12)


def quoted(spread: float, bars: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Bars of a price that is traded at the bid or the ask at random, many times a day."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, 0.01 / np.sqrt(390), (bars, 390))
    middle = np.log(50.0) + np.cumsum(steps.ravel()).reshape(bars, 390)
    price = np.exp(middle) * (1.0 + spread / 2 * rng.choice([-1.0, 1.0], (bars, 390)))
    named = {"open": price[:, 0], "high": price.max(axis=1), "low": price.min(axis=1), "close": price[:, -1]}
    return pd.DataFrame(named)


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.04])
def test_the_spread_of_quotes_is_recovered(spread: float):
    bars = quoted(spread)
    estimate = estimated_spread(bars, np.array([0]))
    assert np.isnan(estimate[0])
    assert estimate[SPREAD_BARS:].mean() == pytest.approx(spread, rel=0.05)
    nothing = estimated_spread(quoted(0.0), np.array([0]))[SPREAD_BARS:].mean()
    assert 0.0 < nothing < 0.0025  # the bias that the docs state


@settings(max_examples=20)
@given(st.integers(2, 90), st.integers(0, 2**16))
def test_the_spread_of_a_bar_knows_its_own_history_up_to_it(count: int, seed: int):
    bars = quoted(0.02, 100, seed)
    starts = np.array([0, 40])
    complete = estimated_spread(bars, starts)
    if count > 41:
        part = estimated_spread(bars.iloc[:count], starts)
        np.testing.assert_allclose(part, complete[:count], atol=1e-12)
    alone = estimated_spread(bars.iloc[40:].reset_index(drop=True), np.array([0]))
    np.testing.assert_allclose(alone, complete[40:], atol=1e-12)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("tables")
    return {kind: prepare(replace(WORLD, format=kind), root) for kind in ("parquet", "parts")}, root


def keys_of(panel: Panel, split: str) -> pd.DataFrame:
    frame = panel.first_rows(split, 10**6)
    return frame[["date", "ticker"]].assign(date=pd.to_datetime(frame["date"])).reset_index(drop=True)


def test_files_and_parts_hold_the_same_returns(built):
    tables, _ = built
    expected = build_with_trading(WORLD).trading
    found = {}
    for kind, prepared in tables.items():
        panel = Panel.read(prepared, replace(WORLD, format=kind))
        keys = keys_of(panel, "test").sort_values(["date", "ticker"], ignore_index=True)
        found[kind] = keys.join(panel.trading(keys)).astype({"ticker": object, "date": "datetime64[ns]"})
        merged = found[kind].merge(expected, on=["date", "ticker"], suffixes=("", "_built"))
        assert len(merged) == len(keys) > 50
        for name in TRADING_COLUMNS:
            np.testing.assert_allclose(merged[name], merged[f"{name}_built"], atol=1e-9)
        assert panel.trading(keys.assign(ticker="NONE")) is None
    pd.testing.assert_frame_equal(found["parquet"], found["parts"])


def test_built_tables_that_are_read_as_ready_ones_have_the_returns_too(built, tmp_path: Path):
    tables, _ = built
    files = {split: str(path) for split, path in tables["parquet"].files.items()}
    ready = TableSettings(source="csv", **files)
    prepared = prepare(ready, tmp_path)
    panel = Panel.read(prepared, ready)
    assert panel.trading(keys_of(panel, "test")) is not None
    copied = tmp_path / "copy"
    copied.mkdir()
    moved = {split: str(copied / f"{split}.csv") for split in files}
    for split, path in files.items():
        pd.read_parquet(path).to_csv(moved[split], index=False)
    ready = TableSettings(source="csv", **moved)
    panel = Panel.read(prepare(ready, tmp_path), ready)
    assert panel.trading(keys_of(panel, "test")) is None


def predictions(weeks: int = 40, tickers: int = 6, horizon: int = 1, **columns: np.ndarray) -> Predictions:
    rng = np.random.default_rng(0)
    dates = pd.date_range("2020-01-03", periods=weeks, freq="W-FRI")
    keys = pd.DataFrame({"date": np.repeat(dates, tickers), "ticker": [f"T{i}" for i in range(tickers)] * weeks})
    n = len(keys)
    frame = row_columns(keys, "test", rng.integers(0, 3, n), rng.normal(0, 0.03, n)).assign(**columns)
    frame[["p_downtrend", "p_neutral", "p_uptrend"]] = rng.dirichlet([2, 2, 2], n)
    for name, values in zip(("p_downtrend", "p_neutral", "p_uptrend"), (0.3, 0.3, 0.4), strict=True):
        frame[f"majority.{name}"] = values
    return Predictions(frame, ("Downtrend", "Neutral", "Uptrend"), "weekly", horizon, "model")


def with_execution(**named) -> Predictions:
    rng = np.random.default_rng(1)
    base = predictions(**named)
    n = len(base)
    moved = base.returns * 0.5 + rng.normal(0, 0.02, n)
    trading = {"return_next_open": moved, "return_next_close": moved + 0.001, "return_same_close": base.returns}
    return replace(base, frame=base.frame.assign(**trading, estimated_spread=rng.uniform(0.001, 0.004, n)))


@pytest.mark.parametrize("execution", ["next_open", "next_close", "same_close"])
def test_the_portfolio_earns_the_returns_of_its_execution(execution: str):
    full = with_execution()
    column = full.frame[f"return_{execution}"].to_numpy()
    card = score(full, resamples=20, rules=TradingRules(execution=execution))
    plain = replace(full, frame=full.frame.assign(**{"return": column}).drop(columns=list(TRADING_COLUMNS)))
    alone = score(plain, resamples=20, rules=TradingRules(execution="same_close"))
    assert card.portfolio.returns == alone.portfolio.returns
    assert card.portfolio.benchmark == alone.portfolio.benchmark
    assert card.portfolio.execution == execution
    same = score(full, resamples=20, rules=TradingRules(execution="same_close"))
    before = card.portfolio.same_close_sharpe
    expected = same.figures["portfolio_sharpe"].value
    assert before == (None if execution == "same_close" else pytest.approx(expected, rel=1e-12))
    # What is not traded stays: the information coefficients are those of the labels' own returns.
    assert card.figures["ic_mean"] == same.figures["ic_mean"]


def test_predictions_without_a_later_price_enter_at_the_same_close_and_say_so(tmp_path: Path):
    old = predictions()
    old.write(tmp_path / "old.parquet")
    read = Predictions.read(tmp_path / "old.parquet")
    card = score(read, resamples=20)
    assert card.portfolio.execution == "same_close"
    assert card.portfolio.same_close_sharpe is None
    assert card.portfolio.notes == ["next_open needs a table built from bars: positions enter at the same close"]
    sentence = next(text for text in judge(card, "model").details if "portfolio" in text)
    assert "enters and leaves at the close that the prediction is made at" in sentence
    returns, execution = traded_returns(read.frame, "next_close")
    assert (execution, returns.tolist()) == ("same_close", read.returns.tolist())


def test_the_verdict_states_the_entry_and_the_difference():
    card = score(with_execution(), resamples=20)
    sentence = next(text for text in judge(card, "model").details if "portfolio" in text)
    assert "long-short portfolio enters and leaves at the next session's open, with costs of 5 basis points" in sentence
    assert f"({card.portfolio.same_close_sharpe:.2f} at the close that the predictions are made at)" in sentence


def test_costs_by_spread_and_by_ticker(tmp_path: Path):
    full = with_execution()
    names, spread = full.frame["ticker"].to_numpy(), full.frame[SPREAD].to_numpy().copy()
    spread[3] = np.nan
    found, text = trading_costs(TradingRules(costs="spread"), names, spread)
    assert found == pytest.approx(np.where(np.isnan(spread), 0.0005, spread / 2))
    assert text == "1 rows without an estimated spread: 5 basis points instead"
    assert trading_costs(TradingRules(costs="spread"), names, None)[1].startswith("spreads are not known")
    path = tmp_path / "costs.csv"
    path.write_text("ticker,bps\nT0,1\nT1,2.5\n")
    found, text = trading_costs(TradingRules(costs=str(path)), names, None)
    assert found[:3] == pytest.approx([0.0001, 0.00025, 0.0005])
    assert text == f"4 tickers not in {path} (first: T2): 5 basis points instead"
    paid = score(full, resamples=20, rules=TradingRules(costs=str(path))).portfolio
    free = score(full, resamples=20, rules=TradingRules(cost_bps=0.0)).portfolio
    assert paid.equity[-1] < free.equity[-1]
    assert any("T2" in note for note in paid.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ticker,cost\nA,1\n", "no column bps"),
        ("ticker,bps\nA,-1\n", "bps of A is -1"),
        ("ticker,bps\nA,x\n", "bps of A is x"),
        ("ticker,bps\nA,1\nA,2\n", "A stands twice"),
    ],
)
def test_a_file_of_costs_that_cannot_be_used(tmp_path: Path, text: str, message: str):
    path = tmp_path / "costs.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        trading_costs(TradingRules(costs=str(path)), np.array(["A"]), None)


def benchmark_file(folder: Path, **columns: list) -> Path:
    path = folder / "benchmark.csv"
    days = pd.bdate_range("2020-01-02", periods=8).strftime("%Y-%m-%d")
    pd.DataFrame({"date": days, **columns}).to_csv(path, index=False)
    return path


def test_a_benchmark_enters_and_leaves_as_the_portfolio(tmp_path: Path):
    # 2 and 3 January, then 6 to 10, then 13.
    close, opened = [100, 101, 103, 102, 104, 106, 105, 110], [99, 100, 102, 103, 101, 105, 107, 108]
    starts, ends = ["2020-01-03"], np.array(["2020-01-10"], dtype="datetime64[D]")
    path = benchmark_file(tmp_path, close=close, open=opened)
    assert file_returns(path, starts, ends, "same_close") == pytest.approx([105 / 101 - 1])
    assert file_returns(path, starts, ends, "next_close") == pytest.approx([110 / 103 - 1])
    assert file_returns(path, starts, ends, "next_open") == pytest.approx([108 / 102 - 1])
    daily = [0.0, *(b / a - 1 for a, b in pairwise(close))]
    path = benchmark_file(tmp_path, **{"return": daily})
    assert file_returns(path, starts, ends, "same_close") == pytest.approx([105 / 101 - 1])
    last = np.array(["2020-01-20"], dtype="datetime64[D]")  # beyond the last day
    assert file_returns(path, starts, last, "next_close") == pytest.approx([110 / 103 - 1])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"price": [1] * 8}, "no column close or return"),
        ({"close": [1, 2, 3, 0, 5, 6, 7, 8]}, "line 5: close is 0"),
        ({"return": [0, 0, -1.5, 0, 0, 0, 0, 0]}, "line 4: return is -1.5"),
    ],
)
def test_a_benchmark_that_cannot_be_used(tmp_path: Path, columns: dict, message: str):
    path = benchmark_file(tmp_path, **columns)
    with pytest.raises(DataError, match=message):
        file_returns(path, ["2020-01-03"], np.array(["2020-01-10"], dtype="datetime64[D]"), "next_open")


def test_a_benchmark_must_cover_the_portfolio_and_gives_alpha_and_beta(tmp_path: Path):
    full = with_execution(weeks=30)
    path = benchmark_file(tmp_path, close=list(range(100, 108)))
    with pytest.raises(DataError, match=r"has dates from 2020-01-02 to 2020-01-13. Expected 2020-01-03 to 2020-07-24"):
        score(full, resamples=20, rules=TradingRules(benchmark=str(path)))
    days = pd.bdate_range("2020-01-01", "2020-08-10")
    walk = 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.01, len(days))))
    pd.DataFrame({"date": days, "close": walk}).to_csv(path, index=False)
    card = score(full, resamples=50, rules=TradingRules(benchmark=str(path), execution="same_close"))
    at = {f"{day:%Y-%m-%d}": value for day, value in zip(days, walk, strict=True)}
    weeks = [*card.portfolio.dates, "2020-07-31"]
    closed = {"2020-04-10": "2020-04-09", "2020-07-03": "2020-07-02"}  # a position is left on the week's last session
    other = np.array([at[closed.get(b, b)] / at[a] - 1 for a, b in pairwise(weeks)])
    assert card.portfolio.benchmark == pytest.approx(np.cumprod(1 + other))
    slope, intercept = np.polyfit(other, np.array(card.portfolio.returns), 1)
    beta, alpha = card.figures["portfolio_beta"], card.figures["portfolio_alpha"]
    assert (beta.value, alpha.value) == (pytest.approx(slope), pytest.approx(intercept * 52))
    assert beta.low < beta.value < beta.high


@pytest.mark.parametrize("horizon", [2, 4])
def test_positions_of_longer_horizons_do_not_overlap(horizon: int):
    card = score(with_execution(weeks=12 * horizon, horizon=horizon), resamples=20)
    dates = pd.to_datetime(card.portfolio.dates)
    assert np.diff(dates).min() == pd.Timedelta(weeks=horizon)
    assert len(dates) == 12
    assert card.portfolio.per_year == 52 / horizon


def test_two_histories_of_a_name_do_not_share_a_price():
    from ste.data.build.trading_returns import add_trading

    days = pd.to_datetime(["2020-01-03", "2020-01-10", "2020-07-03", "2020-07-10", "2020-07-13"])
    price = np.array([10.0, 11.0, 50.0, 55.0, 60.0])
    named = dict.fromkeys(("open", "high", "low", "close"), price)
    bars = pd.DataFrame({"ticker": "XYZ", "date": days, **named})
    rows = bars.iloc[:4].assign(period=[0, 1, 26, 27], period_close=price[:4])[
        ["date", "ticker", "period", "period_close"]
    ]
    found = add_trading(rows, bars, 1)
    assert history_starts(bars).tolist() == [0, 2]
    assert found["return_next_open"].tolist() == [
        pytest.approx(11 / 11 - 1),  # entered and left at the last bar of the first history
        pytest.approx(np.nan, nan_ok=True),
        pytest.approx(60 / 55 - 1),
        pytest.approx(np.nan, nan_ok=True),
    ]
