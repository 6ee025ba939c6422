"""Macro fields: the latest released value of each series, joined by release date."""

import numpy as np
import pandas as pd

from ste.market.sources import MACRO_NEUTRAL


def macro_level(macro: pd.DataFrame | None, series: str, dates: pd.Series) -> np.ndarray:
    """Return the latest value of a series released on or before each date, float64 `[N]`.

    Args:
        macro: `MARKET_COLUMNS["macro"]`; a series that is missing, or not yet released, has its neutral value.
        series: name of the series.
        dates: `[N]`.
    """
    days = dates.to_numpy().astype("datetime64[D]")
    every = np.arange(days.min(), days.max() + 1) if len(days) else days  # one look-up per day instead of per row
    known = latest_release(macro, series, every)
    if known is None:
        return np.full(len(days), MACRO_NEUTRAL[series])
    return known[(days - every[:1]).astype(np.int64)]


def latest_release(macro: pd.DataFrame | None, series: str, dates: np.ndarray) -> np.ndarray | None:
    """Return a series' latest value released on or before each date, float64 `[N]`.

    Args:
        macro: `MARKET_COLUMNS["macro"]`.
        series: name of the series.
        dates: datetime64 `[N]`.

    Returns:
        The neutral value before the first release; None where there is no release at all.
    """
    if macro is None:
        return None
    of_series = (macro["series"] == series).to_numpy(dtype=bool)
    if not of_series.any():
        return None
    days = macro["release_date"].to_numpy()[of_series]
    order = np.argsort(days, kind="stable")
    at = np.searchsorted(days[order], dates, side="right") - 1
    values = macro["value"].to_numpy(dtype=np.float64)[of_series][order]
    return np.where(at >= 0, values[np.maximum(at, 0)], MACRO_NEUTRAL[series])
