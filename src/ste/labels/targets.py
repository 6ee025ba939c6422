"""Targets of rows: what followed each row's close, and the trend that its label method makes of it.

A label is computed in two steps, since thresholds may depend on all rows: `labelled_returns` for each block of tickers,
then `with_trends` with what the method has fitted to all of them (`LabelMethod.fit`).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.labels.delisting import values_beyond_end
from ste.labels.label_method import NO_TREND, AllRows, LabelBars, LabelMethod, LabelRows
from ste.market.calendar import Periods
from ste.market.histories import history_starts, row_groups
from ste.market.ticker_groups import bars_of_rows, values_ahead
from ste.schema import (
    DIRECTION,
    LABEL_END,
    MOVEMENT,
    RETURN,
    ROW_CLOSE,
    ROW_PERIOD,
    ROW_TREND,
    ROW_VOLATILITY,
    FeatureSet,
)

_MARGIN = pd.Timedelta(days=70)
"""No exchange was closed for longer."""


def future_returns(rows: pd.DataFrame, horizon: int, ends: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add the return and movement over the next `horizon` periods; drop rows whose future is unknown.

    Args:
        rows: output of `feature_rows`, sorted by ticker and date.
        horizon: periods ahead, at least 1.
        ends: of `delisting.close_ends`: values of tickers that ended; None knows none.

    Returns:
        The rows that have a close exactly `horizon` periods later in the same history, or a value of its end by then,
        with `stock_weekly_return` (simple
        return) and `stock_weekly_movement` (dollars).
    """
    close = rows[ROW_CLOSE].to_numpy(dtype=np.float64)
    ahead = closes_ahead(rows, horizon, ends)
    known = ~np.isnan(ahead)
    out = rows[known]
    out[RETURN] = (ahead / close)[known] - 1.0
    out[MOVEMENT] = (ahead - close)[known]
    return out


def closes(table: pd.DataFrame, features: FeatureSet) -> np.ndarray | None:
    """Return the close of each row, float64 `[N]`; None where the table has none.

    Args:
        table: columns of a table.
        features: its feature set.
    """
    name = features.period_bar()[ROW_CLOSE]
    return table[name].to_numpy(dtype=np.float64) if name in table else None


def horizon_agreement(
    returns: np.ndarray, close: np.ndarray, ticker: np.ndarray, period: np.ndarray, horizons: Iterable[int]
) -> dict[int, float]:
    """Return the fraction of the rows whose return equals that of their ticker's close over each horizon.

    Args:
        returns: `[N]`; rows with NaN are left out.
        close: `[N]`.
        ticker: codes `[N]`; rows are sorted by ticker and period.
        period: period index `[N]`.
        horizons: periods ahead; a negative one is the trailing return up to the row's own close.

    Returns:
        By horizon; those with fewer than 5 rows are left out.
    """
    out = {}
    for horizon in horizons:
        other = values_ahead(close, ticker, period, horizon)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = other / close if horizon > 0 else close / other
        known = np.isfinite(ratio) & np.isfinite(returns)
        if known.sum() >= 5:
            out[horizon] = float(np.isclose(ratio[known] - 1.0, returns[known], rtol=1e-3, atol=1e-5).mean())
    return out


def labelled_returns(
    rows: pd.DataFrame,
    method: LabelMethod,
    bars: pd.DataFrame,
    periods: Periods,
    ends: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Add what followed each row; drop rows whose label is not known.

    Args:
        rows: output of `feature_rows`, sorted by ticker and date.
        method: of the labels.
        bars: of the same tickers, on the adjusted scale, sorted by ticker and date.
        periods: of the rows.
        ends: of `delisting.close_ends`: values of tickers that ended; None knows none.

    Returns:
        The rows with a label, as `future_returns`. Where the method decides the trend together with the return, with
        `schema.ROW_TREND`; where labels may end early, with `schema.LABEL_END`.

    Raises:
        DataError: a label that ends beyond the horizon.
    """
    own = type(method).labels is not LabelMethod.labels and len(rows) > 0
    labels = method.labels(_label_rows(rows, method, bars, periods, ends)) if own else None
    if labels is None:
        return future_returns(rows, method.horizon, ends)
    late = np.flatnonzero(labels.ends > method.horizon)
    if len(late):
        row, end = rows.iloc[late[0]], int(labels.ends.max())
        raise DataError(
            f"data.labels.horizon={method.horizon}: {len(late):,} labels end later, up to {end} {periods.word}s after "
            f"their row (first: {row['ticker']} {row['date']:%Y-%m-%d}), so that the purge would be too short. Try "
            f"data.labels.horizon={end}."
        )
    there = np.isfinite(labels.returns) & (labels.ends > 0)
    out = rows[there].copy()
    out[RETURN] = labels.returns[there]
    out[MOVEMENT] = out[RETURN] * out[ROW_CLOSE]
    out[ROW_TREND] = labels.classes[there]
    if method.varying_end:
        out[LABEL_END] = end_dates(out["date"], out[ROW_PERIOD].to_numpy() + labels.ends[there], periods)
    return out


def fit_to_rows(method: LabelMethod, rows: pd.DataFrame) -> object:
    """Fit a method to rows that are all scored and trained on; None where it needs none.

    Args:
        method: of the labels.
        rows: of `labelled_returns`.
    """
    if not method.needs_all_rows:
        return None
    every, tickers = np.ones(len(rows), dtype=bool), rows["ticker"].to_numpy(dtype=object)
    return method.fit(AllRows(tickers, rows[ROW_PERIOD].to_numpy(), rows[RETURN].to_numpy(), every, every))


def with_trends(rows: pd.DataFrame, method: LabelMethod, fitted: object) -> tuple[pd.DataFrame, np.ndarray]:
    """Add `stock_trend_direction` to rows with returns.

    Args:
        rows: of `labelled_returns`.
        method: of the labels.
        fitted: of `LabelMethod.fit`, to all rows of the table.

    Returns:
        The rows, and which of them have no class, bool `[N]`: those are history only.
    """
    if ROW_TREND in rows:
        trends = rows[ROW_TREND].to_numpy(dtype=np.int64)
    else:
        own = rows[RETURN].to_numpy()
        returns, trends = method.trends(own, rows[ROW_PERIOD].to_numpy(), rows[ROW_VOLATILITY].to_numpy(), fitted)
        if not method.plain_return:
            rows = rows.assign(**{RETURN: returns, MOVEMENT: returns * rows[ROW_CLOSE].to_numpy()})
    without = (trends == NO_TREND) | method.left_out(rows["ticker"].to_numpy(dtype=object))
    return rows.assign(**{DIRECTION: np.where(without, method.trend_count // 2, trends)}), without


def end_dates(dates: pd.Series, ends: np.ndarray, periods: Periods) -> np.ndarray:
    """Return the last session of the period in which each row's label ends, datetime64[ns] `[N]`.

    Args:
        dates: of the rows.
        ends: index of the period `[N]`.
        periods: of the rows.
    """
    if not len(dates):
        return np.empty(0, dtype="datetime64[ns]")
    span = int(ends.max() - periods.index(dates).min())
    last = dates.min() + span * pd.Timedelta(days={"daily": 2, "weekly": 7}.get(periods.frequency, 31)) + 2 * _MARGIN
    closes = periods.ends(periods.calendar.sessions(dates.min() - _MARGIN, last))
    return closes.to_numpy()[np.searchsorted(periods.index(closes), ends)].astype("datetime64[ns]")


def closes_ahead(rows: pd.DataFrame, horizon: int, ends: pd.DataFrame | None) -> np.ndarray:
    """Return the close `horizon` periods later in the same history, or a value of its end by then, else NaN `[N]`."""
    close, period = rows[ROW_CLOSE].to_numpy(dtype=np.float64), rows[ROW_PERIOD].to_numpy()
    ahead = values_ahead(close, row_groups(history_starts(rows), len(rows)), period, horizon)
    if ends is not None and len(rows):
        ahead = np.where(np.isnan(ahead), values_beyond_end(ends, rows["ticker"], period, horizon), ahead)
    return ahead


def _label_rows(
    rows: pd.DataFrame, method: LabelMethod, bars: pd.DataFrame, periods: Periods, ends: pd.DataFrame | None
) -> LabelRows:
    """Return the rows as a label method reads them; each row's bar is that of its ticker and date."""
    starts = history_starts(bars)
    day = [frame["date"].to_numpy().astype("datetime64[D]") for frame in (bars, rows)]
    prices = {name: bars[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close", "volume")}
    return LabelRows(
        ticker=rows["ticker"].to_numpy(dtype=object),
        date=day[1],
        period=rows[ROW_PERIOD].to_numpy(dtype=np.int64),
        close=rows[ROW_CLOSE].to_numpy(dtype=np.float64),
        volatility=rows[ROW_VOLATILITY].to_numpy(dtype=np.float64),
        ahead=closes_ahead(rows, method.horizon, ends),
        bar=bars_of_rows(rows, bars),
        bars=LabelBars(row_groups(starts, len(bars)), day[0], periods.index(bars["date"]), **prices),
        horizon=method.horizon,
        classes=method.classes,
    )
