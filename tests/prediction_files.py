"""Predictions as other tools write them, for tests: each function repeats what the tool's own code does."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

TICKERS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")


@dataclass(frozen=True)
class SmallMarket:
    """Closes of six tickers on business days, and files of their bars."""

    close: pd.DataFrame
    bars: Path

    @classmethod
    def write(cls, folder: Path, days: int = 160, seed: int = 0, start: str = "2020-01-06") -> "SmallMarket":
        rng = np.random.default_rng(seed)
        index = pd.bdate_range(start, periods=days, name="date")
        moves = rng.normal(0, 0.02, (days, len(TICKERS)))
        close = pd.DataFrame((100 * np.exp(moves.cumsum(axis=0))).round(6), index=index, columns=TICKERS)
        long = close.rename_axis(columns="ticker").stack().rename("close").reset_index()
        opened = long["close"] * np.exp(rng.normal(0, 0.003, len(long)))
        high, low = long["close"].combine(opened, max) * 1.01, long["close"].combine(opened, min) * 0.99
        bars = long.assign(open=opened, high=high, low=low, volume=1000)
        path = folder / "bars.csv"
        bars.to_csv(path, index=False)
        return cls(close, path)

    def returns(self, horizon: int = 1) -> pd.DataFrame:
        return self.close.shift(-horizon) / self.close - 1.0


def qlib_score(market: SmallMarket, last: int = 80, seed: int = 1) -> pd.DataFrame:
    """`SignalRecord` of Qlib: `pred.to_frame("score")` with the index datetime, instrument."""
    index = pd.MultiIndex.from_product([market.close.index[-last:], TICKERS], names=["datetime", "instrument"])
    return pd.Series(np.random.default_rng(seed).normal(size=len(index)), index=index).to_frame("score")


def qlib_label(market: SmallMarket) -> pd.DataFrame:
    """`label.pkl` of Qlib: the column LABEL0 with the same index."""
    long = market.returns().stack().rename_axis(["datetime", "instrument"])
    return long.rename("LABEL0").to_frame()


def sklearn_notebook(market: SmallMarket, classes: list, last: int = 80, seed: int = 2) -> pd.DataFrame:
    """`pd.DataFrame(clf.predict_proba(X_test), columns=clf.classes_, index=X_test.index)`."""
    index = pd.MultiIndex.from_product([market.close.index[-last:], TICKERS], names=["date", "ticker"])
    probs = np.random.default_rng(seed).dirichlet(np.full(len(classes), 4.0), len(index))
    return pd.DataFrame(probs, columns=np.array(classes), index=index)


def freqai_candles(rows: int = 600, seed: int = 3) -> pd.DataFrame:
    """The dataframe of one pair that FreqAI returns to a strategy: candles, targets, do_predict, DI_values."""
    rng = np.random.default_rng(seed)
    date = pd.date_range("2024-01-01", periods=rows, freq="1h", tz="UTC")
    close = 40000 * np.exp(np.cumsum(rng.normal(0, 0.004, rows)))
    return pd.DataFrame(
        {
            "date": date,
            "open": close,
            "high": close * 1.001,
            "low": close * 0.999,
            "close": close,
            "volume": 1.0,
            "&-s_close": rng.normal(0, 0.01, rows),
            "&-s_close_mean": 0.0,
            "&-s_close_std": 0.01,
            "do_predict": rng.choice([1, 1, 1, 0], rows),
            "DI_values": 0.5,
        }
    )


def darts_forecasts(market: SmallMarket, last: int = 80, seed: int = 4) -> pd.DataFrame:
    """`TimeSeries.to_csv` of darts: its dataframe, indexed by time, a column for each component."""
    rng = np.random.default_rng(seed)
    forecasts = market.close.shift(1) * np.exp(rng.normal(0, 0.01, market.close.shape))
    return forecasts.iloc[-last:].rename_axis("time")


def nixtla_cross_validation(market: SmallMarket, last: int = 80, steps: int = 2, seed: int = 5) -> pd.DataFrame:
    """`StatsForecast.cross_validation(h=steps, step_size=1)`: unique_id, ds, cutoff, y, the model, its intervals."""
    rng = np.random.default_rng(seed)
    days, rows = market.close.index, []
    for ticker in TICKERS:
        series = market.close[ticker]
        for at in range(len(days) - last, len(days) - steps):
            for ahead in range(1, steps + 1):
                forecast = series.iloc[at] * np.exp(rng.normal(0, 0.01))
                rows.append((ticker, days[at + ahead], days[at], series.iloc[at + ahead], forecast))
    frame = pd.DataFrame(rows, columns=["unique_id", "ds", "cutoff", "y", "AutoARIMA"])
    return frame.assign(**{"AutoARIMA-lo-90": frame["y"] * 0.9, "AutoARIMA-hi-90": frame["y"] * 1.1})
