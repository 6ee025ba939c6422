"""Leaks in daily sources: bars, volumes, news and macro series on the wrong day, and bars that need a later one."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ste.leakage.bar_timing import early_series, early_tickers, early_volumes, session_returns
from ste.leakage.bar_values import bar_values
from ste.leakage.check_result import CheckResult
from ste.leakage.news_dates import early_news
from ste.leakage.odd_bars import odd_bars
from ste.leakage.release_dates import early_releases
from ste.market.sources import Market
from studies.planted_leaks import bases, sources

MarketPlant = Callable[[Market, np.random.Generator], Market]
MarketCheck = Callable[[Market], CheckResult]


@pytest.fixture(scope="module")
def market() -> Market:
    """Eight tickers, five years; news and VIX belong to the session that they are dated by."""
    return bases.synthetic_market()


def timing(m: Market) -> CheckResult:
    return early_tickers(m.bars)


def volumes(m: Market) -> CheckResult:
    return early_volumes(m.bars)


def values(m: Market) -> CheckResult:
    return bar_values(m.bars)


def ranges(m: Market) -> CheckResult:
    return odd_bars(m.bars)


def series(m: Market) -> CheckResult:
    return early_series(m.bars, m.macro)


def releases(m: Market) -> CheckResult:
    return early_releases(m.macro)


def news(m: Market) -> CheckResult:
    return early_news(m.bars, m.news)


@pytest.mark.parametrize("check", [timing, volumes, values, ranges, series, releases, news], ids=lambda c: c.__name__)
def test_a_clean_market_raises_no_alarm(market: Market, check: MarketCheck):
    result = check(market)
    assert (result.alarms, result.notes, result.ran) == ((), (), True)


@pytest.mark.parametrize(
    ("check", "plant", "where"),
    [
        (timing, sources.early_bars, "bars: "),
        (volumes, sources.early_volume, "bars: volume"),
        (values, sources.interpolated_closes, "bars: close"),
        (values, sources.back_filled_bars, "bars: filled bars"),
        (values, sources.wide_ranges, "bars: high and low"),
        (ranges, sources.next_open, "bars: close"),
        (series, sources.early_vix, "macro: series vix"),
        (releases, sources.month_end, "macro: series "),
        (releases, sources.month_start, "macro: series "),
        (news, sources.monday_news, "news: news of Mondays"),
        (news, sources.early_news, "news: "),
        (news, sources.one_tickers_news, "news: "),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_planted_leak_is_named(market: Market, check: MarketCheck, plant: MarketPlant, where: str):
    found = check(plant(market, np.random.default_rng(1))).alarms
    assert found
    assert all(alarm.where.startswith(where) for alarm in found)


def test_only_the_ticker_that_is_early_is_named(market: Market):
    name = market.bars["ticker"].unique()[3]
    [alarm] = timing(sources.early_bars(market, np.random.default_rng(1))).alarms
    assert alarm.where == f"bars: {name}"
    returns = session_returns(market.bars)
    others = (returns / returns.std(ddof=0)).clip(-4, 4).drop(columns=name).mean(axis=1)
    own = (returns[name] / returns[name].std(ddof=0)).clip(-4, 4)
    same = float(alarm.seen.split("is ")[1].split(" ")[0])
    assert same == pytest.approx(own.shift(-1).corr(others), abs=0.01)


def test_a_ticker_that_follows_a_session_late_is_a_note(market: Market):
    chosen = (market.bars["ticker"] == market.bars["ticker"].unique()[3]).to_numpy()
    late = market.bars.groupby("ticker")["close"].shift(1)
    result = early_tickers(market.bars.assign(close=market.bars["close"].mask(chosen, late)).dropna())
    assert result.alarms == ()
    assert "dated a session late" in result.notes[0]


def test_bars_that_were_filled_forwards_are_no_alarm(market: Market):
    chosen = np.random.default_rng(2).random(len(market.bars)) < 0.03
    prices = ["open", "high", "low", "close"]
    filled = {
        c: market.bars[c].mask(chosen, market.bars.groupby("ticker")[c].shift(1)).fillna(market.bars[c]) for c in prices
    }
    assert bar_values(market.bars.assign(**filled)).alarms == ()


def test_prices_in_cents_lie_halfway_by_chance():
    rng = np.random.default_rng(3)
    close = np.round(8 + np.cumsum(rng.normal(0, 0.03, 4000)).clip(-5, 50), 2)
    dates = pd.bdate_range("2005-01-03", periods=4000)
    bars = pd.DataFrame(
        {"ticker": "A", "date": dates, "open": close, "high": close + 0.01, "low": close - 0.01, "close": close}
    )
    assert [alarm for alarm in bar_values(bars).alarms if "halfway" in alarm.seen] == []


@pytest.mark.parametrize(
    ("name", "offset", "sessions", "alarms", "notes"),
    [
        ("cpi", pd.offsets.MonthEnd(0), False, 1, 0),
        ("cpi", pd.offsets.BMonthEnd(0), True, 1, 0),
        ("sentiment_survey", pd.offsets.BMonthEnd(0), True, 0, 1),
        ("sentiment_survey", pd.offsets.MonthEnd(0), False, 1, 0),
        ("cpi", pd.DateOffset(days=12), False, 0, 0),
    ],
)
def test_dates_at_the_turn_of_a_month(name: str, offset: pd.DateOffset, sessions: bool, alarms: int, notes: int):
    days = pd.date_range("2010-01-01", periods=60, freq="MS") + offset
    macro = pd.DataFrame({"series": name, "release_date": days, "value": np.arange(60.0)})
    result = early_releases(macro)
    assert (len(result.alarms), len(result.notes)) == (alarms, notes)


def test_news_by_calendar_day_that_is_quiet_on_friday_and_saturday(market: Market):
    days = pd.date_range("2018-01-01", "2019-12-31")
    per_day = np.where(days.day_of_week >= 5, 2, 6)
    rows = pd.DataFrame({"ticker": "A", "date": days, "count": per_day, "sentiment": 0.0})
    assert early_news(market.bars, rows).alarms == ()
    [alarm] = early_news(market.bars, rows.assign(date=rows["date"] - pd.Timedelta(days=1))).alarms
    assert "the two quiet days of the week are Friday and Saturday" in alarm.seen
