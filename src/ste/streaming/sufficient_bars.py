"""How many of a ticker's newest bars decide its rows to the last bit."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from ste.expressions.history_operators import HistoryOperator
from ste.expressions.nodes import Call, Node, walk
from ste.features.feature_rows import expressions, look_back
from ste.schema import FeatureSet

_MAX_BARS = {"daily": 1, "weekly": 7, "monthly": 31}
"""Most bars of a ticker in a period."""


@cache
def sufficient_bars(features: FeatureSet, frequency: str) -> int | None:
    """Return how many bars, the row's own period included, decide a row; None where all of its history does.

    A window's value depends on its bars alone. What runs over a history does not: a recursive function, and each of
    TA-Lib's and the user's functions, whose running sums keep rounding errors of all bars before.
    """
    nodes = [node for one in expressions(features) for node in walk(one.node) if isinstance(node, Call)]
    if any(isinstance(one.operator, HistoryOperator) or one.operator.memory(one.numbers) for one in nodes):
        return None
    return look_back(features, _MAX_BARS[frequency])


@cache
def _cross_sections(features: FeatureSet) -> int:
    """Return the largest number of cross-sectional operators inside one another."""

    def depth(node: Node) -> int:
        if not isinstance(node, Call):
            return 0
        return node.operator.cross_sectional + max((depth(below) for below in node.inputs), default=0)

    return max(depth(one.node) for one in expressions(features))


def first_bars(features: FeatureSet, frequency: str, days: Sequence[np.ndarray], close: int) -> list[int]:
    """Return the first bar of each ticker that decides rows at a close or a later one.

    Args:
        features: the set.
        frequency: of the rows.
        days: of each ticker's bars, ascending.
        close: day.
    """
    count = sufficient_bars(features, frequency)
    if count is None:
        return [0] * len(days)
    starts = _before(days, close, count)
    for _ in range(_cross_sections(features)):
        # A row compares tickers on the days that it looks back on, so that bars before those days are needed too.
        looked_at = [own[start] for own, start in zip(days, starts, strict=True) if len(own) and own[-1] >= close]
        close = int(min(looked_at, default=close))
        starts = _before(days, close, count)
    return starts


def _before(days: Sequence[np.ndarray], close: int, count: int) -> list[int]:
    """Return the first of the last `count` bars up to a day, of each ticker."""
    return [max(int(np.searchsorted(own, close, side="right")) - count, 0) for own in days]
