"""Weights of training examples: by age, and by how unique each label is.

N training examples, of any tickers and in any order.
"""

import numpy as np


def age_weights(period: np.ndarray, half_life: float) -> np.ndarray:
    """Return weights that halve every `half_life` periods before the last training example, float64 `[N]`.

    Args:
        period: index of each example's period `[N]`.
        half_life: periods.
    """
    return 0.5 ** ((period.max(initial=0) - period) / half_life)


def average_uniqueness(ticker: np.ndarray, period: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the average uniqueness of each label among those of its ticker, float64 `[N]`, above 0 and at most 1.

    López de Prado (2018), Advances in Financial Machine Learning, sections 4.3 and 4.4: a label is active in the
    periods after its row up to its end, a period's uniqueness is 1 over the number of labels that are active in it, and
    a label's is the mean over the periods in which it is active.

    Args:
        ticker: codes from 0 `[N]`.
        period: index of each example's period `[N]`.
        end: period in which each label ends, after `period`, `[N]`.
    """
    if not len(period):
        return np.empty(0)
    first = period.min()
    width = int(end.max() - first) + 2
    # One time line for all tickers: the last cell of a ticker's line is never active.
    start = ticker.astype(np.int64) * width + (period - first) + 1
    stop = ticker.astype(np.int64) * width + (end - first) + 1
    changes = np.zeros(width * (int(ticker.max()) + 1) + 1, dtype=np.int64)
    np.add.at(changes, start, 1)
    np.add.at(changes, stop, -1)
    active = np.cumsum(changes)
    total = np.append(0.0, np.cumsum(1.0 / np.maximum(active, 1)))
    return (total[stop] - total[start]) / (stop - start)


def example_weights(
    kind: str, half_life: float, ticker: np.ndarray, period: np.ndarray, end: np.ndarray
) -> np.ndarray | None:
    """Return the weights of training examples, float64 `[N]` with mean 1; None where all count alike.

    Args:
        kind: `none`, `age`, `uniqueness` or `both`, their product.
        half_life: of the age, periods.
        ticker: codes from 0 `[N]`.
        period: index of each example's period `[N]`.
        end: period in which each label ends `[N]`.
    """
    if kind == "none" or not len(period):
        return None
    weights = np.ones(len(period))
    if kind in ("age", "both"):
        weights *= age_weights(period, half_life)
    if kind in ("uniqueness", "both"):
        weights *= average_uniqueness(ticker, period, end)
    return weights / weights.mean()
