"""What a label is worth whose period reaches beyond the last bar of its ticker.

The value is last close x (1 + delisting return), where that was known by the end of the label's own period: the end of
a label, and with it the purge, is the same with and without delistings.
"""

import numpy as np
import pandas as pd

from ste.market.calendar import Periods
from ste.market.histories import history_starts


def history_ends(bars: pd.DataFrame, periods: Periods) -> pd.DataFrame:
    """Return the end of each history (`market.histories`).

    Args:
        bars: on the adjusted scale, sorted by ticker and date.
        periods: of the rows.

    Returns:
        One row per history, sorted: `ticker`, `date` of the last bar, its `period`, `close`; `until`, the day before
        the ticker's next history (NaT of its last one); `value` NaN and `known` 0, for `close_ends`.
    """
    starts = history_starts(bars)
    last = np.append(starts[1:], len(bars)) - 1
    ends = bars.iloc[last][["ticker", "date", "close"]].reset_index(drop=True)
    ends["ticker"] = ends["ticker"].astype(object)
    begins = pd.Series(bars["date"].to_numpy()[starts]) - pd.Timedelta(days=1)
    again = ends["ticker"].eq(ends["ticker"].shift(-1))
    ends["until"] = begins.shift(-1).where(again)
    ends["period"] = periods.index(ends["date"])
    return ends.assign(value=np.nan, known=0)


def close_ends(ends: pd.DataFrame, delistings: pd.DataFrame, periods: Periods, horizon: int) -> np.ndarray:
    """Set the value of the histories that end with a delisting; return which delistings were used, bool `[D]`.

    A delisting belongs to the history that ended on its day or before, the first one after that end. It is of no use
    where it was known only after the last label that it could close has ended.

    Args:
        ends: of `history_ends`; `value` and `known`, the period from which it is known, are set.
        delistings: of `read_delistings`, D of them.
        periods: of the rows.
        horizon: periods of a label.
    """
    used = np.zeros(len(delistings), dtype=bool)
    by_ticker = delistings.groupby("ticker", sort=False).indices
    columns = (ends[name].tolist() for name in ("ticker", "date", "until", "period", "close"))
    for row, (ticker, last, until, period, close) in enumerate(zip(*columns, strict=True)):
        for at in by_ticker.get(ticker, ()):
            day = delistings["date"].iloc[at]
            if day < last or (not pd.isna(until) and day > until):
                continue
            known = int(periods.known(pd.DatetimeIndex([day]))[0])
            if known <= period + horizon:
                ends.loc[row, ["value", "known"]] = close * (1.0 + delistings["return"].iloc[at]), known
                used[at] = True
            break
    return used


def values_beyond_end(ends: pd.DataFrame, ticker: pd.Series, period: np.ndarray, horizon: int) -> np.ndarray:
    """Return the value after `horizon` periods of rows whose label reaches their history's end, else NaN, `[N]`.

    Args:
        ends: of `close_ends`.
        ticker: of each row `[N]`.
        period: of each row `[N]`.
        horizon: periods of a label.
    """
    names = pd.Index(ends["ticker"].unique())
    own = names.get_indexer(ends["ticker"])
    code = names.get_indexer(ticker.astype(object))
    base = min(period.min(), ends["period"].min())
    span = int(max(period.max(), ends["period"].max()) - base) + 1
    key = own * span + ends["period"].to_numpy() - base
    at = np.minimum(np.searchsorted(key, code * span + period - base), len(key) - 1)
    end, value, known = (ends[name].to_numpy()[at] for name in ("period", "value", "known"))
    target = period + horizon
    reaches = (own[at] == code) & (period <= end) & (target >= end) & (target >= known)
    return np.where(reaches, value, np.nan)
