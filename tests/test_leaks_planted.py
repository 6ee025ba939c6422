"""Planted leaks: each kind is found, and the column, file or setting at fault is named."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from feature_sets import WEEKLY21
from ste.config import LabelSettings, SyntheticSettings
from ste.data.build.labelled_rows import build_table
from ste.features.cut_off import Compute
from ste.features.feature_rows import feature_rows
from ste.leakage.audit_table import SPLIT, AuditTable
from ste.leakage.check_result import Alarm, CheckResult
from ste.leakage.look_ahead import look_ahead
from ste.leakage.news_dates import early_news
from ste.leakage.null_models import null_market_models, shuffled_labels
from ste.leakage.odd_bars import odd_bars
from ste.leakage.panel_checks import table_checks
from ste.leakage.release_dates import early_releases
from ste.market.sources import Market
from ste.schema import DIRECTION, RETURN, SPLITS
from ste.synthetic.generator import generate_market

SPAN = {"start": "2015-01-01", "end": "2018-12-31"}


def world(seed: int = 3, signal: float = 0.4, **changes: object) -> SyntheticSettings:
    return SyntheticSettings(**{"source": "world", "tickers": 5, "seed": seed, "signal": signal, **SPAN, **changes})


def labelled(settings: SyntheticSettings) -> pd.DataFrame:
    rows, split, _, _ = build_table(settings)
    ordered = rows.assign(**{SPLIT: np.array(SPLITS)[split]})
    return ordered.sort_values(["ticker", "date"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    """Five tickers, four years, signal 0.4; sorted by ticker and date."""
    return labelled(world())


@pytest.fixture(scope="module")
def market() -> Market:
    return generate_market(world(tickers=3, start="2016-01-01", end="2017-06-30"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def all_alarms(results: list[CheckResult]) -> list[Alarm]:
    return [found for result in results for found in result.alarms]


def alarms(frame: pd.DataFrame, **settings: int) -> set[tuple[str, str]]:
    """Check and place of every alarm in a table."""
    return {(found.check, found.where) for found in all_alarms(table_checks(AuditTable(frame, **settings)))}


def by_ticker(frame: pd.DataFrame, column: str, function: Callable[[pd.Series], pd.Series]) -> pd.Series:
    return frame.groupby("ticker")[column].transform(function)


# --- columns that know the label ---


def test_the_table_without_a_leak_raises_nothing(clean: pd.DataFrame):
    assert alarms(clean) == set()


PLANTS: dict[str, tuple[str, Callable[[pd.DataFrame, np.random.Generator], pd.Series]]] = {
    "label copied": ("news_relevance", lambda f, r: f[DIRECTION] / 2),
    "label with noise": ("stock_macd", lambda f, r: f[DIRECTION] + r.normal(0, 1.5, len(f))),
    "return with noise": ("news_sentiment", lambda f, r: np.tanh(3 * f[RETURN] + r.normal(0, 0.2, len(f)))),
    "next week's index": ("stock_rsi", lambda f, r: by_ticker(f, "stock_rsi", lambda s: s.shift(-1).ffill())),
    "next week's high": ("stock_high", lambda f, r: by_ticker(f, "stock_high", lambda s: s.shift(-1).ffill())),
    "next week's open": ("stock_sma_50", lambda f, r: by_ticker(f, "stock_close", lambda s: s.shift(-1).ffill())),
    "centred mean": (
        "stock_sma_20",
        lambda f, r: by_ticker(f, "stock_close", lambda s: s.rolling(5, center=True, min_periods=1).mean()),
    ),
    "size of the next move": ("news_count", lambda f, r: np.round(200 * f[RETURN].abs() + r.exponential(3, len(f)))),
    "the market's next week": (
        "macro_inflation",
        lambda f, r: f.groupby("date")[RETURN].transform("mean") * 30 + f["date"].dt.day * 0.02,
    ),
}


@pytest.mark.parametrize("kind", PLANTS)
def test_a_column_that_knows_the_label_is_named_and_no_other(clean: pd.DataFrame, rng, kind: str):
    column, plant = PLANTS[kind]
    found = alarms(clean.assign(**{column: plant(clean, rng)}))
    assert ("single columns", column) in found
    assert {where for _, where in found} == {column}


def test_a_column_of_another_name_is_looked_at_too(clean: pd.DataFrame, rng):
    found = alarms(clean.assign(my_signal=clean[RETURN] + rng.normal(0, 0.04, len(clean))))
    assert found == {("single columns", "my_signal")}


def test_the_finding_has_the_figure_that_pandas_gives(clean: pd.DataFrame):
    leaky = clean.assign(news_relevance=clean[DIRECTION] / 2)
    [found] = [f for f in all_alarms(table_checks(AuditTable(leaky))) if f.check == "single columns"]
    weekly = leaky.groupby("date")[["news_relevance", RETURN]].corr(method="spearman")
    mean = weekly.xs(RETURN, level=1)["news_relevance"].mean()
    figure = float(found.seen.split("correlation of ")[1].split(" ")[0])
    assert figure == pytest.approx(mean, abs=0.02)  # weeks weigh a little differently
    assert "AUC 1.000" in found.seen


def test_a_leak_of_four_weeks_is_found_at_a_horizon_of_four(rng):
    rows = labelled(world(labels=LabelSettings(horizon=4)))
    assert alarms(rows, horizon=4) == set()
    leaky = rows.assign(stock_macd=rows[RETURN] + rng.normal(0, 0.03, len(rows)))
    assert ("single columns", "stock_macd") in alarms(leaky, horizon=4)


def test_strict_takes_what_a_synthetic_world_can_tell_for_an_alarm(clean: pd.DataFrame):
    found = all_alarms(table_checks(AuditTable(clean), strict=True))
    assert "news_sentiment" in {f.where for f in found}
    assert any("news_sentiment" in note for result in table_checks(AuditTable(clean)) for note in result.notes)


# --- labels hidden in digits and codes, and clocks ---


def test_a_label_in_the_last_digit_of_the_volume(clean: pd.DataFrame):
    coded = np.floor(clean["stock_volume"] / 10) * 10 + clean[DIRECTION]
    assert alarms(clean.assign(stock_volume=coded)) == {("encoded labels", "stock_volume")}


def test_a_label_in_the_fifth_decimal_of_a_ratio(clean: pd.DataFrame):
    coded = np.floor(clean["news_relevance"] * 1e4) / 1e4 + (clean[DIRECTION] + 2) * 1e-5
    assert alarms(clean.assign(news_relevance=coded)) == {("encoded labels", "news_relevance")}


def test_a_scrambled_class_code(clean: pd.DataFrame):
    code = clean[DIRECTION].map({0: 3.0, 1: 7.0, 2: 5.0})
    assert ("encoded labels", "news_count") in alarms(clean.assign(news_count=code))


@pytest.mark.parametrize("kind", ["row", "date"])
def test_a_column_that_only_counts(clean: pd.DataFrame, kind: str):
    number = {"row": clean["date"].rank(method="first"), "date": (clean["date"] - pd.Timestamp("2000-01-01")).dt.days}
    assert ("encoded labels", "macro_gdp_growth") in alarms(clean.assign(macro_gdp_growth=number[kind].astype(float)))


# --- scalers and thresholds that saw the future ---


def minmax(values: pd.Series) -> pd.Series:
    return (values - values.min()) / (values.max() - values.min())


SCALERS = {
    "z-score": lambda s: (s - s.mean()) / s.std(),
    "z-score of the population": lambda s: (s - s.mean()) / s.std(ddof=0),
    "min-max": minmax,
    "-1 to 1": lambda s: 2 * minmax(s) - 1,
    "ranks": lambda s: s.rank(pct=True),
}


@pytest.mark.parametrize("kind", SCALERS)
@pytest.mark.parametrize("column", ["stock_macd", "macro_inflation", "stock_volume"])
def test_a_scaler_that_saw_all_rows(clean: pd.DataFrame, kind: str, column: str):
    last = clean["date"] == clean["date"].max()
    values = clean[column].mask(last, 1.1 * clean[column].max() + 0.1)  # beyond all of training
    assert ("scalers", column) in alarms(clean.assign(**{column: SCALERS[kind](values)}))


def test_a_scaler_that_saw_the_validation_rows(clean: pd.DataFrame):
    seen = clean.loc[clean[SPLIT] != "test", "stock_macd"]
    assert ("scalers", "stock_macd") in alarms(
        clean.assign(stock_macd=(clean["stock_macd"] - seen.mean()) / seen.std())
    )


def test_a_scaler_per_ticker_that_saw_all_rows(clean: pd.DataFrame):
    scaled = by_ticker(clean, "stock_sma_50", lambda s: (s - s.mean()) / s.std())
    assert ("scalers", "stock_sma_50") in alarms(clean.assign(stock_sma_50=scaled))


@pytest.mark.parametrize("kind", SCALERS)
def test_a_scaler_that_saw_the_training_rows_alone_is_no_alarm(clean: pd.DataFrame, kind: str):
    train = clean.loc[clean[SPLIT] == "train", "stock_macd"]
    scaled = clean.assign(stock_macd=(clean["stock_macd"] - train.mean()) / train.std())
    assert alarms(scaled) == set()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_close_that_was_scaled_is_named(clean: pd.DataFrame):
    scaled = clean.assign(stock_close=SCALERS["z-score"](clean["stock_close"]))
    assert ("scalers", "stock_close") in alarms(scaled)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_missing_and_infinite_values_stop_no_check(clean: pd.DataFrame):
    holes = clean.assign(
        stock_rsi=clean["stock_rsi"].where(clean.index % 7 > 0),
        stock_macd=clean["stock_macd"].where(clean.index % 11 > 0, np.inf),
        macro_vix=np.nan,
        note="text",
    )
    assert alarms(holes) == set()
    assert shuffled_labels(AuditTable(holes), shuffles=1).alarms == ()


def test_scaling_within_each_week_is_no_alarm(clean: pd.DataFrame):
    scaled = clean.groupby("date")["stock_macd"].transform(lambda s: (s - s.mean()) / s.std(ddof=0))
    assert alarms(clean.assign(stock_macd=scaled)) == set()


def cut(frame: pd.DataFrame, rows: pd.Series, low: float = 1 / 3, high: float = 2 / 3) -> pd.DataFrame:
    down, up = frame.loc[rows, RETURN].quantile([low, high])
    return frame.assign(**{DIRECTION: np.digitize(frame[RETURN], [down, up])})


@pytest.mark.parametrize("shares", [(1 / 3, 2 / 3), (0.25, 0.75), (0.2, 0.8), (0.3, 0.7)])
def test_thresholds_that_saw_all_rows(clean: pd.DataFrame, shares: tuple[float, float]):
    assert alarms(cut(clean, pd.Series(True, clean.index), *shares)) == {("thresholds", DIRECTION)}


def test_thresholds_of_the_training_rows_are_no_alarm(clean: pd.DataFrame):
    assert alarms(cut(clean, clean[SPLIT] == "train")) == set()


# --- rows in two splits ---


def test_a_split_by_random_rows(clean: pd.DataFrame, rng):
    mixed = clean.assign(**{SPLIT: rng.permutation(clean[SPLIT].to_numpy())})
    assert ("overlap", "train and test") in alarms(mixed)


def test_rows_that_stand_in_two_splits(clean: pd.DataFrame):
    again = clean[clean[SPLIT] == "test"].assign(**{SPLIT: "train"})
    doubled = pd.concat([clean, again])
    [found] = [f for f in all_alarms(table_checks(AuditTable(doubled))) if f.where == "train and test"]
    assert f"{len(again)} rows are in both" in found.seen


def test_training_after_the_test(clean: pd.DataFrame):
    turned = clean.assign(**{SPLIT: clean[SPLIT].map({"train": "test", "validation": "validation", "test": "train"})})
    found = [f for f in all_alarms(table_checks(AuditTable(turned))) if f.check == "overlap"]
    assert {f.where for f in found} == {"train and validation", "train and test", "validation and test"}
    assert all("later than the first of" in f.seen for f in found)


def test_test_rows_copied_into_training_under_other_dates(clean: pd.DataFrame):
    test = clean[clean[SPLIT] == "test"]
    moved = test.assign(date=test["date"] - pd.Timedelta(weeks=520), **{SPLIT: "train"})
    assert ("copies", "train and test") in alarms(pd.concat([clean, moved]))


@pytest.mark.parametrize("lag", [0, 7])
def test_a_ticker_that_is_another(clean: pd.DataFrame, lag: int):
    one = clean[clean["ticker"] == clean["ticker"].iloc[0]]
    weeks = one["date"].unique()
    twin = one.assign(ticker="TWIN", date=one["date"] - pd.Timedelta(weeks=lag))
    prices = [name for name in clean if name.startswith("stock_") and name not in (RETURN, DIRECTION, "stock_rsi")]
    twin[prices] *= 3.7  # another price level hides the rows and not the returns
    assert len(weeks) == len(twin)
    assert ("copies", f"tickers {one['ticker'].iloc[0]} and TWIN") in alarms(pd.concat([clean, twin]))


# --- the horizon ---


def test_a_horizon_of_four_declared_as_one():
    rows = labelled(world(labels=LabelSettings(horizon=4)))
    found = all_alarms(table_checks(AuditTable(rows, horizon=1)))
    assert ("horizon", RETURN) in {(f.check, f.where) for f in found}
    [horizon] = [f for f in found if f.check == "horizon"]
    assert "data.labels.horizon=4" in horizon.fix


def test_a_label_that_is_last_week(clean: pd.DataFrame):
    late = by_ticker(clean, "stock_close", lambda s: s.pct_change())
    rows = clean.assign(**{RETURN: late}).dropna()
    rows[DIRECTION] = np.digitize(rows[RETURN], [-0.01, 0.01])
    [found] = [f for f in all_alarms(table_checks(AuditTable(rows))) if f.check == "horizon"]
    assert "the label is known at the row's close" in found.seen


# --- the future cut off ---


def own(market: Market) -> pd.DataFrame:
    return feature_rows(market, "weekly", WEEKLY21)


def centred_mean(market: Market) -> pd.DataFrame:
    close = market.bars.groupby("ticker")["close"]
    mean = close.transform(lambda s: s.rolling(21, center=True, min_periods=1).mean())
    values = market.bars.assign(mean=mean).set_index(["ticker", "date"])["mean"]
    rows = feature_rows(market, "weekly", WEEKLY21)
    return rows.assign(stock_sma_20=values.reindex(pd.MultiIndex.from_frame(rows[["ticker", "date"]])).to_numpy())


def whole_sample_score(market: Market) -> pd.DataFrame:
    rows = feature_rows(market, "weekly", WEEKLY21)
    return rows.assign(stock_rsi=(rows["stock_rsi"] - rows["stock_rsi"].mean()) / rows["stock_rsi"].std())


def filled_backwards(market: Market) -> pd.DataFrame:
    assert market.macro is not None
    rows = feature_rows(market, "weekly", WEEKLY21)
    releases = market.macro[market.macro["series"] == "inflation"].set_index("release_date")["value"].sort_index()
    daily = releases.reindex(pd.date_range(rows["date"].min(), rows["date"].max())).bfill()
    return rows.assign(macro_inflation=daily.reindex(rows["date"]).to_numpy())


def only_survivors(market: Market) -> pd.DataFrame:
    rows = feature_rows(market, "weekly", WEEKLY21)
    last = rows.groupby("ticker")["stock_close"].transform("last")
    return rows[last > last.median()]


@pytest.mark.parametrize(
    ("features", "columns"),
    [
        (own, set()),
        (centred_mean, {"stock_sma_20"}),
        (whole_sample_score, {"stock_rsi"}),
        (filled_backwards, {"macro_inflation"}),
        (only_survivors, {"rows"}),
    ],
)
def test_features_that_need_the_future_change_when_it_is_cut_off(market: Market, features: Compute, columns: set[str]):
    result = look_ahead(market, features)
    assert {found.where for found in result.alarms} == columns


# --- files of a market ---


def test_release_dates_that_are_the_periods(market: Market):
    assert market.macro is not None
    macro = market.macro
    assert early_releases(macro).alarms == ()
    monthly = macro["series"] == "inflation"
    stamped = macro.assign(
        release_date=macro["release_date"].mask(monthly, macro["release_date"].dt.to_period("M").dt.start_time)
    )
    assert [found.where for found in early_releases(stamped, "m").alarms] == ["m: series inflation"]


def same_day_news(market: Market) -> pd.DataFrame:
    """News about its own day, as news does."""
    bars = market.bars
    rng = np.random.default_rng(0)
    moves = bars.groupby("ticker")["close"].pct_change()
    return pd.DataFrame(
        {
            "ticker": bars["ticker"],
            "date": bars["date"],
            "count": 3,
            "sentiment": np.tanh(20 * moves + rng.normal(0, 1, len(bars))),
            "relevance": 0.5,
        }
    ).dropna()


def test_early_news_dated_today():
    market = generate_market(world(start="2017-01-01", end="2018-12-31"))
    news = same_day_news(market)
    assert early_news(market.bars, news).alarms == ()
    early = news.assign(date=news.groupby("ticker")["date"].shift(1)).dropna()
    result = early_news(market.bars, early, "news.csv")
    assert [found.where for found in result.alarms] == ["news.csv: sentiment"]


def test_closes_of_another_day(market: Market):
    bars = market.bars
    assert odd_bars(bars).alarms == ()
    shifted = bars.assign(close=bars.groupby("ticker")["close"].shift(-1).fillna(bars["close"]))
    assert [found.where for found in odd_bars(shifted, "bars.csv").alarms] == ["bars.csv: close"]


# --- models that must find nothing ---


def test_shuffled_labels_are_known_only_where_rows_stand_in_two_splits(clean: pd.DataFrame):
    assert shuffled_labels(AuditTable(clean), shuffles=1).alarms == ()
    again = clean[clean[SPLIT] == "test"].assign(**{SPLIT: "train"})
    [found] = shuffled_labels(AuditTable(pd.concat([clean, again])), shuffles=1).alarms
    assert found.where == "train and the splits after it"


def test_the_null_world_shows_when_a_feature_looks_ahead(rng):
    null = labelled(world(signal=0.0))
    assert null_market_models(AuditTable(null)).alarms == ()
    ahead = by_ticker(null, "stock_rsi", lambda s: s.shift(-1).ffill())
    assert len(null_market_models(AuditTable(null.assign(stock_rsi=ahead))).alarms) == 1


def test_the_market_is_left_as_it_was(market: Market):
    before = replace(market, bars=market.bars.copy())
    look_ahead(market, own)
    pd.testing.assert_frame_equal(before.bars, market.bars)
