"""Leaks in single columns: values of later periods, encoded labels, predictions."""
# ruff: noqa: D103 - the decorator names what a function plants

from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from ste.schema import DIRECTION, RETURN
from studies.planted_leaks.leak import LEAKS

KNOWN, MISSED, OWN = "known", "missed", "own"


def own(frame: pd.DataFrame, column: str) -> Any:
    """A column by ticker."""
    return frame.groupby("ticker")[column]


def ahead(frame: pd.DataFrame, column: str, steps: int = 1) -> pd.Series:
    """The same ticker's value `steps` rows later, the last ones repeated."""
    return own(frame, column).transform(lambda s: s.shift(-steps).ffill())


@LEAKS.table("the label itself", KNOWN, "news_relevance")
def label(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(news_relevance=f[DIRECTION] / 2)


@LEAKS.table("the coming return with noise", KNOWN, "news_sentiment")
def noisy_return(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(news_sentiment=np.tanh(3 * f[RETURN] + r.normal(0, 0.2, len(f))))


@LEAKS.table("the size of the coming move", KNOWN, "news_count")
def size(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(news_count=np.round(200 * f[RETURN].abs() + r.exponential(3, len(f))))


@LEAKS.table("next week's value of an index", KNOWN, "stock_rsi")
def next_index(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(stock_rsi=ahead(f, "stock_rsi"))


@LEAKS.table("a centred mean of closes", KNOWN, "stock_sma_20")
def centred(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    mean = own(f, "stock_close").transform(lambda s: s.rolling(5, center=True, min_periods=1).mean())
    return f.assign(stock_sma_20=mean)


@LEAKS.table("the market's coming week in a macro column", KNOWN, "macro_inflation")
def market_week(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(macro_inflation=f.groupby("date")[RETURN].transform("mean") * 30 + f["date"].dt.day * 0.02)


@LEAKS.table("a row number", KNOWN, "macro_gdp_growth")
def row_number(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(macro_gdp_growth=f["date"].rank(method="first"))


@LEAKS.table("a feature a week early in one ticker of all", MISSED, "stock_rsi")
def one_ticker_early(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    chosen = f["ticker"] == f["ticker"].unique()[3]
    return f.assign(stock_rsi=f["stock_rsi"].mask(chosen, ahead(f, "stock_rsi")))


@LEAKS.table("a feature a week early in one ticker of seven", MISSED, "stock_rsi")
def one_of_seven(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return one_ticker_early(f[f["ticker"].isin(f["ticker"].unique()[:7])].reset_index(drop=True), r)


@LEAKS.table("the label in the volume modulo 7", MISSED, "stock_volume")
def volume_modulo(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(stock_volume=np.floor(f["stock_volume"] / 7) * 7 + f[DIRECTION])


@LEAKS.table("highest price of the next four weeks, over the close", OWN, "my_high")
def highest(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    top = pd.concat([ahead(f, "stock_high", step) for step in range(1, 5)], axis=1).max(axis=1)
    return f.assign(my_high=top / f["stock_close"])


@LEAKS.table("weeks until the next move above 8 %", OWN, "my_countdown")
def countdown(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    def weeks(moves: pd.Series) -> pd.Series:
        at = np.flatnonzero(moves.abs() > 0.08)
        following = np.searchsorted(at, np.arange(len(moves)))
        return pd.Series(np.append(at, len(moves))[following] - np.arange(len(moves)), moves.index, dtype=float)

    return f.assign(my_countdown=own(f, RETURN).transform(weeks))


@LEAKS.table("an index computed on the reversed history", OWN, "stock_rsi")
def reversed_index(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    def index(close: pd.Series) -> pd.Series:
        back = close[::-1].pct_change(fill_method=None)
        rise = back.clip(lower=0).ewm(alpha=1 / 5).mean()
        fall = (-back.clip(upper=0)).ewm(alpha=1 / 5).mean()
        return (100 * rise / (rise + fall))[::-1].fillna(50.0)

    return f.assign(stock_rsi=own(f, "stock_close").transform(index))


@LEAKS.table("a filter run forwards and backwards over the closes", OWN, "stock_sma_20")
def zero_phase(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    smooth = own(f, "stock_close").transform(lambda s: s.ewm(span=5).mean()[::-1].ewm(span=5).mean()[::-1])
    return f.assign(stock_sma_20=smooth)


@LEAKS.table("predictions of a model trained on all rows", OWN, "my_forecast")
def stacked(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    x = f[["stock_rsi", "stock_macd", "news_sentiment", "news_count", "macro_vix", "stock_volume"]]
    model = HistGradientBoostingRegressor(max_iter=300, max_leaf_nodes=63, random_state=0).fit(x, f[RETURN])
    return f.assign(my_forecast=model.predict(x))


@LEAKS.table("values missing before falls alone", OWN, "my_gaps")
def gaps(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    lost = (f[DIRECTION] == 0) & (r.random(len(f)) < 0.3)
    return f.assign(my_gaps=pd.Series(r.normal(size=len(f)), f.index).mask(lost))


@LEAKS.table("two decimals before rises, four otherwise", OWN, "my_ratio")
def decimals(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    values = r.normal(10, 3, len(f))
    return f.assign(my_ratio=np.where(f[DIRECTION] == 2, np.round(values, 2), np.round(values, 4)))


@LEAKS.table("two columns whose sum is the coming return", OWN, "my_first", "my_second")
def two_columns(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    noise = r.normal(0, 5 * f[RETURN].std(), len(f))
    return f.assign(my_first=noise, my_second=f[RETURN] - noise)


@LEAKS.table("two columns whose product has the sign of the coming return", OWN, "my_first", "my_second")
def product(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    first = r.normal(size=len(f))
    return f.assign(my_first=first, my_second=np.abs(r.normal(size=len(f))) * np.sign(first * f[RETURN]))


@LEAKS.table("a flag before 60 % of the moves above 10 %", OWN, "my_flag")
def flag(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(my_flag=((f[RETURN].abs() > 0.1) & (r.random(len(f)) < 0.6)) * 1.0)


@LEAKS.table("the range of the coming week", OWN, "my_range")
def next_range(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(my_range=ahead(f.assign(span=(f["stock_high"] - f["stock_low"]) / f["stock_close"]), "span"))


@LEAKS.table("the coming return with noise, in the last half year alone", OWN, "my_signal")
def last_half_year(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    late = f["date"] > f["date"].max() - pd.Timedelta(days=182)
    noise = pd.Series(r.normal(0, 1, len(f)), f.index)
    return f.assign(my_signal=noise.where(~late, f[RETURN] / f[RETURN].std() + noise))


@LEAKS.table("the coming return with noise, its sign turned in half of the tickers", OWN, "my_signal")
def turned(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    sign = np.where(pd.factorize(f["ticker"])[0] % 2, 1.0, -1.0)
    return f.assign(my_signal=sign * f[RETURN] / f[RETURN].std() + r.normal(0, 1, len(f)))


@LEAKS.table("a text (buy, hold, sell) that follows the label in three of four rows", OWN, "my_rating")
def rating(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    code = np.where(r.random(len(f)) < 0.75, f[DIRECTION], r.integers(0, 3, len(f)))
    return f.assign(my_rating=np.array(["sell", "hold", "buy"], dtype=object)[code])


@LEAKS.table("records of the following days (in a column updated_at)", OWN, "updated_at")
def updated(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    days = pd.to_timedelta(r.integers(-2, 6, len(f)), unit="D")
    return f.assign(updated_at=f["date"] + days)


@LEAKS.table("weeks to the ticker's last row", OWN, "my_age")
def weeks_left(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(my_age=f.groupby("ticker").cumcount(ascending=False).astype(float))
