"""Some of a split's tickers in place of all, where scoring every row would take more memory than it tells."""

import hashlib

import numpy as np
import torch

from ste.data.sample import Sample
from ste.data.windows import WindowDataset


def sampled(dataset: WindowDataset, most: int | None) -> tuple[WindowDataset, Sample | None]:
    """At most so many of a dataset's examples: those of some tickers, so that each period stays whole for them.

    The tickers come in the order of a digest of their names: the same ones for every split and every model, and
    a smaller sample is part of a larger one. One ticker is kept whatever its length.

    Args:
        dataset: of one split.
        most: examples; None is all of them.

    Returns:
        The dataset itself and None where it holds no more than that.
    """
    if most is None or len(dataset) <= most:
        return dataset, None
    columns = dataset.store.columns
    ticker = columns.ticker[dataset.ends.numpy()]
    counts = np.bincount(ticker, minlength=len(columns.tickers))
    present = np.flatnonzero(counts)
    order = sorted(present.tolist(), key=lambda code: hashlib.sha256(str(columns.tickers[code]).encode()).digest())
    kept = max(1, int(np.searchsorted(np.cumsum(counts[order]), most, side="right")))
    chosen = np.zeros(len(counts), dtype=bool)
    chosen[order[:kept]] = True
    ends = dataset.ends[torch.from_numpy(chosen[ticker])]
    return dataset.at(ends), Sample(len(ends), len(dataset), kept, len(present))
