"""Compute the feature rows of a table from daily sources, with past data only.

This is the one engine for tables, bulk prediction and the service. Each group of columns has its own module: technical
indicators, price ratios, news, macro and policy.
"""

from typing import Any

import numpy as np
import pandas as pd

from ste.features.macro import macro_features
from ste.features.news import news_features
from ste.features.policy import policy_features
from ste.features.price_ratios import price_features
from ste.features.technical_indicators import stock_features
from ste.market.histories import history_starts
from ste.market.sources import Market
from ste.schema import FEATURE_SETS, KEYS, ROW_CLOSE, ROW_PERIOD, ROW_VOLATILITY


def feature_rows(market: Market, frequency: str = "weekly", features: str = "full") -> pd.DataFrame:
    """Compute the feature rows of every ticker and period, without labels.

    Args:
        market: daily sources; bars sorted by ticker and date.
        frequency: `weekly`, `daily` or `monthly`: the period of a row.
        features: name of the feature set.

    Returns:
        `date`, `ticker`, the features, `period` (index of the week, session or month), `close` (adjusted close of the
        period's last session, dollars) and `volatility` (standard deviation of 20 log returns from bar to bar,
        times the root of the bars in a period), sorted by ticker and date. A row exists where the ticker traded on the
        period's last session and has the feature set's look-back of bars by then, all of its present history
        (`market.histories`).
    """
    bars = market.bars
    lookback = FEATURE_SETS[features].lookback
    periods = market.periods(frequency)
    period = periods.index(bars["date"])
    # One segment per history and period; a segment's last bar carries the row.
    starts = history_starts(bars)
    first_of_period = np.append(True, np.diff(period) != 0)
    first_of_period[starts] = True
    first = np.flatnonzero(first_of_period)
    last = np.append(first[1:], len(bars)) - 1
    age = last - np.repeat(starts, np.diff(np.append(np.searchsorted(first, starts), len(first)))) + 1
    dates = bars["date"].to_numpy()[last]
    complete = age >= lookback
    if frequency != "daily":
        complete &= dates == periods.last_sessions(dates).to_numpy()
    if features == "full":
        stock = stock_features(bars, starts, first, last, complete, lookback)
    else:
        stock = price_features(bars, starts, last[complete], lookback)
    last = last[complete]
    stock[ROW_VOLATILITY] *= np.sqrt(market.bars_per_period(frequency))
    keys = bars[["date", "ticker"]].iloc[last].reset_index(drop=True)
    columns: dict[str, Any] = {"date": keys["date"], "ticker": keys["ticker"], ROW_PERIOD: period[last]}
    columns |= stock | {ROW_CLOSE: bars["close"].to_numpy()[last]}
    rows = pd.DataFrame(columns, copy=False)
    if features == "full":
        for group in (
            news_features(rows, market.news, periods),
            macro_features(rows, market.macro),
            policy_features(rows, market.policy, periods),
        ):
            columns |= {str(name): group[name] for name in group}
        rows = pd.DataFrame(columns, copy=False)
    return rows[[*KEYS, *FEATURE_SETS[features].names, ROW_PERIOD, ROW_CLOSE, ROW_VOLATILITY]]
