"""Bars without a trade: listed, and not traded on that day. N bars."""

import numpy as np
import pandas as pd

from ste.market.sources import RAW_CLOSE


def untraded_bars(bars: pd.DataFrame, starts: np.ndarray) -> np.ndarray:
    """Return which bars are without a trade, bool `[N]`.

    These are bars without volume, and bars whose four prices equal the close before. Where no bar of a history has a
    volume (an index, say), the volume shows nothing and the prices decide.

    Args:
        bars: sorted by ticker and date; prices before or after the adjustment.
        starts: first bar of each history.
    """
    close = bars["close"].to_numpy()
    still = bars["open"].to_numpy() == close
    for name in ("high", "low"):
        still &= bars[name].to_numpy() == close
    # The adjusted close moves with a dividend, and by rounding.
    traded_at = bars[RAW_CLOSE].to_numpy() if RAW_CLOSE in bars else close
    still[1:] &= traded_at[1:] == traded_at[:-1]
    still[starts] = False
    volume = bars["volume"].to_numpy()
    silent = volume == 0
    if not silent.any():
        return still
    sizes = np.diff(np.append(starts, len(bars)))
    return still | (silent & np.repeat(np.add.reduceat(volume, starts) > 0, sizes))
