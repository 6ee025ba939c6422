"""The figure of each feature that drift is measured on: what a net reads of the latest period, not the raw level.

A price, a volume or an interest rate moves away from the training years by nature, so a drift alarm on its level would
always be on. The columns of the `full` feature set are therefore watched as `stationary` prepares them
(`ste.features.normalization`, before scaling): prices by their log ratio to the close, the close by its position
between the bands, volume by its ratio to the window's mean, slow macro figures by their change since the window's
first period. A flat row has no window: its volume is the log dollar volume, and slow macro figures are used as they
are. Other columns, and those of other feature sets, are used as they are.
"""

from collections.abc import Sequence

import numpy as np

from ste.schema import columns_normalized_by

PRICES, COUNTS = columns_normalized_by("log_ratio"), columns_normalized_by("log1p")
SLOW_MACRO = columns_normalized_by("window_change")
CLOSE, UPPER, LOWER, MACD, VOLUME = "stock_close", "stock_bb_upper", "stock_bb_lower", "stock_macd", "stock_volume"


def watched_description(name: str, columns: Sequence[str], *, flat: bool) -> str:
    """Describe the watched figure of a column in words.

    Args:
        name: of the column.
        columns: of the feature set.
        flat: whether the model reads rows instead of windows.
    """
    if CLOSE not in columns:
        return "as it is"
    words = dict.fromkeys(PRICES, "log ratio to the close")
    words |= dict.fromkeys((UPPER, LOWER), "distance from the close, fraction of it")
    words |= dict.fromkeys(COUNTS, "log of 1 plus the value")
    words |= {MACD: "fraction of the close", CLOSE: "position between the bands, -1 to 1"}
    words |= {VOLUME: "log dollar volume" if flat else "log ratio to the window's mean"}
    words |= {} if flat else dict.fromkeys(SLOW_MACRO, "change since the window's first period")
    return words.get(name, "as it is")


def watched_values(features: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Compute the watched figures of each example, float64 `[B, F]`.

    Args:
        features: raw windows `[B, T, F]` or rows `[B, F]`.
        columns: names of the features, F of them.
    """
    x = np.asarray(features, dtype=np.float64)
    last = x[:, -1] if x.ndim == 3 else x
    out = last.copy()
    at = {name: i for i, name in enumerate(columns)}
    if CLOSE not in at:
        return out
    close, upper, lower = (last[:, at[name]] for name in (CLOSE, UPPER, LOWER))
    with np.errstate(divide="ignore", invalid="ignore"):  # an impossible row falls outside of every bin
        for name in PRICES:
            out[:, at[name]] = np.log(last[:, at[name]] / close)
        for name in (UPPER, LOWER):
            out[:, at[name]] = last[:, at[name]] / close - 1.0
        out[:, at[MACD]] = last[:, at[MACD]] / close
        width = np.maximum(upper - lower, 1e-6 * close)
        out[:, at[CLOSE]] = np.clip((2.0 * close - upper - lower) / width, -3.0, 3.0)
        for name in COUNTS:
            out[:, at[name]] = np.log1p(last[:, at[name]])
        volume = last[:, at[VOLUME]]
        if x.ndim == 3:
            out[:, at[VOLUME]] = np.log((1.0 + volume) / (1.0 + x[:, :, at[VOLUME]].mean(axis=1)))
            slow = [at[name] for name in SLOW_MACRO]
            out[:, slow] = last[:, slow] - x[:, 0, slow]
        else:
            out[:, at[VOLUME]] = np.log1p(volume * close)
    return out
