"""Features that use the future, or more of the past than they declare, are named when a table is built."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ste.config import SyntheticSettings
from ste.config.config_files import conf_dir
from ste.config.feature_sets import FOLDER, load_feature_set
from ste.data.build.feature_checks import FeatureChecks
from ste.data.build.prepare import prepare
from ste.data.sources.daily_sources import daily_sources
from ste.errors import DataError
from ste.features.cut_off import Cut, Recomputation
from ste.features.cut_off_plan import TickerSample, choose_cuts
from ste.features.early_columns import early_columns
from ste.features.feature_check import CheckedFeatures, check_features
from ste.features.feature_rows import feature_rows
from ste.market.sources import Market
from ste.registry import register
from ste.schema import Column, FeatureSet
from ste.synthetic.generator import generate_market
from test_expressions import WHOLE_MARKET

TICKERS = 50
SPAN = {"start": "2016-01-01", "end": "2018-12-31"}


def world(tickers: int = TICKERS, **changes: object) -> SyntheticSettings:
    return SyntheticSettings(**{"source": "world", "tickers": tickers, "seed": 2, **SPAN, **changes})


@pytest.fixture(scope="module")
def market() -> Market:
    return generate_market(world())


@pytest.fixture(scope="module")
def small() -> Market:
    return generate_market(world(5))


def features_of(*exprs: str) -> FeatureSet:
    return FeatureSet("mine", tuple(Column(f"x{i}", expr=expr, group="mine") for i, expr in enumerate(exprs)))


def checked(market: Market, features: FeatureSet, frequency: str = "weekly") -> CheckedFeatures:
    rows = feature_rows(market, frequency, features)
    return check_features(market, frequency, features, rows, TickerSample())


# --- faults that are planted in registered functions ---


def shifted(close: np.ndarray) -> np.ndarray:
    return np.append(close[1:], np.nan)


def rolled(close: np.ndarray) -> np.ndarray:
    return np.roll(close, -1)


def next_week(close: np.ndarray) -> np.ndarray:
    return pd.Series(close).pct_change(5).shift(-5).fillna(0.0).to_numpy()


def centred(close: np.ndarray) -> np.ndarray:
    return pd.Series(close).rolling(11, center=True, min_periods=1).mean().to_numpy()


def slope(close: np.ndarray) -> np.ndarray:
    return np.gradient(close)


def score(close: np.ndarray) -> np.ndarray:
    return (close - close.mean()) / close.std()


def minmax(close: np.ndarray) -> np.ndarray:
    return (close - close.min()) / (close.max() - close.min())


def ranked(close: np.ndarray) -> np.ndarray:
    return pd.Series(close).rank(pct=True).to_numpy()


def filled_backwards(close: np.ndarray) -> np.ndarray:
    some = pd.Series(close).where(np.arange(len(close)) % 7 == 0)
    return some.bfill().ffill().to_numpy()


def smoothed_both_ways(close: np.ndarray) -> np.ndarray:
    forward = pd.Series(close).ewm(span=5).mean()
    return forward[::-1].ewm(span=5).mean()[::-1].to_numpy()


def detrended(close: np.ndarray) -> np.ndarray:
    steps = np.arange(len(close))
    return close - np.polyval(np.polyfit(steps, close, 1), steps)


def late_only(close: np.ndarray) -> np.ndarray:
    """Wrong in the second half of long histories alone."""
    out = close.copy()
    half = len(out) // 2
    out[half:-1] = close[half + 1 :]
    return out


def one_shifted(close: np.ndarray, first: float) -> np.ndarray:
    """Wrong for the ticker that has this first close."""
    return np.append(close[1:], close[-1]) if close[0] == first else close


def mean_so_far(close: np.ndarray) -> np.ndarray:
    return np.cumsum(close) / np.arange(1, len(close) + 1)


CALLS: list[int] = []


def counted(close: np.ndarray) -> np.ndarray:
    CALLS.append(1)
    return close * len(CALLS)


def honest_range(high: np.ndarray, low: np.ndarray, n: int = 5) -> np.ndarray:
    return (pd.Series(high).rolling(n).max() - pd.Series(low).rolling(n).min()).to_numpy()


FUTURE = [
    *(shifted, rolled, next_week, centred, slope, score, minmax, ranked, filled_backwards, smoothed_both_ways),
    *(detrended, late_only),
]
for each in (*FUTURE, one_shifted, counted):
    register("feature", lookback=21)(each)
register("feature", lookback=10)(mean_so_far)
register("feature", lookback=lambda n: n)(honest_range)


@pytest.mark.parametrize("function", FUTURE)
def test_a_function_that_uses_the_future_is_named_among_honest_features(small: Market, function: Callable):
    features = features_of("$close / Ref($close, 5)", f"{function.__name__}($close)", "honest_range($high, $low, 5)")
    [fault] = checked(small, features).faults
    assert (fault.feature, fault.kind) == ("x1", "future")
    assert fault.complete != pytest.approx(fault.part, rel=1e-9)


def test_the_value_without_the_future_is_that_of_the_function_on_shorter_bars(small: Market):
    [fault] = checked(small, features_of("centred($close)")).faults
    own = small.bars[small.bars["ticker"] == fault.ticker].set_index("date")["close"]
    assert fault.complete == pytest.approx(own.rolling(11, center=True, min_periods=1).mean()[fault.date])
    known = own[own.index <= fault.last]
    assert fault.part == pytest.approx(known.rolling(11, center=True, min_periods=1).mean()[fault.date])


def test_one_ticker_of_fifty_is_found(market: Market):
    starts = market.bars.groupby("ticker", observed=True)["close"].first()
    assert len(starts) == TICKERS

    for ticker in ("T0017", starts.index[0], starts.index[-1]):
        [fault] = checked(market, features_of(f"one_shifted($close, {float(starts[ticker])!r})")).faults
        assert (fault.ticker, fault.kind) == (ticker, "future")


def test_a_function_that_looks_further_back_than_it_declares_is_named(small: Market):
    [fault] = checked(small, features_of("mean_so_far($close)")).faults
    assert fault.kind == "past"


def test_a_function_with_a_state_is_named(small: Market):
    [fault] = checked(small, features_of("counted($close)")).faults
    assert fault.kind == "unstable"


def test_a_rank_over_the_tickers_of_all_days_is_found_in_a_cross_section(small: Market):
    result = checked(small, features_of("CSRank($close)", "CSRank(shifted($close))"))
    assert [(fault.feature, fault.kind) for fault in result.faults] == [("x1", "future")]


# --- features that use the past alone ---

HONEST = [
    "$close / Ref($close, 1) - 1",
    "TA.SMA($close, 20) / $close",
    "TA.RSI($close, 14)",
    "TA.MACD($close, 12, 26, 9).macdhist",
    "PLast($close) / PMean($close)",
    "CSRank($volume)",
    "If(Greater($close, $open) > $open, 1, 0)",
    "Log(1 + $news_count)",
    "$macro_vix",
]


def test_the_past_alone_raises_nothing(small: Market):
    result = checked(small, features_of(*HONEST))
    assert result.faults == ()
    assert result.values > 0


@pytest.mark.parametrize("name", ["weekly21", "volatility", "alpha158", "alpha360", "prices11"])
def test_a_shipped_set_raises_nothing(small: Market, name: str):
    if not (conf_dir() / FOLDER / f"{name}.yaml").is_file():
        pytest.skip(f"no set {name}")
    features = load_feature_set(name)
    result = checked(small, features, features.frequency or "weekly")
    assert result.faults == ()
    assert len(result.tickers) == 5


@settings(max_examples=6)
@given(st.lists(WHOLE_MARKET, min_size=25, max_size=25, unique=True))
def test_random_expressions_raise_nothing(small: Market, texts: list[str]):
    exprs = [text.replace("$news", "$news_count") for text in texts]
    columns = tuple(replace(column, fill=0.0) for column in features_of(*exprs).columns)
    result = checked(small, FeatureSet("random", columns))
    assert result.faults == ()
    assert result.values >= 25 * 5


# --- the plan ---


def test_every_ticker_is_cut_also_one_that_lived_for_a_short_time(market: Market):
    bars = market.bars
    short = (bars["ticker"] == "T0007") & ((bars["date"] < "2016-12-01") | (bars["date"] > "2017-05-01"))
    cut = replace(market, bars=bars[~short].reset_index(drop=True))
    result = checked(cut, features_of("$close / Ref($close, 5)", "TA.SMA($close, 20)"))
    assert len(result.tickers) == TICKERS
    assert len(result.dates) >= 3


def test_a_fraction_of_the_bars_is_computed_again(market: Market):
    rows = feature_rows(market, "daily", features_of("$close"))
    cuts = choose_cuts(rows, len(market.bars), 20, TickerSample(), cross_sectional=False, user_defined=True)
    again = sum(20 * len(cut.tickers or ()) for cut in cuts)
    assert 0.05 * len(market.bars) < again < 0.15 * len(market.bars)
    assert {ticker for cut in cuts for ticker in cut.tickers or ()} == set(rows["ticker"])


def test_beyond_five_hundred_tickers_one_in_ten_is_cut():
    sample = TickerSample()
    chosen = [sample(f"T{i}") for i in range(1000)]
    assert sum(chosen[:500]) == 500
    assert sum(chosen[500:]) == 50
    assert chosen == [sample(f"T{i}") for i in range(1000)]


def test_a_cut_leaves_what_was_known(small: Market):
    seen: list[Market] = []

    def compute(market: Market) -> pd.DataFrame:
        seen.append(market)
        return feature_rows(market, "weekly", features_of("$close"))

    last = pd.Timestamp("2017-06-30")
    again = Recomputation(small, compute(small))
    tickers = sorted(set(small.bars["ticker"]))[:2]
    again.compare(compute, Cut(last, tickers, 30))
    known = seen[-1]
    assert known.bars.groupby("ticker")["date"].agg(["size", "max"]).to_numpy().tolist() == [[30, last], [30, last]]
    assert known.news is not None
    assert known.macro is not None
    assert known.policy is not None
    assert set(known.news["ticker"]) <= set(tickers)
    assert max(known.news["date"].max(), known.macro["release_date"].max(), known.policy["date"].max()) <= last


# --- files of the user's own that are dated a day early ---


def moves(market: Market) -> pd.Series:
    return market.bars.groupby("ticker", observed=True)["close"].pct_change()


def ahead(market: Market, values: pd.Series, days: int) -> np.ndarray:
    return values.groupby(market.bars["ticker"], observed=True).shift(-days).to_numpy()


def test_a_file_of_the_day_is_early_when_it_is_known_the_day_before(market: Market):
    rng = np.random.default_rng(0)
    mood = moves(market) + rng.normal(0, 0.05, len(market.bars))
    size = moves(market).abs()
    for what, values in (("return", mood), ("size of the move", size), ("return", market.bars["close"])):
        assert early_columns(market, {"mine.x": values.to_numpy()}) == []
        [found] = early_columns(market, {"mine.x": ahead(market, values, 1)})
        assert (found.name, found.what, found.ticker) == ("mine.x", what, "")


def test_one_ticker_of_a_file_that_is_early_is_named(market: Market):
    mood = moves(market).to_numpy().copy()
    own = (market.bars["ticker"] == "T0031").to_numpy()
    mood[own] = ahead(market, moves(market), 1)[own]
    [found] = early_columns(market, {"mine.x": mood})
    assert found.ticker == "T0031"
    assert found.now > 0.99


def test_noise_a_clock_and_a_slow_forecast_are_not_early(market: Market):
    rng = np.random.default_rng(1)
    coming = sum(ahead(market, moves(market), days) for days in range(1, 40))
    columns = {
        "mine.noise": rng.normal(size=len(market.bars)),
        "mine.day": market.bars["date"].dt.day_of_year.to_numpy(dtype=np.float64),
        "mine.forecast": coming + rng.normal(0, 0.3, len(market.bars)),
        "mine.constant": np.ones(len(market.bars)),
        "mine.empty": np.full(len(market.bars), np.nan),
    }
    assert early_columns(market, columns) == []


def mood_file(path: Path, market: Market, days: int) -> str:
    """Write the return of each session, known so many sessions before it."""
    known = market.bars[["date", "ticker"]].assign(mood=ahead(market, moves(market), days)).dropna()
    known.to_csv(path, index=False)
    return str(path)


def mood_settings(folder: Path, market: Market, days: int) -> SyntheticSettings:
    path = folder / "mood.yaml"
    path.write_text("columns:\n  - {name: mood, expr: $mine.mood, group: mine}\n")
    extra = {"mine": mood_file(folder / "mood.csv", market, days)}
    return world(5, features=str(path), extra=extra, extra_lag={"mine": 0})


def test_an_extra_file_joined_a_day_early_is_refused(small: Market, tmp_path: Path):
    with pytest.raises(DataError, match=r"mood: \$mine.mood has a rank correlation of \+1.00 with the return") as error:
        prepare(mood_settings(tmp_path, small, 1), tmp_path / "tables")
    assert "data.extra_lag.mine=1" in str(error.value)


def test_an_extra_file_joined_in_time_is_not(small: Market, tmp_path: Path):
    prepared = prepare(mood_settings(tmp_path, small, 0), tmp_path / "tables")
    assert prepared.card["checks"]["look_ahead"]["faults"] == []


def test_own_columns_are_cut_off_with_the_market(small: Market, tmp_path: Path):
    known = daily_sources(mood_settings(tmp_path, small, 0))
    last = pd.Timestamp("2017-06-30")
    bars = known.bars
    whole = known.extra["mine"].as_of("mood", bars["ticker"], bars["date"])
    cut = known.until(last).extra["mine"].as_of("mood", bars["ticker"], bars["date"])
    before = (bars["date"] <= last).to_numpy()
    np.testing.assert_array_equal(cut[before], whole[before])
    own = bars["ticker"].to_numpy()
    for ticker in np.unique(own):
        assert set(cut[~before & (own == ticker)]) == {whole[before & (own == ticker)][-1]}


# --- what follows ---


def leaky_set(folder: Path) -> str:
    path = folder / "leaky.yaml"
    path.write_text(
        "columns:\n  - {name: my_week, expr: next_week($close), group: mine}\n"
        "  - {name: level, expr: '$close / Ref($close, 5)', group: mine}\n"
    )
    return str(path)


@pytest.fixture
def leaky(tmp_path: Path) -> SyntheticSettings:
    return world(4, features=leaky_set(tmp_path))


@pytest.mark.parametrize("kind", ["csv", "parts"])
def test_a_table_with_a_leaky_feature_is_refused(leaky: SyntheticSettings, tmp_path: Path, kind: str):
    with pytest.raises(DataError, match=r"features=leaky: 1 feature cannot be trusted") as error:
        prepare(replace(leaky, format=kind), tmp_path / "tables")
    message = str(error.value)
    assert "my_week (next_week($close)) of " in message
    assert "audit=warn" in message
    assert "level" not in message
    assert not list((tmp_path / "tables").glob("*/*.json"))


@pytest.mark.parametrize("kind", ["csv", "parts"])
def test_a_warned_table_says_so_and_is_not_reused_by_a_strict_command(
    leaky: SyntheticSettings, tmp_path: Path, kind: str
):
    leaky = replace(leaky, format=kind)
    prepared = prepare(replace(leaky, audit="warn"), tmp_path)
    [fault] = prepared.card["checks"]["look_ahead"]["faults"]
    assert fault.startswith("my_week (next_week($close))")
    assert any(note.startswith("warning: features: my_week") for note in prepared.card["notes"])
    assert prepare(replace(leaky, audit="warn"), tmp_path).reused
    assert prepare(replace(leaky, audit="off"), tmp_path).reused
    with pytest.raises(DataError, match="my_week"):
        prepare(leaky, tmp_path)


def test_an_unchecked_table_is_checked_before_it_is_reused(tmp_path: Path):
    settings = world(3)
    unchecked = prepare(replace(settings, audit="off"), tmp_path)
    assert unchecked.card["checks"]["look_ahead"] == {"ran": False, "faults": []}
    checked = prepare(settings, tmp_path)
    assert not checked.reused
    assert checked.digest == unchecked.digest
    assert checked.card["checks"]["look_ahead"]["tickers"] == 3
    assert prepare(settings, tmp_path).reused
    assert json.loads(json.dumps(checked.card)) == checked.card


def test_each_kind_of_fault_has_its_sentence(small: Market):
    settings = world(5, audit="warn")
    settings.__dict__["feature_set"] = features_of("shifted($close)", "mean_so_far($close)")
    checks = FeatureChecks(settings)
    checks.add(small, feature_rows(small, "weekly", settings.feature_set))
    future, past = checks.notes()
    assert "x0 (shifted($close)) of" in future
    assert "it uses the future" in future
    assert "Declare a longer look-back of mean_so_far" in past
