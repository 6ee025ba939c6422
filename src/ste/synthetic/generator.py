"""Generate a synthetic market: daily bars, news, macro releases and policy events.

The exogenous parts (calendar, volatility regime, news, macro, policy) are drawn first. Prices then advance week by
week, since the return model reads bands that the prices themselves form. Within a week the daily path is a Brownian
bridge to the drawn weekly return.

Tickers are drawn in blocks, each from random streams of its own, so that a market may be larger than memory. Calendar,
volatility, macro, policy and the market's shock are drawn once, with the first block; a block's numbers do not
depend on the blocks after it.

Tickers share the market's shock. Each ticker's correlation with it is fixed: its beta is the correlation times its own
risk over the market's, and the remainder is idiosyncratic.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from ste.config import SyntheticSettings
from ste.features.feature_rows import look_back
from ste.features.news import news_features
from ste.market.calendar import Periods
from ste.market.sources import Market
from ste.schema import ROW_PERIOD
from ste.synthetic import return_model
from ste.synthetic.market_conditions import autoregression, draw_macro, draw_policy, draw_vix

SEED_TICKERS = ("AAPL", "MSFT", "GOOGL", "AMZN", "NVDA", "META", "TSLA")
_SETTLED = 60  # sessions before the look-back of the first row: news memory, settled bands
_MIN_LOOKBACK = 100  # sessions, so that the sets with less are computed on the same market
BLOCK = 256
"""Tickers drawn at once. A larger market has other bytes with another block size."""
_WARM_UP = 20  # sessions of a random walk that fill the first bands


def ticker_names(tickers: int | list[str]) -> list[str]:
    """Return the ticker names of a market; a number takes the seed document's seven first, then T0007 and so on."""
    if isinstance(tickers, list):
        return sorted(tickers)
    numbered = [f"T{i:04d}" for i in range(len(SEED_TICKERS), tickers)]
    return sorted([*SEED_TICKERS[:tickers], *numbered])


def generate_market(settings: SyntheticSettings) -> Market:
    """Generate the daily sources of a market; the same settings give the same numbers.

    The bars start early enough for the first row's look-back and end late enough for the last row's label.

    Args:
        settings: of the market.
    """
    blocks = list(generate_market_blocks(settings))
    bars, news = (
        pd.concat([getattr(block, kind).astype({"ticker": str}) for block in blocks], ignore_index=True)
        for kind in ("bars", "news")
    )
    return replace(blocks[0], bars=bars, news=news)


def generate_market_blocks(settings: SyntheticSettings) -> Iterator[Market]:
    """Generate a market block by block of tickers, `ticker` as a category; macro and policy are the same in each."""
    days, tickers = _days(settings), ticker_names(settings.tickers)
    # One stream per part: another draw in one part leaves the other parts unchanged.
    market, news, macro, policy, prices = np.random.SeedSequence(settings.seed).spawn(5)
    vix = draw_vix(np.random.default_rng(market), len(days))
    events = draw_policy(np.random.default_rng(policy), days)
    releases = draw_macro(np.random.default_rng(macro), days, vix, events)
    shared: _MarketShocks | None = None
    for number, start in enumerate(range(0, len(tickers), BLOCK)):
        block = tickers[start : start + BLOCK]
        articles = _news(_stream(news, number), days, block)
        bars, shared = _bars(
            _stream(prices, number), days, _weeks(settings), block, vix, articles, settings.signal, shared
        )
        yield Market(bars=bars, news=articles, macro=releases, policy=events, calendar=settings.periods.calendar)


def _days(settings: SyntheticSettings) -> pd.DatetimeIndex:
    start, end = pd.Timestamp(settings.start), pd.Timestamp(settings.end)
    weeks, periods = _weeks(settings), settings.labels.horizon + 1
    beyond = pd.DateOffset(months=periods) if settings.frequency == "monthly" else pd.DateOffset(weeks=periods)
    lookback = look_back(settings.feature_set, settings.periods.bars) if settings.feature_set.from_bars else 0
    burn_in = max(lookback, _MIN_LOOKBACK) + _SETTLED
    days = weeks.calendar.sessions(start - pd.Timedelta(days=int(burn_in * 1.5)), end + beyond)
    days = days[weeks.index(days) > weeks.index(days[:1])[0]]  # a complete first week
    return days[days <= weeks.ends(days)[-2]]  # and a complete last one


def _weeks(settings: SyntheticSettings) -> Periods:
    """Return the weeks that returns are drawn for, at every frequency of the rows."""
    return Periods("weekly", settings.periods.calendar)


def _stream(part: np.random.SeedSequence, block: int) -> np.random.Generator:
    """Return a part's random stream for a block of tickers; the first block has the part's own stream."""
    own = np.random.SeedSequence(part.entropy, spawn_key=(*part.spawn_key, block)) if block else part
    return np.random.default_rng(own)


def _news(rng: np.random.Generator, days: pd.DatetimeIndex, tickers: list[str]) -> pd.DataFrame:
    """Draw news per ticker and day: Poisson counts at a varying rate, persistent sentiment."""
    shape = (len(days), len(tickers))
    rate = rng.lognormal(np.log(2.0), 0.4, len(tickers))
    buzz = autoregression(rng, shape, persistence=0.9, scale=0.6)
    mood = autoregression(rng, shape, persistence=0.93, scale=0.35)
    count = rng.poisson(rate * np.exp(buzz))
    sentiment = np.tanh(mood + rng.normal(0.0, 0.4, shape) / np.sqrt(np.maximum(count, 1)))
    relevance = rng.beta(6.0, 3.0, shape)
    at, who = np.nonzero(count.T)
    return pd.DataFrame(
        {
            "ticker": pd.Categorical.from_codes(at, dtype=pd.CategoricalDtype(tickers)),
            "date": days[who],
            "count": count.T[at, who],
            "sentiment": sentiment.T[at, who],
            "relevance": relevance.T[at, who],
        }
    )


def _bars(
    rng: np.random.Generator,
    days: pd.DatetimeIndex,
    weeks: Periods,
    tickers: list[str],
    vix: np.ndarray,
    articles: pd.DataFrame,
    signal: float,
    shared: "_MarketShocks | None",
) -> tuple[pd.DataFrame, "_MarketShocks"]:
    """Draw daily bars, sorted by ticker and date.

    Returns:
        The bars, and the market's shocks: `shared`, or newly drawn where it is None.
    """
    n_days, n = len(days), len(tickers)
    ends = weeks.ends(days)
    last = days.get_indexer(ends)
    first = np.append(0, last[:-1] + 1)

    price = rng.lognormal(np.log(120.0), 0.5, n)
    correlation = rng.uniform(0.3, 0.65, n)
    typical_volume = rng.lognormal(np.log(2.5e7), 0.7, n)
    weekly, weekly_shared = _blend(rng, correlation, len(ends), shared and shared.weekly)
    daily, daily_shared = _blend(rng, correlation, n_days, shared and shared.daily)
    gaps, reach, churn = rng.standard_normal((3, n_days, n))
    reach = np.abs(reach)

    memory, count = _weekly_news(articles, ends, weeks, tickers)
    log_price = np.empty((n_days, n))
    hectic = np.empty((n_days, n))  # log risk of each day over its typical value
    level = np.log(price)
    for w, (a, b) in enumerate(zip(first, last + 1, strict=True)):
        if a < _WARM_UP:
            risk_log = np.full(n, return_model.risk(np.array(vix[max(a - 1, 0)]), np.array(return_model.BAND)))
            edges = np.zeros(n)
        else:
            closes = np.exp(log_price[a - 20 : a])
            middle, half = closes.mean(axis=0), 2.0 * closes.std(axis=0)
            risk_log = return_model.risk(vix[a - 1], 2 * half / middle)
            edges = return_model.edge(memory[w - 1], count[w - 1], vix[a - 1], (closes[-1] - middle) / half)
        mu, sigma = return_model.moments(signal, risk_log, edges)
        log_return = mu + sigma * weekly[w]
        # The bridge has the full regime at every signal: days look alike, the weekly sums do not.
        noise = daily[a:b] - daily[a:b].mean(axis=0)
        steps = log_return / (b - a) + return_model.SIGMA / np.sqrt(weeks.bars) * np.exp(risk_log) * noise
        log_price[a:b] = level + np.cumsum(steps, axis=0)
        hectic[a:b] = risk_log
        level = log_price[b - 1]

    scale = return_model.SIGMA / np.sqrt(weeks.bars) * np.exp(hectic)
    close = np.exp(log_price)
    previous = np.vstack([price[None], close[:-1]])
    opened = previous * np.exp(0.3 * scale * gaps)
    high = np.maximum(opened, close) * np.exp(0.4 * scale * reach)
    low = np.minimum(opened, close) * np.exp(-0.4 * scale * reach[::-1])
    move = np.abs(np.log(close / previous)) / scale
    volume = np.round(typical_volume * np.exp(0.6 * hectic + 0.15 * move + 0.2 * churn))
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    bars = pd.DataFrame(
        {
            "ticker": pd.Categorical.from_codes(np.repeat(np.arange(n), n_days), dtype=pd.CategoricalDtype(tickers)),
            "date": np.tile(days.to_numpy(), n),
            **{name: values.T.ravel() for name, values in columns.items()},
        },
        copy=False,
    )
    return bars, _MarketShocks(weekly_shared, daily_shared)


def _blend(
    rng: np.random.Generator, correlation: np.ndarray, n: int, shared: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return standard normal shocks `[n, tickers]` with the given correlations to a shared one `[n, 1]`, and that."""
    shared = rng.standard_normal((n, 1)) if shared is None else shared
    own = rng.standard_normal((n, len(correlation)))
    return correlation * shared + np.sqrt(1.0 - correlation**2) * own, shared


class _MarketShocks(NamedTuple):
    """The market's shocks of weeks `[weeks, 1]` and days `[days, 1]`, shared by all tickers."""

    weekly: np.ndarray
    daily: np.ndarray


def _weekly_news(
    articles: pd.DataFrame, ends: pd.DatetimeIndex, periods: Periods, tickers: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return sentiment memory and news count at each week's close as the table has them, `[weeks, tickers]` each."""
    weeks = periods.index(ends)
    who = pd.Categorical.from_codes(np.tile(np.arange(len(tickers)), len(weeks)), dtype=pd.CategoricalDtype(tickers))
    rows = pd.DataFrame({"ticker": who, ROW_PERIOD: np.repeat(weeks, len(tickers))})
    table = news_features(rows, articles, periods)
    sentiment, count = (
        table[name].to_numpy().reshape(len(weeks), len(tickers)) for name in ("news_sentiment", "news_count")
    )
    memory = np.zeros_like(sentiment)
    for lag, weight in enumerate(return_model.MEMORY):
        memory[lag:] += weight * sentiment[: len(sentiment) - lag]
    return memory, count
