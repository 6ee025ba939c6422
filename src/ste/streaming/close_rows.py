"""Feature rows at single closes, taken from those that `ste.features.feature_rows` computes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.features.feature_rows import feature_rows, look_back
from ste.market.histories import history_starts
from ste.market.sources import Market
from ste.schema import ROW_PERIOD, FeatureSet


@dataclass(frozen=True)
class PeriodRows:
    """Feature rows of N tickers at one close.

    Attributes:
        day: day of the close.
        period_index: index of the period; consecutive periods differ by 1.
        final: whether the period ends with this close.
        tickers: ticker symbols, sorted, N of them.
        values: features, float64 `[N, F]`.
        undefined: number of further tickers, which have no value of a feature.
    """

    day: int
    period_index: int
    final: bool
    tickers: list[str]
    values: np.ndarray
    undefined: int = 0


def rows_at(
    market: Market, features: FeatureSet, frequency: str, closes: Sequence[int], *, final: bool
) -> dict[int, PeriodRows]:
    """Compute the rows at some closes, by day; a close without a complete look-back of any ticker is left out.

    Args:
        market: decides the rows at these closes, and has no later bar.
        features: the set.
        frequency: of the rows.
        closes: days, ascending: last sessions of their periods, or one session of a period that has not ended.
        final: whether the periods end with them.
    """
    bars = market.bars
    if bars.empty:
        return {}
    starts = history_starts(bars)
    age = np.arange(len(bars)) - np.repeat(starts, np.diff(np.append(starts, len(bars)))) + 1
    day, wanted = _days(bars), np.asarray(closes)
    # A bar at a close is the last one of its period.
    complete = np.isin(day, wanted) & (age >= look_back(features, market.bars_per_period(frequency)))
    eligible = dict(zip(*np.unique(day[complete], return_counts=True), strict=True))
    if not eligible:
        return {}
    rows = feature_rows(market, frequency, features, None if final else np.datetime64(closes[-1], "D"))
    rows = rows[np.isin(_days(rows), wanted)]
    order = np.argsort(_days(rows), kind="stable")  # the tickers of a day stay in order
    day, period = _days(rows)[order], rows[ROW_PERIOD].to_numpy()[order]
    tickers = rows["ticker"].to_numpy(dtype=object)[order]
    values = rows[list(features.names)].to_numpy(dtype=np.float64)[order]
    out = {}
    for close, count in eligible.items():
        a, b = np.searchsorted(day, [close, close + 1]).tolist()
        index = int(period[a]) if b > a else int(market.periods(frequency).index(np.array([close], "datetime64[D]"))[0])
        out[int(close)] = PeriodRows(int(close), index, final, tickers[a:b].tolist(), values[a:b], int(count) - (b - a))
    return out


def _days(frame: pd.DataFrame) -> np.ndarray:
    return frame["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
