"""Classes of a label column of any spelling."""

import numpy as np
import pandas as pd

_ORDER = {
    **dict.fromkeys(("strongdown", "strongsell", "strongdowntrend"), -2),
    **dict.fromkeys(("down", "sell", "short", "fall", "bear", "bearish", "negative", "loss", "downtrend"), -1),
    **dict.fromkeys(("neutral", "hold", "flat", "none", "sideways", "stable"), 0),
    **dict.fromkeys(("up", "buy", "long", "rise", "bull", "bullish", "positive", "gain", "uptrend"), 1),
    **dict.fromkeys(("strongup", "strongbuy", "stronguptrend"), 2),
}
_CODES = {2: (0, 2), 3: (0, 1, 2), 4: (0, 1, 3, 4), 5: (0, 1, 2, 3, 4)}


def class_codes(values: pd.Series) -> np.ndarray | None:
    """Return the trend codes of a label with 2 to 5 classes, float64 `[N]` with NaN for none; None for other columns.

    Numbers are in their own order, known words from fall to rise, and other words in that of the alphabet.

    Args:
        values: a column of numbers or texts.
    """
    distinct = list(pd.unique(values.dropna()))
    if not 2 <= len(distinct) <= max(_CODES):
        return None
    if pd.api.types.is_numeric_dtype(values):
        ordered = sorted(distinct)
    else:
        plain = {one: str(one).lower().replace(" ", "").replace("_", "").replace("-", "") for one in distinct}
        known = all(word in _ORDER for word in plain.values())
        ordered = sorted(distinct, key=lambda one: (_ORDER[plain[one]] if known else 0, str(one)))
    codes = dict(zip(ordered, _CODES[len(ordered)], strict=True))
    return values.map(codes).to_numpy(dtype=np.float64)
