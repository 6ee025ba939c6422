"""Cross-fitting: what is fitted on validation rows predicts each of them by a fit that has not seen it."""

from collections.abc import Iterator

import numpy as np

BLOCKS = 5
"""Number of blocks of periods that validation rows are cross-fitted over."""


def cross_fit_blocks(periods: np.ndarray, rows: np.ndarray, horizon: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows to fit on and the rows to predict, bool `[N]` each, for each block of periods.

    A block is predicted by a fit on the others, less a horizon on either side.

    Args:
        periods: number of each row's period, int `[N]`.
        rows: to cross-fit, bool `[N]`.
        horizon: periods that a label looks ahead.
    """
    for block in np.array_split(np.unique(periods[rows]), BLOCKS):
        predicted = rows & (periods >= block[0]) & (periods <= block[-1])
        purged = (periods < block[0] - horizon) | (periods > block[-1] + horizon)
        yield rows & purged, predicted
