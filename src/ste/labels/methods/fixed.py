"""Thresholds that are simple returns."""

from dataclasses import dataclass
from typing import ClassVar

from ste.labels.thresholds import ThresholdMethod
from ste.registry import LABELS


@dataclass(frozen=True)
class Fixed(ThresholdMethod):
    """A return above `threshold` is an Uptrend, one below `lower` a Downtrend."""

    meaning: ClassVar[str] = "{ahead} return between fixed thresholds"

    def fixed_edges(self) -> tuple[float, ...]:
        """Return the thresholds."""
        return self.factors()


LABELS.add("fixed", Fixed)
