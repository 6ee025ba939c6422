"""Outcomes of predictions: returns and classes from their own file, from another table, or from daily bars."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ste.config import LabelSettings, MarketSettings
from ste.config.judge_settings import JudgeSettings
from ste.data.build.trading_returns import add_trading
from ste.data.sources.market_files import read_market
from ste.errors import DataError
from ste.features.feature_rows import feature_rows
from ste.features.volatility import trailing_volatility
from ste.labels.label_method import NO_TREND, AllRows, LabelMethod, label_method
from ste.labels.targets import fit_to_rows, labelled_returns, with_trends
from ste.market.sources import Market
from ste.schema import (
    CLASSES,
    DIRECTION,
    RETURN,
    ROW_CLOSE,
    ROW_PERIOD,
    TRADING_COLUMNS,
    Column,
    FeatureSet,
    trend_count,
)

ROWS = FeatureSet("judged rows", (Column("period_range", "high over low", expr="PMax($high)/PMin($low)"),))
"""A feature that every row of bars has: the outcomes need the rows, and no feature."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What followed each period of each ticker.

    Attributes:
        frame: `ticker`, `period`, `return` and `label` (index of the class, -1 is none); with bars `close` and
            `schema.TRADING_COLUMNS` too.
        volatility: trailing volatilities of each row `[M, K]`; None without bars.
        source: where they come from, in words.
        notes: what was understood of the bars.
    """

    frame: pd.DataFrame
    volatility: np.ndarray | None = None
    source: str = "the file"
    notes: list[str] = field(default_factory=list)


def outcome_method(classes: int, threshold: float | None, horizon: int, *, of_dates: bool) -> LabelMethod:
    """Return the label method that makes classes of returns.

    Args:
        classes: number of them.
        threshold: of the returns; None is 0.01, and 0 with two classes.
        horizon: periods.
        of_dates: terciles of each date instead.
    """
    if of_dates:
        return label_method(LabelSettings(method="cross_sectional", horizon=horizon, classes=3))
    default = 0.0 if classes == 2 else 0.01
    return label_method(
        LabelSettings(horizon=horizon, threshold=default if threshold is None else threshold, classes=classes)  # type: ignore[arg-type]
    )


def classes_of_returns(returns: np.ndarray, period: np.ndarray, method: LabelMethod) -> np.ndarray:
    """Return the index of each return's class, int64 `[N]`; -1 without a return, or between two classes.

    Args:
        returns: simple `[N]`; NaN is unknown.
        period: index of each row's period `[N]`.
        method: of the classes.
    """
    known = np.isfinite(returns)
    every = np.ones(known.sum(), dtype=bool)
    own, periods = returns[known], period[known]
    names = np.full(len(own), "", dtype=object)
    fitted = method.fit(AllRows(names, periods, own, every, every)) if method.needs_all_rows else None
    _, trends = method.trends(own, periods, np.zeros(len(own)), fitted)
    out = np.full(len(returns), -1, dtype=np.int64)
    out[known] = class_of_trend(method.classes)[trends]
    return out


def class_of_trend(classes: int) -> np.ndarray:
    """Return the index of the class of each trend, with -1 for one that is none; the last is that of `NO_TREND`."""
    index = np.full(trend_count(classes) + 1, -1, dtype=np.int64)
    index[list(CLASSES[classes])] = np.arange(classes)
    assert NO_TREND == -1
    return index


def read_bars(settings: JudgeSettings, frequency: str) -> Market:
    """Read the bars that outcomes are computed from.

    Args:
        settings: of the command.
        frequency: of the predictions.
    """
    if frequency not in ("daily", "weekly", "monthly"):
        raise DataError(
            f"returns={settings.returns}: bars are daily, and the predictions are {frequency}. Write the return of "
            "each row in their file: a column return."
        )
    return read_market(
        MarketSettings(source="market", bars=str(settings.returns), calendar=settings.calendar, frequency=frequency),  # type: ignore[arg-type]
        features=ROWS,
    )


def outcomes_of_bars(market: Market, frequency: str, method: LabelMethod) -> Outcomes:
    """Compute the outcomes of every period that the bars cover: from its close to that `horizon` periods later.

    Args:
        market: daily bars.
        frequency: of the rows.
        method: of the classes.
    """
    rows = add_trading(feature_rows(market, frequency, ROWS), market.bars, method.horizon)
    volatility = trailing_volatility(rows, ROWS)
    labelled = labelled_returns(rows.assign(row=np.arange(len(rows))), method, market.bars, market.periods(frequency))
    labelled, without = with_trends(labelled, method, fit_to_rows(method, labelled))
    labels = class_of_trend(method.classes)[np.where(without, NO_TREND, labelled[DIRECTION].to_numpy(dtype=np.int64))]
    returns, outcome = np.full(len(rows), np.nan), np.full(len(rows), -1, dtype=np.int64)
    at = labelled["row"].to_numpy()
    returns[at], outcome[at] = labelled[RETURN].to_numpy(), labels
    frame = pd.DataFrame(
        {
            "ticker": rows["ticker"].astype(object),
            "period": rows[ROW_PERIOD].to_numpy(),
            "date": rows["date"].to_numpy(),
            "return": returns,
            "label": outcome,
            "close": rows[ROW_CLOSE].to_numpy(),
            **{name: rows[name].to_numpy() for name in TRADING_COLUMNS},
        }
    )
    return Outcomes(frame, volatility, "the bars", market.summary.notes())


def values_at(frame: pd.DataFrame, ticker: pd.Series, period: np.ndarray) -> np.ndarray:
    """Return the row of `frame` with each ticker and period, int64 `[N]`; -1 where there is none.

    Args:
        frame: with `ticker` and `period`, no pair of them twice.
        ticker: `[N]`.
        period: `[N]`.
    """
    names = pd.Index(pd.unique(frame["ticker"].astype(object)))
    codes = names.get_indexer(pd.Index(frame["ticker"].astype(object)))
    wanted = pd.Categorical(ticker)
    own = names.get_indexer(pd.Index(wanted.categories.astype(object)))[wanted.codes]
    first = min(int(frame["period"].min()), int(period.min()))
    span = max(int(frame["period"].max()), int(period.max())) - first + 1
    keys = codes.astype(np.int64) * span + frame["period"].to_numpy() - first
    lookup = pd.Index(keys)
    return np.where(own < 0, -1, lookup.get_indexer(pd.Index(own.astype(np.int64) * span + period - first)))
