"""The figure of each feature that drift is measured on: what a net reads of the latest period, not the raw level.

A price, a volume or an interest rate moves away from the training years by nature, so a drift alarm on its level would
always be on. Columns are therefore watched as `stationary` prepares them (`ste.features.normalization`, before
scaling), by the normalization that each declares. A flat row has no window: its volume is the log dollar volume, and
what a window would show as a change is used as it is.
"""

from collections.abc import Callable

import numpy as np

from ste.features.column_forms import ColumnForms

_WORDS = {
    "log_ratio": "log ratio to the close",
    "ratio": "distance from the close, fraction of it",
    "close_fraction": "fraction of the close",
    "band_position": "position between the bands, -1 to 1",
    "log": "log of the value",
    "log1p": "log of 1 plus the value",
    "fraction": "value as a fraction of 1 plus the value",
    "window_mean": "log ratio to the window's mean",
    "window_change": "change since the window's first period",
    "none": "as it is",
}
_FLAT_WORDS = {**_WORDS, "window_mean": "log dollar volume", "window_change": "as it is"}


def watched_description(name: str, forms: ColumnForms, *, flat: bool) -> str:
    """Describe the watched figure of a column in words; what is no feature is watched as it is.

    Args:
        name: of the column.
        forms: of the features.
        flat: whether the model reads rows instead of windows.
    """
    if name not in forms.names:
        return _WORDS["none"]
    return (_FLAT_WORDS if flat else _WORDS)[forms.normalizations[forms.names.index(name)]]


def watched_values(features: np.ndarray, forms: ColumnForms) -> np.ndarray:
    """Compute the watched figures of each example, float64 `[B, F]`.

    Args:
        features: raw windows `[B, T, F]` or rows `[B, F]`.
        forms: of the features, F of them.
    """
    x = np.asarray(features, dtype=np.float64)
    last = x[:, -1] if x.ndim == 3 else x
    out = last.copy()
    close = np.full((len(x), 1), np.nan) if forms.close is None else last[:, [forms.close]]
    with np.errstate(divide="ignore", invalid="ignore"):  # an impossible row falls outside of every bin
        for kind, figure in _FIGURES.items():
            at = forms.at(kind)
            if at:
                out[:, at] = figure(last[:, at], close)
        for column in forms.at("band_position"):
            lower, upper = (last[:, band] for band in forms.bands[str(column)])
            width = np.maximum(upper - lower, 1e-6 * close[:, 0])
            out[:, column] = np.clip((2.0 * last[:, column] - lower - upper) / width, -3.0, 3.0)
        at = forms.at("window_mean")
        if x.ndim == 3:
            out[:, at] = np.log((1.0 + last[:, at]) / (1.0 + x[:, :, at].mean(axis=1)))
            out[:, forms.at("window_change")] -= x[:, 0, forms.at("window_change")]
        elif at:
            out[:, at] = np.log1p(last[:, at] if forms.close is None else last[:, at] * close)
    return out


_FIGURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "log_ratio": lambda values, close: np.log(values / close),
    "ratio": lambda values, close: values / close - 1.0,
    "close_fraction": lambda values, close: values / close,
    "log": lambda values, close: np.log(values),
    "log1p": lambda values, close: np.log1p(values),
}
