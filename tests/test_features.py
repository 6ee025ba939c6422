"""Features at each week's close: what they are by definition, and that they know the past alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import FEATURES, GROUPS, WEEKLY21
from ste.config import SyntheticSettings
from ste.config.read_options import ReadOptions
from ste.data.sources.side_files import read_side_file
from ste.features.feature_rows import feature_rows
from ste.features.macro import macro_level
from ste.market.calendar import WEEKS, TradingCalendar
from ste.market.sources import MACRO_NEUTRAL, Market
from ste.schema import KEYS, ROW_VOLATILITY
from ste.synthetic.generator import generate_market

FRIDAY = pd.Timestamp("2024-11-29")
LOOKBACK = WEEKLY21.lookback


def bars_until(last: str, count: int, ticker: str = "AAPL", seed: int = 0) -> pd.DataFrame:
    """A random walk of `count` sessions that ends on `last`."""
    end = pd.Timestamp(last)
    days = TradingCalendar().sessions(end - pd.Timedelta(days=2 * count + 20), end)[-count:]
    assert days[-1] == end
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, count)))
    opened = close * np.exp(rng.normal(0.0, 0.005, count))
    return pd.DataFrame(
        {
            "ticker": ticker,
            "date": days,
            "open": opened,
            "high": np.maximum(opened, close) * 1.01,
            "low": np.minimum(opened, close) * 0.99,
            "close": close,
            "volume": rng.integers(1_000_000, 9_000_000, count).astype(float),
        }
    )


def random_market(seed: int) -> Market:
    """A small world made untidy: bars missing, news and policy events on weekends and holidays too."""
    world = generate_market(
        SyntheticSettings(source="world", tickers=3, start="2024-01-01", end="2024-05-31", seed=seed)
    )
    rng = np.random.default_rng(seed)
    assert world.news is not None
    assert world.policy is not None

    def shifted(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(date=frame["date"] + pd.to_timedelta(rng.integers(0, 4, len(frame)), unit="D"))

    return replace(
        world,
        bars=world.bars[rng.random(len(world.bars)) > 0.02].reset_index(drop=True),
        news=shifted(world.news).drop_duplicates(["ticker", "date"]),
        policy=shifted(world.policy),
    )


def with_another_future(market: Market, close: pd.Timestamp, rng: np.random.Generator, remove: bool) -> Market:
    """The same market up to `close`; all that comes later is gone, or is something else."""

    def changed(frame: pd.DataFrame, date: str, numbers: list[str]) -> pd.DataFrame:
        later = frame[date] > close
        if remove:
            return frame[~later].reset_index(drop=True)
        factor = rng.uniform(0.2, 5.0, (len(frame), len(numbers)))
        out = frame.assign(**{name: frame[name] * np.where(later, factor[:, i], 1.0) for i, name in enumerate(numbers)})
        return out[~later | (rng.random(len(frame)) > 0.1)].reset_index(drop=True)

    assert market.news is not None
    assert market.macro is not None
    assert market.policy is not None
    return Market(
        bars=changed(market.bars, "date", ["open", "high", "low", "close", "volume"]),
        news=changed(market.news, "date", ["count", "sentiment", "relevance"]),
        macro=changed(market.macro, "release_date", ["value"]),
        policy=changed(market.policy, "date", ["impact"]),
    )


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 1000), remove=st.booleans())
def test_no_feature_knows_what_comes_after_its_rows_close(seed: int, cut: int, remove: bool) -> None:
    market = random_market(seed)
    before = feature_rows(market, "weekly", WEEKLY21)
    dates = before["date"].drop_duplicates().sort_values().tolist()
    close = dates[cut % (len(dates) - 1)]
    after = feature_rows(with_another_future(market, close, np.random.default_rng(seed), remove), "weekly", WEEKLY21)

    known = before[before["date"] <= close].reset_index(drop=True)
    assert len(known) > 0
    pd.testing.assert_frame_equal(after[after["date"] <= close].reset_index(drop=True), known, check_exact=True)
    future, other = (frame[frame["date"] > close][[*FEATURES]].reset_index(drop=True) for frame in (before, after))
    assert not future.equals(other)


def test_a_row_does_know_its_own_weeks_close() -> None:
    """The look-ahead test above would pass on features that know nothing: this one would not."""
    market = random_market(1)
    before = feature_rows(market, "weekly", WEEKLY21)
    close = before["date"].unique()[5]
    after = feature_rows(
        with_another_future(market, close - pd.Timedelta(days=1), np.random.default_rng(1), False), "weekly", WEEKLY21
    )
    row, other = (frame.loc[frame["date"] == close].set_index("ticker") for frame in (before, after))
    both = row.index.intersection(other.index)
    assert len(both) > 0
    changed = (row.loc[both, list(FEATURES)] != other.loc[both, list(FEATURES)]).any()
    # The week's open, high and low may all be older than its last session.
    assert set(GROUPS["stock"]) - {"stock_open", "stock_high", "stock_low"} <= set(changed[changed].index)
    assert "macro_vix" in changed[changed].index


def test_tickers_do_not_touch_each_other() -> None:
    market = random_market(2)
    together = feature_rows(market, "weekly", WEEKLY21)
    for ticker in market.bars["ticker"].unique():
        only = market.bars[market.bars["ticker"] == ticker].reset_index(drop=True)
        alone = feature_rows(replace(market, bars=only), "weekly", WEEKLY21)
        assert len(alone) > 0
        same = together[together["ticker"] == ticker].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, same, check_exact=True)


def test_a_ticker_that_starts_in_the_week_in_which_another_ends_is_not_taken_for_it() -> None:
    old = bars_until("2024-06-14", LOOKBACK + 10, "OLD")
    new = bars_until("2024-11-29", 300, "YOUNG", seed=1)
    new = new[new["date"] >= "2024-06-11"].reset_index(drop=True)
    assert old["date"].max() > new["date"].min()
    together = feature_rows(Market(bars=pd.concat([old, new], ignore_index=True)), "weekly", WEEKLY21)
    apart = pd.concat([feature_rows(Market(bars=bars), "weekly", WEEKLY21) for bars in (old, new)], ignore_index=True)
    assert set(apart["ticker"]) == {"OLD", "YOUNG"}
    pd.testing.assert_frame_equal(together, apart, check_exact=True)


def test_features_are_finite_within_their_bounds_and_in_order() -> None:
    rows = feature_rows(random_market(3), "weekly", WEEKLY21)
    assert [name for name in rows if name in FEATURES] == list(FEATURES)
    assert np.isfinite(rows[list(FEATURES)].to_numpy()).all()
    for column in WEEKLY21.columns:
        assert column.low is None or (rows[column.name] >= column.low).all()
        assert column.high is None or (rows[column.name] <= column.high).all()
    assert not rows.duplicated(list(KEYS)).any()
    assert rows.equals(rows.sort_values(["ticker", "date"], kind="stable"))


# --- indicators, each from its definition ---


def wilder_rsi(close: np.ndarray, period: int = 14) -> np.ndarray:
    """Wilder (1978): plain means of the first `period` changes, then (period - 1) parts old and one part new."""
    change = np.diff(close)
    gain, loss = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    out = np.full(len(close), np.nan)
    up, down = gain[:period].mean(), loss[:period].mean()
    for t in range(period, len(close)):
        if t > period:
            up = (up * (period - 1) + gain[t - 1]) / period
            down = (down * (period - 1) + loss[t - 1]) / period
        out[t] = 100.0 - 100.0 / (1.0 + up / down)
    return out


def exponential_mean(close: np.ndarray, period: int) -> np.ndarray:
    """Weight 2 / (period + 1) for each new close, from the plain mean of the first `period` ones on."""
    out = np.full(len(close), np.nan)
    out[period - 1] = close[:period].mean()
    for t in range(period, len(close)):
        out[t] = out[t - 1] + 2.0 / (period + 1) * (close[t] - out[t - 1])
    return out


def rolling(close: np.ndarray, period: int, figure: str) -> np.ndarray:
    out = np.full(len(close), np.nan)
    for t in range(period - 1, len(close)):
        window = close[t - period + 1 : t + 1]
        out[t] = np.mean(window) if figure == "mean" else np.sqrt(np.mean((window - np.mean(window)) ** 2))
    return out


def rows_and_ages(bars: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Weekly rows, and the position of each row's close among the bars."""
    rows = feature_rows(Market(bars=bars), "weekly", WEEKLY21)
    assert len(rows) > 40
    return rows, pd.DatetimeIndex(bars["date"]).get_indexer(pd.DatetimeIndex(rows["date"]))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_moving_means_bands_and_volatility_follow_their_definitions(seed: int) -> None:
    bars = bars_until("2024-11-29", 400, seed=seed)
    rows, at = rows_and_ages(bars)
    close = bars["close"].to_numpy()
    middle, half = rolling(close, 20, "mean"), 2.0 * rolling(close, 20, "deviation")
    returns = np.append(0.0, np.diff(np.log(close)))
    expected = {
        "stock_sma_20": middle,
        "stock_sma_50": rolling(close, 50, "mean"),
        "stock_bb_upper": middle + half,
        "stock_bb_lower": middle - half,
        ROW_VOLATILITY: rolling(returns, 20, "deviation") * np.sqrt(5.0),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(rows[name].to_numpy(), values[at], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rsi_is_wilders(seed: int) -> None:
    bars = bars_until("2024-11-29", 400, seed=seed)
    rows, at = rows_and_ages(bars)
    np.testing.assert_allclose(rows["stock_rsi"].to_numpy(), wilder_rsi(bars["close"].to_numpy())[at], rtol=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_macd_is_the_fast_less_the_slow_exponential_mean(seed: int) -> None:
    bars = bars_until("2024-11-29", 500, seed=seed)
    rows, at = rows_and_ages(bars)
    close = bars["close"].to_numpy()
    expected = (exponential_mean(close, 12) - exponential_mean(close, 26))[at]
    # TA-Lib starts both means at the 26th close. Where the fast one starts differs from the definition by less
    # than the range of the closes, and each session leaves 11 / 13 of that.
    start = (close.max() - close.min()) * (11.0 / 13.0) ** (at - 25)
    off = np.abs(rows["stock_macd"].to_numpy() - expected)
    assert (off <= start + 1e-9 * close.max()).all()
    settled = at >= 200
    assert settled.sum() > 40
    assert off[settled].max() < 1e-9 * close.max()


# --- weeks ---


def test_weekly_prices_and_volume_by_hand_in_thanksgiving_week() -> None:
    bars = bars_until("2024-11-29", LOOKBACK)
    week = ["2024-11-25", "2024-11-26", "2024-11-27", "2024-11-29"]  # closed on Thursday the 28th
    assert bars["date"].iloc[-4:].dt.strftime("%Y-%m-%d").tolist() == week
    bars.loc[bars.index[-4:], ["open", "high", "low", "close", "volume"]] = [
        [10.0, 12.0, 9.0, 11.0, 100.0],
        [11.0, 15.0, 10.0, 14.0, 200.0],
        [14.0, 14.5, 8.0, 9.0, 400.0],
        [9.5, 11.0, 9.25, 10.5, 50.0],
    ]
    rows = feature_rows(Market(bars=bars), "weekly", WEEKLY21)
    assert rows["date"].tolist() == [FRIDAY]
    row = rows.iloc[0]
    assert row[["stock_open", "stock_high", "stock_low", "stock_close", "stock_volume"]].tolist() == [
        10.0,
        15.0,
        8.0,
        10.5,
        750.0,
    ]


@pytest.mark.parametrize(
    ("last", "closed"),
    [
        ("2024-03-28", "2024-03-29"),
        ("2024-11-29", "2024-11-28"),
        ("2024-12-27", "2024-12-25"),
    ],
)
def test_a_week_ends_on_its_last_session(last: str, closed: str) -> None:
    bars = bars_until(last, LOOKBACK + 10)
    assert pd.Timestamp(closed) not in set(bars["date"])
    dates = feature_rows(Market(bars=bars), "weekly", WEEKLY21)["date"]
    assert dates.iloc[-1] == pd.Timestamp(last)
    assert (np.diff(WEEKS.index(dates)) == 1).all()


@pytest.mark.parametrize(("count", "rows"), [(LOOKBACK - 1, 0), (LOOKBACK, 1), (LOOKBACK + 4, 2)])
def test_no_row_before_a_hundred_sessions(count: int, rows: int) -> None:
    # The last week has four sessions, so that LOOKBACK + 4 reach one week further back.
    assert len(feature_rows(Market(bars=bars_until("2024-11-29", count)), "weekly", WEEKLY21)) == rows


def test_each_ticker_looks_back_on_its_own_bars() -> None:
    old, young = bars_until("2024-11-29", 150, "OLD"), bars_until("2024-11-29", LOOKBACK - 1, "YOUNG")
    rows = feature_rows(Market(bars=pd.concat([old, young], ignore_index=True)), "weekly", WEEKLY21)
    assert set(rows["ticker"]) == {"OLD"}


def test_a_ticker_that_misses_the_weeks_last_session_has_no_row_that_week() -> None:
    bars = bars_until("2024-11-29", 130)
    missed, monday = pd.Timestamp("2024-11-22"), pd.Timestamp("2024-11-11")
    thin = bars[~bars["date"].isin([missed, monday])].reset_index(drop=True)
    full, rows = (feature_rows(Market(bars=b), "weekly", WEEKLY21).set_index("date") for b in (bars, thin))
    assert set(full.index) - {missed} == set(rows.index)
    # A week that lacks its first session has a row that begins a day later.
    opened = bars.set_index("date").loc[pd.Timestamp("2024-11-12"), "open"]
    assert rows.loc[pd.Timestamp("2024-11-15"), "stock_open"] == opened


# --- news, macro, policy ---


def november(**sources: pd.DataFrame) -> pd.DataFrame:
    """Rows of two tickers on the Fridays 15, 22 and 29 November 2024, by date and ticker."""
    bars = pd.concat([bars_until("2024-11-29", 120, ticker) for ticker in ("AAPL", "MSFT")], ignore_index=True)
    rows = feature_rows(Market(bars=bars, **sources), "weekly", WEEKLY21)
    return rows[rows["date"] >= "2024-11-15"].set_index(["date", "ticker"])


def at(day: str, ticker: str = "AAPL") -> tuple[pd.Timestamp, str]:
    return pd.Timestamp(day), ticker


def news_of(*items: tuple[str, str, float, float, float]) -> pd.DataFrame:
    frame = pd.DataFrame(items, columns=["ticker", "date", "count", "sentiment", "relevance"])
    return frame.assign(date=pd.to_datetime(frame["date"]))


def test_news_is_weighed_by_count_over_the_calendar_week() -> None:
    rows = november(
        news=news_of(
            ("AAPL", "2024-11-18", 3, 0.2, 0.5),
            ("AAPL", "2024-11-22", 1, -0.6, 0.9),
            ("MSFT", "2024-11-20", 2, 1.0, 0.1),
        )
    )[list(GROUPS["news"])]
    np.testing.assert_allclose(rows.loc[at("2024-11-22")], [0.0, 4.0, 0.6], atol=1e-15)
    np.testing.assert_allclose(rows.loc[at("2024-11-22", "MSFT")], [1.0, 2.0, 0.1])
    quiet = rows.drop([at("2024-11-22"), at("2024-11-22", "MSFT")])
    assert len(quiet) == 4
    assert (quiet == 0.0).all(axis=None)


@pytest.mark.parametrize(
    ("day", "row"),
    [
        ("2024-11-16", "2024-11-22"),  # a Saturday
        ("2024-11-17", "2024-11-22"),
        ("2024-11-18", "2024-11-22"),
        ("2024-11-22", "2024-11-22"),  # the day of the close
        ("2024-11-23", "2024-11-29"),
        ("2024-11-28", "2024-11-29"),  # Thanksgiving, closed
    ],
)
def test_news_and_events_count_for_the_first_close_that_knows_them(day: str, row: str) -> None:
    policy = pd.DataFrame({"date": [pd.Timestamp(day)], "impact": [2.0]})
    rows = november(news=news_of(("AAPL", day, 5, 0.5, 0.25)), policy=policy)
    counts = rows["news_count"]
    assert counts[counts > 0].to_dict() == {at(row): 5.0}
    assert rows.loc[at(row), "news_sentiment"] == 0.5
    events = rows["policy_event_count"]
    assert events[events > 0].to_dict() == {at(row): 1.0, at(row, "MSFT"): 1.0}
    assert rows.loc[at(row), "policy_impact_score"] == 2.0


def test_news_of_a_holiday_friday_counts_for_the_next_week() -> None:
    bars = bars_until("2024-04-05", 120)
    rows = feature_rows(
        Market(bars=bars, news=news_of(("AAPL", "2024-03-29", 5, 0.5, 0.25))), "weekly", WEEKLY21
    ).set_index("date")
    assert rows.loc[pd.Timestamp("2024-03-28"), "news_count"] == 0.0
    assert rows.loc[pd.Timestamp("2024-04-05"), "news_count"] == 5.0


def test_policy_events_of_a_week_are_counted_and_their_impacts_summed() -> None:
    days = pd.to_datetime(["2024-11-18", "2024-11-20", "2024-11-20", "2024-11-25"])
    rows = november(policy=pd.DataFrame({"date": days, "impact": [0.0, 1.0, 2.0, 4.0]}))[list(GROUPS["policy"])]
    assert rows.loc[at("2024-11-15")].tolist() == [0.0, 0.0]
    assert rows.loc[at("2024-11-22")].tolist() == [3.0, 3.0]
    assert rows.loc[at("2024-11-29", "MSFT")].tolist() == [1.0, 4.0]


@pytest.mark.parametrize(
    ("released", "known_on"),
    [
        ("2024-11-15", "2024-11-15"),  # the day of the close
        ("2024-11-16", "2024-11-22"),  # the day after
        ("2024-11-22", "2024-11-22"),
        ("2024-11-25", "2024-11-29"),
        ("2024-11-30", None),
    ],
)
@pytest.mark.parametrize("series", list(MACRO_NEUTRAL))
def test_a_macro_figure_is_known_from_its_release_on(series: str, released: str, known_on: str | None) -> None:
    macro = pd.DataFrame({"series": series, "release_date": pd.to_datetime([released]), "value": [7.5]})
    found = november(macro=macro).xs("AAPL", level="ticker")[f"macro_{series}"]
    for date, value in found.items():
        known = known_on is not None and date >= pd.Timestamp(known_on)
        assert value == (7.5 if known else MACRO_NEUTRAL[series])


def test_a_macro_figure_is_joined_by_its_release_date_and_not_by_the_month_it_describes(tmp_path: Path) -> None:
    # US inflation of October 2024 was released on 13 November.
    (tmp_path / "macro.csv").write_text(
        "series,reference_date,date,release_date,value\n"
        "inflation,2024-09-01,2024-09-01,2024-10-10,2.4\n"
        "inflation,2024-10-01,2024-10-01,2024-11-13,2.6\n"
    )
    macro = read_side_file(str(tmp_path / "macro.csv"), "macro", ReadOptions())
    fridays = pd.to_datetime(["2024-10-04", "2024-10-11", "2024-11-08", "2024-11-13", "2024-11-15"])
    assert macro_level(macro, "inflation", pd.Series(fridays)).tolist() == [2.0, 2.4, 2.4, 2.6, 2.6]


def test_the_figures_of_a_synthetic_month_are_released_after_it() -> None:
    macro = generate_market(SyntheticSettings("world", tickers=1, start="2020-01-01", end="2020-12-31")).macro
    assert macro is not None
    for series, day, month in (("inflation", 12, None), ("unemployment", 7, None), ("gdp_growth", 1, {2, 5, 8, 11})):
        released = macro.loc[macro["series"] == series, "release_date"].dt
        assert set(released.day) == {day}
        assert month is None or set(released.month) == month


def test_the_latest_release_counts_whatever_the_order_of_the_file() -> None:
    released = pd.to_datetime(["2024-11-20", "2024-10-01", "2024-11-13", "2024-11-27"])
    macro = pd.DataFrame({"series": "inflation", "release_date": released, "value": [3.0, 1.0, 2.0, 4.0]})
    assert november(macro=macro).xs("MSFT", level="ticker")["macro_inflation"].tolist() == [2.0, 3.0, 4.0]


def test_what_is_not_given_is_filled_by_neutral_values() -> None:
    rows = november()
    neutral = {
        "macro_gdp_growth": 2.0,
        "macro_inflation": 2.0,
        "macro_unemployment": 5.0,
        "macro_interest_rate": 2.0,
        "macro_vix": 20.0,
    } | dict.fromkeys((*GROUPS["news"], *GROUPS["policy"]), 0.0)
    assert rows[list(neutral)].drop_duplicates().to_dict("records") == [neutral]
