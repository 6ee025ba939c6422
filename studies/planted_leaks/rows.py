"""Leaks by preprocessing, labels, and the choice of rows and splits."""
# ruff: noqa: D103 - the decorator names what a function plants

import numpy as np
import pandas as pd

from ste.leakage.audit_table import SPLIT
from ste.schema import DIRECTION, RETURN
from studies.planted_leaks.columns import KNOWN, MISSED, OWN, own
from studies.planted_leaks.leak import LEAKS


@LEAKS.table("z-scores over all rows", KNOWN, "stock_macd")
def standard(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(stock_macd=(f["stock_macd"] - f["stock_macd"].mean()) / f["stock_macd"].std())


@LEAKS.table("a range of 0 to 1 in each ticker", KNOWN, "stock_macd")
def minmax(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(stock_macd=own(f, "stock_macd").transform(lambda s: (s - s.min()) / (s.max() - s.min())))


@LEAKS.table("a split by random rows", KNOWN, "train and test")
def random_rows(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(**{SPLIT: r.permutation(f[SPLIT].to_numpy())})


@LEAKS.table("test rows in training under other dates", KNOWN, "train and test")
def moved_rows(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    test = f[f[SPLIT] == "test"]
    return pd.concat([f, test.assign(date=test["date"] - pd.Timedelta(weeks=520), **{SPLIT: "train"})])


@LEAKS.table("labels over four weeks, stated as one", KNOWN, RETURN)
def four_weeks(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return _over_four_weeks(f)


def _over_four_weeks(f: pd.DataFrame) -> pd.DataFrame:
    f = f.assign(**{RETURN: own(f, "stock_close").transform(lambda s: s.shift(-4) / s - 1)}).dropna(subset=[RETURN])
    return f.assign(**{DIRECTION: np.digitize(f[RETURN], [-0.02, 0.02])})


@LEAKS.table(
    "survivors, selected by their return over the whole span",
    MISSED,
    "survivors",
    missed="a table holds no ticker that was left out; that all live to the end is a note",
)
def survivors(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    growth = own(f, "stock_close").last() / own(f, "stock_close").first()
    return f[f["ticker"].isin(growth.index[growth > growth.median()])]


@LEAKS.table("label thresholds of half a deviation of the whole sample", MISSED, DIRECTION)
def deviations(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    cut = 0.5 * f[RETURN].std()
    return f.assign(**{DIRECTION: np.digitize(f[RETURN], [-cut, cut])})


@LEAKS.table("robust scaling (median, quartiles) over the whole file", MISSED, "stock_macd")
def robust(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    low, middle, high = f["stock_macd"].quantile([0.25, 0.5, 0.75])
    return f.assign(stock_macd=(f["stock_macd"] - middle) / (high - low))


@LEAKS.table("300 test rows copied into training with noise of 1e-4", MISSED, "train and test")
def noisy_copies(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    test = f[f[SPLIT] == "test"].sample(300, random_state=0)
    numbers = [str(name) for name in test.select_dtypes("number") if name not in (RETURN, DIRECTION)]
    noisy = test[numbers] * (1 + r.normal(0, 1e-4, (300, len(numbers))))
    dates = r.choice(f.loc[f[SPLIT] == "train", "date"].unique(), 300)
    copies = test.assign(**noisy, **{SPLIT: "train"}, date=dates, ticker=[f"C{i}" for i in range(300)])
    return pd.concat([f, copies], ignore_index=True)


@LEAKS.table("a linear trend over the whole file removed from each ticker", OWN, "my_detrended")
def detrended(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    def residual(close: pd.Series) -> pd.Series:
        x = np.arange(len(close))
        return np.log(close) - np.polyval(np.polyfit(x, np.log(close), 1), x)

    return f.assign(my_detrended=own(f, "stock_close").transform(residual))


@LEAKS.table("the close over its highest value of the whole history", OWN, "my_drawdown")
def drawdown(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(my_drawdown=f["stock_close"] / own(f, "stock_close").transform("max"))


@LEAKS.table("gaps filled with the mean of the whole file", OWN, "my_filled")
def mean_filled(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    values = f["stock_rsi"].mask(r.random(len(f)) < 0.1)
    return f.assign(my_filled=values.fillna(values.mean()))


@LEAKS.table("gaps (a fifth of the rows) filled backwards", OWN, "stock_sma_20")
def back_filled(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    holes = f.assign(values=f["stock_close"].mask(r.random(len(f)) < 0.2))
    return f.assign(stock_sma_20=own(holes, "values").transform(lambda s: s.bfill().ffill()))


@LEAKS.table("monthly figures interpolated between their releases", OWN, "macro_unemployment")
def interpolated_macro(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    months = pd.date_range(f["date"].min() - pd.Timedelta(days=40), f["date"].max() + pd.Timedelta(days=40), freq="MS")
    levels = 5 + np.cumsum(r.normal(0, 0.2, len(months)))
    at = (f["date"] - months[0]).dt.days
    return f.assign(macro_unemployment=np.interp(at, (months - months[0]).days, levels))


@LEAKS.table("tickers encoded by their mean return over all rows", OWN, "my_code")
def target_encoding(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(my_code=own(f, RETURN).transform("mean"))


@LEAKS.table("values clipped at 1 % and 99 % of the whole file", OWN, "stock_macd")
def clipped(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(stock_macd=f["stock_macd"].clip(*f["stock_macd"].quantile([0.01, 0.99])))


@LEAKS.table("ten equally frequent bins of the whole file", OWN, "my_bin")
def binned(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(my_bin=pd.qcut(f["stock_rsi"].rank(method="first"), 10, labels=False).astype(float))


@LEAKS.table("principal components of the whole file", OWN, "my_pc")
def components(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    x = f[["stock_rsi", "stock_macd", "news_sentiment", "news_count"]].to_numpy(dtype=float)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    scores = x @ np.linalg.svd(x, full_matrices=False)[2].T
    return f.assign(**{f"my_pc{i}": scores[:, i] for i in range(3)})


@LEAKS.table("tickers ranked by their price at the end", OWN, "my_rank")
def final_rank(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    growth = own(f, "stock_close").transform("last") / own(f, "stock_close").transform("first")
    return f.assign(my_rank=growth.rank(method="dense"))


@LEAKS.table("moves above 5 % removed from the test", OWN, "rows")
def no_extremes(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f[~((f[SPLIT] == "test") & (f[RETURN].abs() > 0.05))]


@LEAKS.table("Neutral rows removed from the test", OWN, "rows", "test")
def no_neutral(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f[~((f[SPLIT] == "test") & (f[DIRECTION] == 1))]


@LEAKS.table("the test balanced by class", OWN, "test")
def balanced(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    test = f[f[SPLIT] == "test"]
    n = test[DIRECTION].value_counts().min()
    selected = test.groupby(DIRECTION).sample(n, random_state=0)
    return pd.concat([f[f[SPLIT] != "test"], selected])


@LEAKS.table("a split by tickers over the same weeks", OWN, "train and test")
def by_ticker(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return f.assign(**{SPLIT: np.where(pd.factorize(f["ticker"])[0] % 3 == 0, "test", "train")})


@LEAKS.table(
    "300 training rows that are means of two test rows",
    OWN,
    "train",
    missed="a mean of two rows is near neither; add rows after the split, and count those of each split",
)
def oversampled(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    test = f[f[SPLIT] == "test"]
    numbers = [str(name) for name in test.select_dtypes("number") if name != DIRECTION]
    a, b = test.sample(300, random_state=0), test.sample(300, random_state=1)
    mixed = (a[numbers].to_numpy() + b[numbers].to_numpy()) / 2
    dates = r.choice(f.loc[f[SPLIT] == "train", "date"].unique(), 300)
    values: dict[str, np.ndarray] = dict(zip(numbers, mixed.T, strict=True))
    rows = a.assign(**values, date=dates, **{SPLIT: "train"})
    return pd.concat([f, rows.assign(ticker=[f"S{i}" for i in range(300)])], ignore_index=True)


@LEAKS.table("labels over four weeks up to the first day of the test", OWN, "another program must", horizon=4)
def no_purge(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    return _over_four_weeks(f)


@LEAKS.table("label thresholds of half a deviation of each ticker's whole history", OWN, DIRECTION)
def own_deviations(f: pd.DataFrame, r: np.random.Generator) -> pd.DataFrame:
    cut = 0.5 * own(f, RETURN).transform("std")
    return f.assign(**{DIRECTION: np.select([f[RETURN] < -cut, f[RETURN] > cut], [0, 2], 1)})
