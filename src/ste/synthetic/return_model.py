r"""The return model of a synthetic market: next week's return as a function of columns of the weekly table.

Given the features up to a week's close, the coming week's log return of a ticker is exactly normal,

    r ~ N(mu, sigma^2),    sigma = SIGMA * exp(spread(signal) * h),
    mu = DRIFT + signal * EDGE * sigma * z,

where `h` (risk) and `z` (edge) are functions of the table's own columns:

    h = clip(0.5 log(vix / VIX) + 0.4 log(band width / BAND), -RANGE, RANGE)
    z = a m (1 + b u) + c g n

    m  sentiment memory: the last four weeks' sentiment, weighted 0.4, 0.3, 0.2, 0.1
    u  stress: tanh(log(vix / VIX) / 0.3); news moves prices more in bad times
    g  place of the close between its bands, -1 at the lower and 1 at the upper
    n  attention: tanh of log news count; a move continues with news and reverses without

At signal 0 both the mean and the risk are constants: no feature has information about any class.
The two interactions follow what is reported of real markets: stronger effects of sentiment in
recessions (Garcia 2013, Journal of Finance 68(3)), drift after news and reversal without (Chan 2003,
Journal of Financial Economics 70(2)). Their sizes are ours.
"""

import numpy as np
import pandas as pd
from scipy.special import ndtr

MEMORY = (0.4, 0.3, 0.2, 0.1)
"""Weights of the sentiment of this week and of the three weeks before."""

SIGMA = 0.03
DRIFT = 0.002
EDGE = 1.0
VIX = 19.0
BAND = 0.085
RANGE = 0.9
NEWS = 15.0
SENTIMENT = 0.22
"""Typical weekly risk and mean (log), typical VIX, band width, news count; scale of the memory."""

COLUMNS = ("macro_vix", "stock_bb_upper", "stock_bb_lower", "stock_close", "news_sentiment", "news_count")
"""Columns of `weekly21` that decide the coming return."""


def spread(signal: float) -> float:
    """Return the fraction of the risk's variation that the features reveal; 1 from the default signal of 0.4 on."""
    return min(1.0, signal / 0.4)


def risk(vix: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the log of the week's risk over its typical value, before `spread`.

    Args:
        vix: VIX at the close, percent.
        width: upper less lower Bollinger band, over the middle one.
    """
    return np.clip(0.5 * np.log(vix / VIX) + 0.4 * np.log(width / BAND), -RANGE, RANGE)


def edge(memory: np.ndarray, count: np.ndarray, vix: np.ndarray, band_position: np.ndarray) -> np.ndarray:
    """Return the expected return in units of the week's risk, before `signal`; about unit variance.

    Args:
        memory: weighted sentiment of the last four weeks, -1 to 1.
        count: news items of the week.
        vix: VIX at the close, percent.
        band_position: close less middle band, over half the band width.
    """
    stress = np.tanh(np.log(vix / VIX) / 0.3)
    attention = np.tanh(np.log((1.0 + count) / NEWS))
    trend = np.clip(band_position, -1.5, 1.5)
    return 0.85 * memory / SENTIMENT * (1.0 + 0.6 * stress) + 0.8 * trend * attention


def moments(signal: float, risk_log: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the coming week's log return.

    Args:
        signal: of the market, 0 to 1.
        risk_log: of `risk`.
        edges: of `edge`.
    """
    sigma = SIGMA * np.exp(spread(signal) * risk_log)
    return DRIFT + signal * EDGE * sigma * edges, sigma


def table_moments(rows: pd.DataFrame, signal: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the log return one week after each row, float64 `[N]` each.

    Args:
        rows: `COLUMNS` sorted by ticker and week, without a missing week.
        signal: of the market, 0 to 1.

    Returns:
        NaN in a ticker's first three rows, whose sentiment memory starts before the table.
    """
    vix = rows["macro_vix"].to_numpy()
    half = (rows["stock_bb_upper"] - rows["stock_bb_lower"]).to_numpy() / 2
    middle = (rows["stock_bb_upper"] + rows["stock_bb_lower"]).to_numpy() / 2
    sentiment = rows.groupby("ticker", sort=False)["news_sentiment"]
    memory = np.zeros(len(rows))
    for lag, weight in enumerate(MEMORY):
        memory += weight * sentiment.shift(lag).to_numpy()
    band_position = (rows["stock_close"].to_numpy() - middle) / half
    edges = edge(memory, rows["news_count"].to_numpy(), vix, band_position)
    return moments(signal, risk(vix, 2 * half / middle), edges)


def probabilities(mu: np.ndarray, sigma: np.ndarray, *edges: np.ndarray | float) -> np.ndarray:
    """Return the probability of each trend of normal log returns, float64 `[N, trends]`.

    Args:
        mu: mean of the log return, float64 `[N]`, from `table_moments`.
        sigma: its standard deviation.
        edges: simple returns between the trends, ascending, an even number of them.
    """
    middle = len(edges) // 2
    below = [ndtr((np.log1p(edge) - mu) / sigma) for edge in edges[:middle]]
    above = [ndtr((mu - np.log1p(edge)) / sigma) for edge in edges[middle:]]
    down, up = np.diff(below, axis=0, prepend=0.0), -np.diff(above, axis=0, append=0.0)
    return np.stack([*down, 1.0 - below[-1] - above[0], *up], axis=1)
