"""Size of the sample of a split that is scored."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """Size of a sample of a split.

    Attributes:
        examples, tickers: in the sample.
        all_examples, all_tickers: in the split.
    """

    examples: int
    all_examples: int
    tickers: int
    all_tickers: int

    @property
    def text(self) -> str:
        """The sample in words, to follow the number of examples."""
        return f"of {self.all_examples:,} examples: {self.tickers:,} of {self.all_tickers:,} tickers"

    @staticmethod
    def combine(parts: "Sequence[Sample]") -> "Sample":
        """Combine the samples of several folds, which have the same tickers."""
        return Sample(
            sum(part.examples for part in parts),
            sum(part.all_examples for part in parts),
            max(part.tickers for part in parts),
            max(part.all_tickers for part in parts),
        )
