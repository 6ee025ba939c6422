"""`Std`, `Var`, `Skew`, `Kurt`, `Mad`, `Cov`, `Corr`: sample moments of windows, as pandas defines them.

Variances and covariances of two parts are merged by Chan's formula, which keeps their precision for large levels.
"""

import numpy as np

from ste.expressions.operators import Array
from ste.expressions.rolling import Rolling, State, each_value, merge_windows
from ste.registry import FEATURE_FUNCTIONS

CONSTANT = 2e-5
"""Standard deviation at which Qlib treats a window as constant and its correlation as undefined."""


def _merge_squares(newer: State, older: State, lag: int) -> State:
    """Merge number, mean and sum of squared deviations."""
    count = newer[0] + older[0]
    fraction = older[0] / np.maximum(count, 1.0)
    distance = older[1] - newer[1]
    squares = newer[2] + older[2] + distance * distance * (newer[0] * fraction)
    return count, newer[1] + distance * fraction, squares


def _squares(values: Array, window: int) -> State:
    defined = ~np.isnan(values)
    state = (defined.astype(np.float64), np.where(defined, values, 0.0), np.zeros(len(values)))
    return merge_windows(state, window, _merge_squares)


def _var(values: Array, window: int) -> Array:
    count, _, squares = _squares(values, window)
    return np.where(count > 1, squares / (count - 1), np.nan)


def _std(values: Array, window: int) -> Array:
    return np.sqrt(_var(values, window))


def merge_products(newer: State, older: State, lag: int) -> State:
    """Merge number, means, sums of squared deviations and of their products, of two columns."""
    count, x, y, xx, yy, xy = newer
    fraction = older[0] / np.maximum(count + older[0], 1.0)
    dx, dy, weight = older[1] - x, older[2] - y, count * fraction
    return (
        count + older[0],
        x + dx * fraction,
        y + dy * fraction,
        xx + older[3] + dx * dx * weight,
        yy + older[4] + dy * dy * weight,
        xy + older[5] + dx * dy * weight,
    )


def _products(left: Array, right: Array, window: int) -> State:
    defined = ~(np.isnan(left) | np.isnan(right))
    zeros = np.zeros(len(left))
    x, y = np.where(defined, left, 0.0), np.where(defined, right, 0.0)
    return merge_windows((defined.astype(np.float64), x, y, zeros, zeros, zeros), window, merge_products)


def _cov(left: Array, right: Array, window: int) -> Array:
    count, _, _, _, _, xy = _products(left, right, window)
    return np.where(count > 1, xy / (count - 1), np.nan)


def _corr(left: Array, right: Array, window: int) -> Array:
    """Correlation; undefined where either side is as good as constant, as in Qlib."""
    count, _, _, xx, yy, xy = _products(left, right, window)
    freedom = np.where(count > 1, count - 1, np.nan)
    varies = (np.sqrt(xx / freedom) > CONSTANT) & (np.sqrt(yy / freedom) > CONSTANT)
    return np.where(varies, xy / np.sqrt(xx * yy), np.nan)


def _power_sums(values: Array, window: int, powers: tuple[int, ...]) -> tuple[Array, ...]:
    """Number of defined values, then the sum of each power of the deviations from the window's mean."""
    count, mean, _ = _squares(values, window)
    totals = [np.zeros(len(mean)) for _ in powers]
    for value in each_value(values, window):
        deviation = np.where(np.isnan(value), 0.0, value - mean)
        square = deviation * deviation
        for total, power in zip(totals, powers, strict=True):
            np.add(total, {2: square, 3: square * deviation, 4: square * square}[power], out=total)
    return count, *totals


def _skew(values: Array, window: int) -> Array:
    count, second, third = _power_sums(values, window, (2, 3))
    second, third = second / count, third / count
    skew = np.sqrt(count * (count - 1)) / (count - 2) * third / (second * np.sqrt(second))
    return np.where(count > 2, skew, np.nan)


def _kurt(values: Array, window: int) -> Array:
    count, second, fourth = _power_sums(values, window, (2, 4))
    second, fourth = second / count, fourth / count
    excess = (count * count - 1) * fourth / (second * second) - 3 * (count - 1) ** 2
    return np.where(count > 3, excess / ((count - 2) * (count - 3)), np.nan)


def _mad(values: Array, window: int) -> Array:
    """Mean absolute deviation from the mean."""
    count, mean, _ = _squares(values, window)
    total = np.zeros(len(mean))
    for value in each_value(values, window):
        total += np.where(np.isnan(value), 0.0, np.abs(value - mean))
    return total / count


FEATURE_FUNCTIONS.add("Var", Rolling("Var", _var))
FEATURE_FUNCTIONS.add("Std", Rolling("Std", _std))
FEATURE_FUNCTIONS.add("Skew", Rolling("Skew", _skew, minimum=3))
FEATURE_FUNCTIONS.add("Kurt", Rolling("Kurt", _kurt, minimum=4))
FEATURE_FUNCTIONS.add("Mad", Rolling("Mad", _mad))
FEATURE_FUNCTIONS.add("Cov", Rolling("Cov", _cov, inputs=2))
FEATURE_FUNCTIONS.add("Corr", Rolling("Corr", _corr, inputs=2))
