"""Sample the tickers of a split where scoring every row would take too much memory."""

import hashlib

import numpy as np
import torch

from ste.data.sample import Sample
from ste.data.window_dataset import WindowDataset


def sample_tickers(dataset: WindowDataset, max_examples: int | None) -> tuple[WindowDataset, Sample | None]:
    """Restrict a dataset to the examples of some tickers; every period of a sampled ticker is included.

    Tickers are taken in the order of a digest of their names, so that every split and model has the same ones and
    a smaller sample is part of a larger one. At least one ticker is taken.

    Args:
        dataset: of one split.
        max_examples: maximum number of examples; None takes all.

    Returns:
        The restricted dataset and the size of the sample; the dataset itself and None where no limit applies.
    """
    if max_examples is None or len(dataset) <= max_examples:
        return dataset, None
    columns = dataset.store.columns
    ticker = columns.ticker[dataset.ends.numpy()]
    counts = np.bincount(ticker, minlength=len(columns.tickers))
    present = np.flatnonzero(counts)
    order = sorted(present.tolist(), key=lambda code: hashlib.sha256(str(columns.tickers[code]).encode()).digest())
    count = max(1, int(np.searchsorted(np.cumsum(counts[order]), max_examples, side="right")))
    sampled = np.zeros(len(counts), dtype=bool)
    sampled[order[:count]] = True
    ends = dataset.ends[torch.from_numpy(sampled[ticker])]
    return dataset.with_ends(ends), Sample(len(ends), len(dataset), count, len(present))
