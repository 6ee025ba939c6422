"""What a portfolio needs of each row: the return from the price at which it can enter, and the spread.

A row is known at its close, so a position enters at a later price: the next bar's open or close. It is left at the same
price after the period in which the label ends, so that successive positions follow each other without a gap.
"""

import numpy as np
import pandas as pd

from ste.labels.targets import closes_ahead
from ste.market.histories import history_starts, row_groups
from ste.market.ticker_groups import bars_of_rows, values_ahead
from ste.schema import ROW_CLOSE, ROW_PERIOD, SPREAD, TRADED_RETURNS

SPREAD_BARS = 21
"""Pairs of neighbouring bars that an estimate of the spread is the mean of."""


def add_trading(rows: pd.DataFrame, bars: pd.DataFrame, horizon: int, ends: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add `schema.TRADING_COLUMNS` to rows.

    A position of a ticker that has no bar after the period cannot be sold there: it is left at the value of the
    ticker's delisting, or at the last close where none is known. A row without a later bar cannot be entered: its
    returns from the next session are NaN.

    Args:
        rows: output of `feature_rows`, sorted by ticker and date, before those without a label are dropped.
        bars: of the same tickers, adjusted, sorted by ticker and date.
        horizon: periods that a position is held.
        ends: of `delisting.close_ends`, one row per history: values of tickers that ended; None knows none.
    """
    if rows.empty:
        return rows
    starts = history_starts(bars)
    history = row_groups(starts, len(bars))
    at = bars_of_rows(rows, bars)
    follows = np.append(history[1:] == history[:-1], False)[at]
    after = np.minimum(at + 1, len(bars) - 1)
    groups, period = row_groups(history_starts(rows), len(rows)), rows[ROW_PERIOD].to_numpy()
    ahead, close = closes_ahead(rows, horizon, ends), rows[ROW_CLOSE].to_numpy(dtype=np.float64)
    out = {TRADED_RETURNS["same_close"]: ahead / close - 1.0}
    delisted = np.full(len(rows), np.nan) if ends is None else ends["value"].to_numpy(dtype=np.float64)[history[at]]
    for name in ("open", "close"):
        price = bars[name].to_numpy(dtype=np.float64)[after]
        entry = np.where(follows, price, np.nan)
        left = values_ahead(np.where(follows, price, delisted), groups, period, horizon)
        out[TRADED_RETURNS[f"next_{name}"]] = np.where(np.isnan(left), ahead, left) / entry - 1.0
    return rows.assign(**out, **{SPREAD: estimated_spread(bars, starts)[at]})


def estimated_spread(bars: pd.DataFrame, starts: np.ndarray) -> np.ndarray:
    """Estimate the spread from closes, highs and lows, a fraction of the price, `[B]`; NaN in a history's first bar.

    Abdi and Ranaldo (2017), Review of Financial Studies 30(12), equation 11: the root of the mean of
    4 (c - m)(c - m'), 0 where that is negative, with the log close c, the mid of log high and low m, and that of the
    next bar m'; over the last `SPREAD_BARS` pairs of bars that end at the bar. Noise makes it too wide where the
    spread is far below the daily volatility: about 0.2 % for a spread of 0 and a volatility of 1 % a day.

    Args:
        bars: `high`, `low`, `close`, sorted by ticker and date.
        starts: first bar of each history.
    """
    high, low, close = (np.log(bars[name].to_numpy(dtype=np.float64)) for name in ("high", "low", "close"))
    middle = (high + low) / 2.0
    pairs = np.zeros(len(bars))
    pairs[1:] = 4.0 * (close[:-1] - middle[:-1]) * (close[:-1] - middle[1:])
    pairs[starts] = 0.0
    first = starts[row_groups(starts, len(bars))]
    age = np.arange(len(bars)) - first  # pairs of the history that end at the bar or before
    used = np.minimum(age, SPREAD_BARS)
    summed = np.append(0.0, np.cumsum(pairs))
    at = np.arange(len(bars)) + 1
    mean = (summed[at] - summed[at - used]) / np.maximum(used, 1)
    return np.where(used > 0, np.sqrt(np.maximum(mean, 0.0)), np.nan)
