"""`Slope`, `Rsquare` and `Resi`: the regression of a window's values on their positions."""

import numpy as np

from ste.expressions.functions.rolling_moments import CONSTANT, merge_products
from ste.expressions.operators import Array
from ste.expressions.rolling import Rolling, State, merge_windows
from ste.registry import FEATURE_FUNCTIONS


def _merge_line(newer: State, older: State, lag: int) -> State:
    """Merge number, mean age, mean value, and sums of squared ages, squared values and products of both."""
    count, age, *rest = older
    return merge_products(newer, (count, age + lag, *rest), lag)


def _line(values: Array, window: int) -> State:
    defined = ~np.isnan(values)
    zeros = np.zeros(len(values))
    state = (defined.astype(np.float64), zeros, np.where(defined, values, 0.0), zeros, zeros, zeros)
    return merge_windows(state, window, _merge_line)


def _slope(values: Array, window: int) -> Array:
    """Change per position. Ages fall with time."""
    _, _, _, ages, _, products = _line(values, window)
    return -products / ages


def _residual(values: Array, window: int) -> Array:
    """The newest value less the line's."""
    _, age, mean, ages, _, products = _line(values, window)
    return values[window - 1 :] - (mean - products / ages * age)


def _rsquare(values: Array, window: int) -> Array:
    """Squared correlation with the position; undefined where the values are as good as constant, as in Qlib."""
    count, _, _, ages, squares, products = _line(values, window)
    varies = np.sqrt(squares / (count - 1)) > CONSTANT
    return np.where(varies, products * products / (ages * squares), np.nan)


FEATURE_FUNCTIONS.add("Slope", Rolling("Slope", _slope))
FEATURE_FUNCTIONS.add("Resi", Rolling("Resi", _residual))
FEATURE_FUNCTIONS.add("Rsquare", Rolling("Rsquare", _rsquare))
