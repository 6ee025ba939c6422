"""Daily rows: price features by their definitions, sessions as periods, two classes with a band between them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from feature_sets import FEATURES, PRICES11, WEEKLY21
from runs import compose_values
from ste.config import LabelSettings, MarketSettings, SplitSettings, TrainSettings
from ste.config.load import load_settings
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import HISTORY, Panel
from ste.data.sources.market_files import read_market
from ste.data.storage.tables import read_table
from ste.errors import DataError
from ste.experiment.run import train
from ste.experiment.train_result import TrainResult
from ste.features.feature_rows import feature_rows
from ste.market.calendar import Periods, TradingCalendar
from ste.market.sources import RAW_CLOSE, Market
from ste.schema import DIRECTION, RETURN, ROW_CLOSE, ROW_PERIOD, ROW_VOLATILITY, FeatureSet, Trend

PRICES = PRICES11.names
DAYS = TradingCalendar().sessions(pd.Timestamp("2018-01-02"), pd.Timestamp("2019-06-28"))
DIVIDEND = 40  # the session on which every ticker trades without its dividend


def daily_bars(tickers: str = "ABC", seed: int = 0, days: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    """Bars as traded, with `adj_close` below the close before the dividend."""
    parts = []
    for i, ticker in enumerate(tickers):
        rng = np.random.default_rng([seed, i])
        close = 50.0 * np.exp(np.cumsum(0.012 * rng.normal(size=len(days))))
        start = close * np.exp(0.005 * rng.normal(size=len(days)))
        bars = pd.DataFrame({"ticker": ticker, "date": days, "open": start, "close": close})
        bars["high"] = np.maximum(start, close) * (1.0 + 0.005 * rng.random(len(days)))
        bars["low"] = np.minimum(start, close) * (1.0 - 0.005 * rng.random(len(days)))
        bars["volume"] = np.round(1e6 * rng.random(len(days)))
        bars["adj_close"] = close * np.where(np.arange(len(days)) < DIVIDEND, 0.98, 1.0)
        parts.append(bars)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return daily_bars()


@pytest.fixture(scope="module")
def bars_file(raw: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("daily") / "bars.parquet"
    raw.to_parquet(path)
    return path


@pytest.fixture(scope="module")
def market(bars_file: Path) -> Market:
    return Market(bars=read_market(MarketSettings(source="market", bars=str(bars_file))).bars)


def settings_of(bars_file: Path, **changes: object) -> MarketSettings:
    values: dict[str, object] = {
        "source": "market",
        "frequency": "daily",
        "features": "prices11",
        "representation": "standard",
        "labels": LabelSettings(threshold=0.0055, lower=-0.005, classes=2),
        "split": SplitSettings(validation_start="2018-12-03", test_start="2019-03-01"),
        "format": "parquet",
        "sequence_length": 5,
        "bars": str(bars_file),
    }
    return MarketSettings(**(values | changes))  # type: ignore[arg-type]


# --- features ---


@pytest.mark.parametrize("day", [30, DIVIDEND - 1, DIVIDEND, DIVIDEND + 10, 200])
def test_price_features_are_those_of_the_table(raw: pd.DataFrame, market: Market, day: int):
    """Feng et al. (IJCAI 2019), table 1."""
    rows = feature_rows(market, "daily", PRICES11)
    for ticker in "AC":
        own = raw[raw["ticker"] == ticker].reset_index(drop=True)
        row = rows[(rows["ticker"] == ticker) & (rows["date"] == DAYS[day])].iloc[0]
        today, before = own.iloc[day], own.iloc[day - 1]
        assert row["price_open"] == pytest.approx(today["open"] / today["close"] - 1, abs=1e-12)
        assert row["price_high"] == pytest.approx(today["high"] / today["close"] - 1, abs=1e-12)
        assert row["price_low"] == pytest.approx(today["low"] / today["close"] - 1, abs=1e-12)
        assert row["price_change"] == pytest.approx(today["close"] / before["close"] - 1, abs=1e-12)
        assert row["price_adjusted_change"] == pytest.approx(today["adj_close"] / before["adj_close"] - 1, abs=1e-12)
        for n in (5, 10, 15, 20, 25, 30):
            mean = own["adj_close"].iloc[day - n + 1 : day + 1].mean()
            assert row[f"price_mean_{n}"] == pytest.approx(mean / today["adj_close"] - 1, abs=1e-10), n
        apart = abs(row["price_change"] - row["price_adjusted_change"])
        assert (apart > 0.015) == (day == DIVIDEND)
        returns = np.diff(np.log(own["adj_close"].iloc[day - 20 : day + 1]))
        assert row[ROW_VOLATILITY] == pytest.approx(np.std(returns), rel=1e-6)
        assert row[ROW_CLOSE] == pytest.approx(today["adj_close"])


def test_bars_that_are_not_adjusted_tell_one_change(market: Market):
    rows = feature_rows(Market(bars=market.bars.drop(columns=RAW_CLOSE)), "daily", PRICES11)
    assert rows["price_change"].equals(rows["price_adjusted_change"])


@pytest.mark.parametrize(("features", "lookback"), [(PRICES11, 31), (WEEKLY21, 100)])
def test_a_daily_row_exists_for_each_session_after_the_look_back(market: Market, features: FeatureSet, lookback: int):
    rows = feature_rows(market, "daily", features)
    assert list(rows.columns[2:-5]) == list(features.names)
    for _, own in rows.groupby("ticker"):
        assert own["date"].tolist() == DAYS[lookback - 1 :].tolist()
        assert (np.diff(own[ROW_PERIOD]) == 1).all()
    assert np.isfinite(rows[list(features.names)].to_numpy()).all()


def test_full_daily_features_are_the_sessions_own(market: Market):
    rows = feature_rows(market, "daily", WEEKLY21).set_index(["ticker", "date"])
    bars = market.bars.set_index(["ticker", "date"])
    weekly = feature_rows(market, "weekly", WEEKLY21).set_index(["ticker", "date"])
    both = rows.loc[weekly.index]
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(rows[f"stock_{name}"], bars.loc[rows.index, name])
    # What looks back over sessions is the same in a weekly row; what sums up a period is not.
    for name in ("stock_close", "stock_sma_20", "stock_sma_50", "stock_rsi", "stock_macd", "stock_bb_upper"):
        np.testing.assert_allclose(both[name], weekly[name], rtol=1e-9)
    assert (weekly["stock_volume"] > both["stock_volume"]).mean() > 0.95
    np.testing.assert_allclose(weekly[ROW_VOLATILITY], both[ROW_VOLATILITY] * np.sqrt(5.0))


@pytest.mark.parametrize("features", [PRICES11, WEEKLY21])
@pytest.mark.parametrize("cut", [120, 200, 333])
def test_daily_features_know_nothing_of_later_bars(market: Market, features: FeatureSet, cut: int):
    last = DAYS[cut]
    before = feature_rows(market, "daily", features)
    cut_off = market.bars[market.bars["date"] <= last].reset_index(drop=True)
    other = market.bars.copy()
    other.loc[other["date"] > last, ["open", "high", "low", "close", RAW_CLOSE, "volume"]] *= 1.7
    known = before[before["date"] <= last].reset_index(drop=True)
    assert len(known) > 0
    for bars in (cut_off, other):
        after = feature_rows(Market(bars=bars), "daily", features)
        after = after[after["date"] <= last].reset_index(drop=True)
        pd.testing.assert_frame_equal(after, known, check_exact=True)
    # A row does know its own close.
    today = market.bars.copy()
    today.loc[today["date"] == last, ["close", RAW_CLOSE]] *= 1.001
    changed = feature_rows(Market(bars=today), "daily", features)
    assert not changed[changed["date"] == last].equals(before[before["date"] == last])


def test_daily_news_counts_for_the_first_session_that_knows_it(market: Market):
    news = pd.DataFrame(
        {
            "ticker": "A",
            "date": pd.to_datetime(["2018-07-03", "2018-07-04", "2018-07-07", "2018-07-09"]),
            "count": [1, 2, 4, 8],
            "sentiment": [0.5, 0.5, -0.5, 0.5],
            "relevance": 0.5,
        }
    )
    policy = pd.DataFrame({"date": pd.to_datetime(["2018-07-04", "2018-07-05"]), "impact": [1.0, 2.0]})
    rows = feature_rows(Market(bars=market.bars, news=news, policy=policy), "daily", WEEKLY21)
    own = rows[rows["ticker"] == "A"].set_index("date")
    found = own.loc["2018-07-02":"2018-07-10", "news_count"]
    # The 4th is a holiday, the 7th a Saturday.
    assert found.to_dict() == {
        pd.Timestamp(day): n
        for day, n in {
            "2018-07-02": 0.0, "2018-07-03": 1.0, "2018-07-05": 2.0, "2018-07-06": 0.0, "2018-07-09": 12.0,
            "2018-07-10": 0.0,
        }.items()
    }  # fmt: skip
    assert own.loc["2018-07-09", "news_sentiment"] == pytest.approx((8 * 0.5 - 4 * 0.5) / 12)
    assert own.loc["2018-07-05", ["policy_event_count", "policy_impact_score"]].tolist() == [2.0, 3.0]
    assert rows.loc[rows["ticker"] == "B", "news_count"].sum() == 0.0


# --- periods ---


def test_sessions_are_numbered_without_holes_from_one_fixed_day():
    numbers = TradingCalendar().session_numbers(DAYS)
    assert (np.diff(numbers) == 1).all()
    some = DAYS[[3, 50, 60]]
    assert TradingCalendar().session_numbers(some).tolist() == numbers[[3, 50, 60]].tolist()  # whatever else is asked
    early = TradingCalendar().sessions(pd.Timestamp("1985-06-03"), pd.Timestamp("1990-01-10"))
    assert (np.diff(TradingCalendar().session_numbers(early)) == 1).all()
    assert TradingCalendar().session_numbers(early)[early == "1990-01-02"].tolist() == [0]
    assert TradingCalendar().session_numbers(pd.DatetimeIndex(["1990-01-02"])).tolist() == [0]
    sunday, friday = TradingCalendar().session_numbers(pd.DatetimeIndex(["2018-07-08", "2018-07-06"]))
    assert sunday == friday
    assert Periods("daily").index(DAYS).tolist() == numbers.tolist()
    assert TradingCalendar().session_numbers(pd.DatetimeIndex([])).shape == (0,)


def test_a_holiday_is_no_gap_and_a_missing_session_is(raw: pd.DataFrame, tmp_path: Path):
    missing = pd.Timestamp("2019-04-25")
    thin = raw[~((raw["ticker"] == "B") & (raw["date"] == missing))]
    thin.to_parquet(tmp_path / "bars.parquet")
    chosen = settings_of(tmp_path / "bars.parquet")
    panel = Panel.read(prepare(chosen, tmp_path), chosen)
    frame = panel.store.frame.assign(history=panel.store.history.numpy())
    by_day = {ticker: own.set_index("date")["history"] for ticker, own in frame.groupby("ticker")}
    # Good Friday, 19 April 2019, was no session.
    assert by_day["A"].diff().loc["2019-04-22"] == 1
    assert by_day["A"].loc["2019-04-26"] == by_day["A"].loc["2019-04-25"] + 1
    assert missing not in by_day["B"].index
    assert by_day["B"].loc["2019-04-26"] == 1
    assert pd.Timestamp("2019-04-24") not in by_day["B"].index  # its next session has no close: no label
    ends = TrendDataModule(panel, "sequence").datasets["test"].frame
    late = ends[(ends["ticker"] == "B") & (ends["date"] >= missing)]["date"].min()
    assert late >= pd.Timestamp("2019-05-02")  # the fifth session after


# --- labels ---


@pytest.fixture(scope="module")
def panel(bars_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    chosen = settings_of(bars_file)
    return Panel.read(prepare(chosen, tmp_path_factory.mktemp("tables")), chosen)


def test_the_label_is_the_next_sessions_adjusted_return(panel: Panel, raw: pd.DataFrame):
    frame = panel.store.frame
    for ticker in "ABC":
        adjusted = raw[raw["ticker"] == ticker].set_index("date")["adj_close"]
        own = frame[frame["ticker"] == ticker].set_index("date")
        expected = (adjusted.shift(-1) / adjusted - 1.0).loc[own.index]
        np.testing.assert_allclose(own[RETURN], expected, rtol=1e-9, atol=1e-12)
        assert own.index[-1] == DAYS[-2]


def test_rows_between_the_thresholds_have_no_class_and_serve_as_history(panel: Panel):
    returns, label = panel.store.frame[RETURN].to_numpy(), panel.store.label.numpy()
    expected = np.where(returns > 0.0055, 1, np.where(returns < -0.005, 0, -1))
    assert label.tolist() == expected.tolist()
    assert 0.2 < (label == -1).mean() < 0.5
    between = panel.store.frame[DIRECTION].to_numpy() == Trend.NEUTRAL
    assert (between == (label == -1)).all()
    data = TrendDataModule(panel, "sequence")
    seen = 0
    for code, dataset in enumerate(data.datasets.values()):
        ends = dataset.ends.numpy()
        assert set(label[ends]) == {0, 1}
        # Every labelled row of the split with five sessions behind it is there, whatever lies between.
        wanted = (panel.row_split == code) & (label >= 0) & (panel.store.history.numpy() >= 5)
        assert ends.tolist() == np.flatnonzero(wanted).tolist()
        windows = ends[:, None] + np.arange(-4, 1)
        seen += int((label[windows] == -1).any(axis=1).sum())
        np.testing.assert_array_equal(dataset[torch.arange(len(ends))].features, panel.store.features[windows])
    assert seen > 100
    assert data.dims.num_classes == 2
    assert data.dims.input_size == 11
    assert panel.classes == ("Downtrend", "Uptrend")
    counts = np.bincount(label[data.datasets["train"].ends.numpy()], minlength=2)
    assert data.class_counts().tolist() == counts.tolist()


def test_the_purge_counts_sessions(panel: Panel):
    number = panel.store.period
    for code in (0, 1):
        last, first = number[panel.row_split == code].max(), number[panel.row_split == code + 1].min()
        assert first - last == 2
    assert (panel.row_split == HISTORY).sum() == 2 * 3


def test_a_daily_table_is_read_back_as_daily_alone(panel: Panel):
    path = panel.prepared.files["train"]
    assert len(read_table(path, PRICES11, Periods("daily"))) > 0
    with pytest.raises(DataError, match=r"column date, .*expected one row per ticker and week"):
        read_table(path, PRICES11, Periods("weekly"))
    with pytest.raises(DataError, match="stock_open"):
        read_table(path, WEEKLY21, Periods("daily"))


def test_a_two_class_world_gives_the_truth_of_the_two(tmp_path: Path):
    overrides = ["data.tickers=2", "data.start=2018-01-01", "data.end=2020-06-30", "data.labels.classes=2"]
    overrides += ["data.split.validation_start=2019-06-01", "data.split.test_start=2020-01-01"]
    settings = load_settings(TrainSettings, compose_values(*overrides))
    panel = Panel.read(prepare(settings.data, tmp_path), settings.data)
    known = pd.read_csv(panel.prepared.truth, parse_dates=["date"]).set_index(["ticker", "date"]).sort_index()
    assert panel.truth is not None
    down, up = known["p_downtrend"].to_numpy(), known["p_uptrend"].to_numpy()
    np.testing.assert_allclose(panel.truth, np.stack([down, up], axis=1) / (down + up)[:, None])


# --- a whole run ---


@pytest.mark.parametrize(("model", "features"), [("lstm", "prices11"), ("logistic", "prices11"), ("mlp", "weekly21")])
def test_a_daily_two_class_run(bars_file: Path, folder: Path, model: str, features: str):
    net = ["model.hidden_size=8", "trainer.max_epochs=2"] if model != "logistic" else []
    values = compose_values(
        *(f"model={model}", *net, "data=market", f"data.bars={bars_file}", "data.frequency=daily"),
        *(f"features={features}", "data.labels.classes=2"),
        *("data.labels.threshold=0.0055", "data.labels.lower=-0.005", "data.sequence_length=5"),
        *("data.split.validation_start=2018-12-03", "data.split.test_start=2019-03-01"),
        *("tracking=off", "trainer.threads=1", "trainer.enable_progress_bar=false", "scoring.resamples=200"),
    )
    result = train(load_settings(TrainSettings, values), values, folder / "run", "daily")
    assert isinstance(result, TrainResult)
    test = result.scores["test"]
    frame = result.predictions.slice_split("test").frame
    assert test.classes == ("Downtrend", "Uptrend")
    assert test.unit == "day"
    assert test.examples == len(frame) == np.sum(test.confusion)
    assert test.periods == frame["date"].nunique() > 60
    assert set(test.baselines) == {"majority", "persistence", "volatility", "linear"}
    assert "move_auroc" not in test.figures
    assert ((frame["return"] > 0.0055) == (frame["label"] == 1)).all()
    assert ((frame["return"] < -0.005) == (frame["label"] == 0)).all()
    np.testing.assert_allclose(frame[["p_downtrend", "p_uptrend"]].sum(axis=1), 1.0, rtol=1e-6)
    assert "p_neutral" not in frame
    assert len(FEATURES) == 21
