"""Leaks in daily sources: bars, news, macro series and policy events."""
# ruff: noqa: D103 - the decorator names what a function plants

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ste.market.sources import Market
from studies.planted_leaks.columns import MISSED, OWN
from studies.planted_leaks.leak import LEAKS

MONTHLY = ("inflation", "unemployment")


def news_of(m: Market) -> pd.DataFrame:
    """The news, which every market of the study has."""
    assert m.news is not None
    return m.news


def macro_of(m: Market) -> pd.DataFrame:
    """The macro releases."""
    assert m.macro is not None
    return m.macro


def policy_of(m: Market) -> pd.DataFrame:
    """The policy events."""
    assert m.policy is not None
    return m.policy


def bars_of(m: Market, column: str) -> Any:
    """A column of the bars by ticker."""
    return m.bars.groupby("ticker", observed=True)[column]


def sessions(m: Market) -> pd.DatetimeIndex:
    """Days with bars."""
    return pd.DatetimeIndex(np.sort(m.bars["date"].unique()))


def session_before(m: Market, dates: pd.Series) -> np.ndarray:
    """The session before the one at or after each date."""
    days = sessions(m)
    return days[np.maximum(days.searchsorted(pd.DatetimeIndex(dates)) - 1, 0)].to_numpy()


@LEAKS.market("one ticker's bars a session early", MISSED, "bars")
def early_bars(m: Market, r: np.random.Generator) -> Market:
    chosen = (m.bars["ticker"] == m.bars["ticker"].unique()[3]).to_numpy()
    moved = {
        c: m.bars[c].mask(chosen, bars_of(m, c).shift(-1)) for c in map(str, m.bars) if c not in ("ticker", "date")
    }
    return replace(m, bars=m.bars.assign(**moved).dropna(subset=["close"]).reset_index(drop=True))


@LEAKS.market("Monday's news dated Friday", MISSED, "news")
def monday_news(m: Market, r: np.random.Generator) -> Market:
    mondays = news_of(m)["date"].dt.day_of_week == 0
    return replace(
        m,
        news=_merged(
            news_of(m).assign(date=news_of(m)["date"].where(~mondays, news_of(m)["date"] - pd.Timedelta(days=3)))
        ),
    )


@LEAKS.market("all news a day early", MISSED, "news", missed="news that comes on no session in particular")
def early_news(m: Market, r: np.random.Generator) -> Market:
    if news_of(m)["date"].dt.day_of_week.max() > 4:  # calendar days
        return replace(m, news=news_of(m).assign(date=news_of(m)["date"] - pd.Timedelta(days=1)))
    return replace(m, news=_merged(news_of(m).assign(date=session_before(m, news_of(m)["date"]))))


def _merged(news: pd.DataFrame) -> pd.DataFrame:
    """Rows of a ticker and day as one: counts are added, other columns averaged."""
    return news.groupby(["ticker", "date"], as_index=False, observed=True).agg(
        {"count": "sum", "sentiment": "mean", "relevance": "mean"}
    )


@LEAKS.market("macro figures at the end of their month", MISSED, "inflation")
def month_end(m: Market, r: np.random.Generator) -> Market:
    return replace(m, macro=_dated(macro_of(m), pd.offsets.MonthEnd(-1)))


@LEAKS.market("macro figures a day after their month", MISSED, "inflation")
def month_start(m: Market, r: np.random.Generator) -> Market:
    return replace(m, macro=_dated(macro_of(m), pd.offsets.MonthBegin(-1)))


def _dated(macro: pd.DataFrame, offset: Any) -> pd.DataFrame:
    """Monthly figures, which are published in the month after their own, dated by an offset from there."""
    monthly = macro["series"].isin(MONTHLY)
    return macro.assign(release_date=macro["release_date"].mask(monthly, macro["release_date"] + offset))


@LEAKS.market("the next day's volume", MISSED, "volume")
def early_volume(m: Market, r: np.random.Generator) -> Market:
    return replace(m, bars=m.bars.assign(volume=bars_of(m, "volume").shift(-1).fillna(m.bars["volume"])))


@LEAKS.market("a fifth of the closes interpolated", MISSED, "close")
def interpolated_closes(m: Market, r: np.random.Generator) -> Market:
    middle = (bars_of(m, "close").shift(1) + bars_of(m, "close").shift(-1)) / 2
    chosen = r.random(len(m.bars)) < 0.2
    bars = m.bars.assign(close=m.bars["close"].mask(chosen & middle.notna().to_numpy(), middle))
    return replace(m, bars=_within(bars))


def _within(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars whose high and low hold their close."""
    return bars.assign(high=bars[["high", "close"]].max(axis=1), low=bars[["low", "close"]].min(axis=1))


@LEAKS.market("an index of volatility a session early", OWN, "vix")
def early_vix(m: Market, r: np.random.Generator) -> Market:
    daily = macro_of(m)["series"] == "vix"
    early = macro_of(m)[daily].sort_values("release_date")
    early = early.assign(value=early["value"].shift(-1)).dropna()
    return replace(m, macro=pd.concat([macro_of(m)[~daily], early], ignore_index=True))


@LEAKS.market("missing bars (three in a hundred) filled backwards", OWN, "filled bars")
def back_filled_bars(m: Market, r: np.random.Generator) -> Market:
    chosen = r.random(len(m.bars)) < 0.03
    filled = {
        c: m.bars[c].mask(chosen, bars_of(m, c).shift(-1)).fillna(m.bars[c]) for c in ("open", "high", "low", "close")
    }
    return replace(m, bars=m.bars.assign(**filled))


@LEAKS.market("high and low of today and tomorrow", OWN, "high")
def wide_ranges(m: Market, r: np.random.Generator) -> Market:
    high = np.fmax(m.bars["high"], bars_of(m, "high").shift(-1))
    return replace(m, bars=m.bars.assign(high=high, low=np.fmin(m.bars["low"], bars_of(m, "low").shift(-1))))


@LEAKS.market(
    "one ticker's news a session early", OWN, "news", missed="its news does not move with its own session either"
)
def one_tickers_news(m: Market, r: np.random.Generator) -> Market:
    chosen = news_of(m)["ticker"] == news_of(m)["ticker"].unique()[2]
    return replace(
        m, news=_merged(news_of(m).assign(date=news_of(m)["date"].mask(chosen, session_before(m, news_of(m)["date"]))))
    )


@LEAKS.market(
    "macro figures as revised a year later",
    OWN,
    "macro",
    missed="a file holds one value per figure; `known_at` of each revision is needed",
)
def revised(m: Market, r: np.random.Generator) -> Market:
    slow = macro_of(m)["series"] == "gdp_growth"
    noise = pd.Series(r.normal(0, 0.3, len(macro_of(m))), macro_of(m).index)
    return replace(m, macro=macro_of(m).assign(value=macro_of(m)["value"].mask(slow, macro_of(m)["value"] + noise)))


@LEAKS.market("the next open as close", OWN, "close")
def next_open(m: Market, r: np.random.Generator) -> Market:
    return replace(m, bars=m.bars.assign(close=bars_of(m, "open").shift(-1).fillna(m.bars["close"])))


@LEAKS.market(
    "policy events a week early",
    OWN,
    "policy",
    missed="some ten events a year; compare their dates with the public calendar",
)
def early_policy(m: Market, r: np.random.Generator) -> Market:
    return replace(m, policy=policy_of(m).assign(date=policy_of(m)["date"] - pd.Timedelta(days=7)))
