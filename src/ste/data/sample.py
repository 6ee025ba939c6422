"""How much of a split stands for the whole."""

from collections.abc import Sequence
from dataclasses import dataclass


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
