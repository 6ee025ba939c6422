"""Thresholds that are multiples of each ticker's trailing volatility."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ste.config import LabelSettings
from ste.labels.label_method import Rules
from ste.labels.thresholds import ThresholdMethod
from ste.registry import LABELS


@dataclass(frozen=True)
class VolatilityMultiples(ThresholdMethod):
    """As `fixed`, with thresholds times the trailing volatility over a period, so that calm stocks move too."""

    ordered: ClassVar[bool] = True
    meaning: ClassVar[str] = "{ahead} return between multiples of the ticker's own volatility"

    @classmethod
    def rules(cls, settings: LabelSettings) -> Rules:
        """Yield the rules of the thresholds; one of 0.01 is a return that was meant for `fixed`."""
        yield from super().rules(settings)
        expected = "a multiple of the trailing volatility, 0.05 or more, with data.labels.method=volatility"
        yield settings.threshold >= 0.05, "threshold", expected, 0.5

    def scale(self, volatility: np.ndarray) -> np.ndarray:
        """Return the volatility."""
        return volatility


LABELS.add("volatility", VolatilityMultiples)
