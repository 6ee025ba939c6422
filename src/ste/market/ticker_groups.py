"""Where rows sorted by ticker are cut: between tickers."""

from collections.abc import Iterator

import numpy as np


def pieces(bounds: np.ndarray, rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of whole tickers with at most `rows` rows each, but for a ticker that alone has more.

    Args:
        bounds: first row of each ticker, and the number of rows.
        rows: at most.
    """
    first = 0
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if end - first > rows and start > first:
            yield first, start
            first = start
    if len(bounds) > 1:
        yield first, int(bounds[-1])
