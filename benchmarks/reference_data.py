"""The data references: a synthetic market by plain Python, row by row, and windows by pandas.

Both are simple but not slow on purpose: every step is needed for the result.
"""

import csv
import math
import random
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config.feature_sets import DEFAULT, load_feature_set
from ste.schema import Trend, table_columns

_SET = load_feature_set(DEFAULT)
FEATURES, COLUMNS = _SET.names, table_columns(_SET)

_LOOKBACK = 100  # sessions before a ticker's first row, as in our tables


def generate(path: Path, tickers: int, days: int, seed: int = 0) -> int:
    """Write a daily CSV table with the columns of STE's by loops over tickers and days.

    Args:
        path: file to write.
        tickers: number of tickers.
        days: rows of each ticker; indicators use all closes so far, as STE's recursive indicators do.
        seed: of the random numbers.

    Returns:
        The number of rows.
    """
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    vix = [16.0]
    for _ in range(_LOOKBACK + days):
        vix.append(math.exp(math.log(vix[-1]) + 0.08 * (math.log(18.0) - math.log(vix[-1])) + rng.gauss(0.0, 0.05)))
    shocks = [rng.gauss(0.0, 1.0) for _ in range(_LOOKBACK + days + 1)]
    for number in range(tickers):
        price, mood, buzz = rng.lognormvariate(math.log(120.0), 0.5), 0.0, 0.0
        typical, day, closes = rng.lognormvariate(math.log(2.5e7), 0.7), date(2015, 1, 1), [price]
        for t in range(_LOOKBACK + days + 1):
            day += timedelta(days=3 if day.weekday() == 4 else 1)
            mood = 0.93 * mood + rng.gauss(0.0, 0.13)
            buzz = 0.9 * buzz + rng.gauss(0.0, 0.26)
            items = int(rng.expovariate(1.0 / (2.0 * math.exp(buzz))))
            sentiment = math.tanh(mood + rng.gauss(0.0, 0.4) / math.sqrt(max(items, 1)))
            risk = 0.013 * math.sqrt(vix[min(t, len(vix) - 1)] / 19.0)
            before = closes[-1]
            close = before * math.exp(
                0.0004 + 0.1 * risk * mood + risk * (0.5 * shocks[t] + 0.87 * rng.gauss(0.0, 1.0))
            )
            opened = before * math.exp(0.3 * risk * rng.gauss(0.0, 1.0))
            high = max(opened, close) * math.exp(0.4 * risk * abs(rng.gauss(0.0, 1.0)))
            low = min(opened, close) * math.exp(-0.4 * risk * abs(rng.gauss(0.0, 1.0)))
            if rows and t > _LOOKBACK:  # the targets of the previous row
                movement = close - rows[-1]["stock_close"]
                change = movement / rows[-1]["stock_close"]
                rows[-1]["stock_weekly_return"] = change
                rows[-1]["stock_weekly_movement"] = movement
                trend = Trend.UPTREND if change > 0.01 else Trend.DOWNTREND if change < -0.01 else Trend.NEUTRAL
                rows[-1]["stock_trend_direction"] = int(trend)
            closes.append(close)
            if t < _LOOKBACK or t == _LOOKBACK + days:
                continue
            middle = sum(closes[-20:]) / 20
            spread = math.sqrt(sum((value - middle) ** 2 for value in closes[-20:]) / 20)
            event = rng.random() < 0.03
            rows.append(
                {
                    "date": day.isoformat(),
                    "ticker": f"T{number:04d}",
                    "stock_open": opened,
                    "stock_high": high,
                    "stock_low": low,
                    "stock_close": close,
                    "stock_volume": round(typical * math.exp(0.2 * rng.gauss(0.0, 1.0))),
                    "stock_sma_20": middle,
                    "stock_sma_50": sum(closes[-50:]) / 50,
                    "stock_rsi": _rsi(closes),
                    "stock_macd": _ema(closes, 12) - _ema(closes, 26),
                    "stock_bb_upper": middle + 2 * spread,
                    "stock_bb_lower": middle - 2 * spread,
                    "news_sentiment": sentiment if items else 0.0,
                    "news_count": items,
                    "news_relevance": rng.betavariate(6.0, 3.0) if items else 0.0,
                    "macro_gdp_growth": 2.2 + 0.1 * math.sin(t / 63),
                    "macro_inflation": 2.2 + 0.1 * math.sin(t / 21),
                    "macro_unemployment": 5.0 + 0.1 * math.sin(t / 21),
                    "macro_interest_rate": 2.0 + 0.25 * (t // 250),
                    "macro_vix": vix[min(t, len(vix) - 1)],
                    "policy_event_count": int(event),
                    "policy_impact_score": rng.choice((0.0, 1.0, 2.0)) if event else 0.0,
                }
            )
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _ema(values: list[float], span: int) -> float:
    weight, mean = 2.0 / (span + 1), values[0]
    for value in values[1:]:
        mean += weight * (value - mean)
    return mean


def _rsi(values: list[float], span: int = 14) -> float:
    """Return Wilder's relative strength index."""
    gain = loss = 0.0
    for before, after in pairwise(values):
        change = after - before
        gain += (max(change, 0.0) - gain) / span
        loss += (max(-change, 0.0) - loss) / span
    return 100.0 * gain / (gain + loss) if gain + loss else 50.0


def windows(path: Path, length: int, end: str) -> tuple[np.ndarray, np.ndarray]:
    """Make training windows from daily bars by pandas: features ticker by ticker, then copies of windows.

    Args:
        path: Parquet file of bars.
        length: sessions in a window, T.
        end: first date after the training rows.

    Returns:
        Standardized features, float32 `[N, T, F]`, and labels, int64 `[N]`, of the rows before `end`.
    """
    bars = pd.read_parquet(path)
    table = pd.concat([_features(own) for _, own in bars.groupby("ticker")]).dropna()
    train = table[table["date"] < end].copy()
    columns = list(FEATURES)
    train[columns] = (train[columns] - train[columns].mean()) / (train[columns].std() + 1e-6)
    parts, labels = [], []
    for _, own in train.groupby("ticker"):
        values, classes = own[columns].to_numpy(np.float32), own["label"].to_numpy(np.int64)
        parts += [values[last - length : last] for last in range(length, len(own) + 1)]
        labels.append(classes[length - 1 :])
    return np.stack(parts), np.concatenate(labels)


def _features(own: pd.DataFrame) -> pd.DataFrame:
    close = own["close"]
    mean, spread = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    gain = close.diff().clip(lower=0).ewm(alpha=1 / 14).mean()
    loss = (-close.diff()).clip(lower=0).ewm(alpha=1 / 14).mean()
    stock = {f"stock_{name}": own[name] for name in ("open", "high", "low", "close", "volume")}
    stock |= {
        "stock_sma_20": mean,
        "stock_sma_50": close.rolling(50).mean(),
        "stock_rsi": 100 * gain / (gain + loss),
        "stock_macd": close.ewm(span=12).mean() - close.ewm(span=26).mean(),
        "stock_bb_upper": mean + 2 * spread,
        "stock_bb_lower": mean - 2 * spread,
    }
    rest = {name: 0.0 for name in FEATURES if name not in stock}
    change = close.shift(-1) / close - 1
    label = np.select([change > 0.01, change < -0.01], [2.0, 0.0], 1.0)
    out = pd.DataFrame({"date": own["date"], "ticker": own["ticker"], **stock, **rest, "label": label}, index=own.index)
    return out.iloc[_LOOKBACK - 1 : -1]
