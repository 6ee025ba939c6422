"""Classes and orders of predictions that have no probabilities: scores and classes.

The scoring reads columns of probabilities `[N, C]`. Where there are none, these columns only choose the class and order
the rows: by the area under a ROC curve, nothing but their order counts.
"""

import numpy as np
import pandas as pd

TERCILES, SIGN = "terciles", "sign"

_SLOPE = 0.3  # of the middle class by distance
_EDGE = 1e-9  # a score on the edge of a class belongs to the middle


def one_hot(codes: np.ndarray, classes: int) -> np.ndarray:
    """Return the classes as columns, float64 `[N, C]`.

    Args:
        codes: index of each row's class `[N]`.
        classes: number of them, C.
    """
    return np.eye(classes)[codes]


def columns_of_scores(score: np.ndarray, period: np.ndarray, cut: str, classes: int) -> np.ndarray:
    """Return columns that order rows as their scores do, float64 `[N, C]`.

    Uptrend rises with the score, Downtrend falls with it, and Neutral falls with the distance from the middle: the
    median of the date with `terciles`, 0 with `sign`. Distances are ranks, so that no two different scores tie.

    Args:
        score: `[N]`.
        period: index of each row's period `[N]`.
        cut: `terciles`: the highest third of a date's scores is an Uptrend, the lowest a Downtrend; `sign`: a score
            above 0 is an Uptrend, one below a Downtrend.
        classes: 2 or 3.
    """
    if cut == TERCILES:
        grouped = pd.Series(score).groupby(period)
        rank, size = grouped.rank().to_numpy(), grouped.transform("size").to_numpy()
        position = (2.0 * rank - 1.0) / size - 1.0  # from -1 to 1
        edge = 1.0 / 3.0
    else:
        order = pd.Series(np.abs(score)).rank(method="dense").to_numpy()
        position = np.sign(score) * order / (order.max() + 1.0)
        edge = 0.0
    return _columns(position, edge, classes)


def _columns(position: np.ndarray, edge: float, classes: int) -> np.ndarray:
    """Return the columns of positions from -1 to 1 `[N]`; the middle class has those within `edge` of 0."""
    if classes == 2:
        return np.stack([(1.0 - position) / 2.0, (1.0 + position) / 2.0], axis=1)
    distance = np.abs(position)
    # At the edge, the middle class and the nearer one are equal: x = (1 - x) (1 + edge) / 2.
    middle = (1.0 + edge) / (3.0 + edge) - _SLOPE * (distance - edge)
    middle = middle + np.where(distance <= edge + _EDGE, _EDGE, -_EDGE)
    return np.stack([(1.0 - middle) * (1.0 - position) / 2.0, middle, (1.0 - middle) * (1.0 + position) / 2.0], axis=1)
