"""Some of a split's tickers in place of all, where scoring every row would take more memory than it tells."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ste.data.windows import WindowDataset


@dataclass(frozen=True)
class Sample:
    """How much of a split is scored.

    Attributes:
        examples, tickers: that are scored.
        all_examples, all_tickers: that there are.
    """

    examples: int
    all_examples: int
    tickers: int
    all_tickers: int

    @property
    def text(self) -> str:
        """In words, after the number of examples."""
        return f"of {self.all_examples:,} examples: {self.tickers:,} of {self.all_tickers:,} tickers"

    @staticmethod
    def together(parts: "Sequence[Sample]") -> "Sample":
        """Of several folds, whose tickers are the same ones."""
        return Sample(
            sum(part.examples for part in parts),
            sum(part.all_examples for part in parts),
            max(part.tickers for part in parts),
            max(part.all_tickers for part in parts),
        )


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
