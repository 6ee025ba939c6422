"""Matplotlib figures of a run."""

from matplotlib.figure import Figure

from ste.reporting.plots.figures import (
    bars_figure,
    coefficients_figure,
    confusion_figure,
    curves_figure,
    equity_figure,
    estimates_figure,
    lags_figure,
    reliability_figure,
)
from ste.reporting.plots.theme import svg

__all__ = [
    "Figure",
    "bars_figure",
    "coefficients_figure",
    "confusion_figure",
    "curves_figure",
    "equity_figure",
    "estimates_figure",
    "lags_figure",
    "reliability_figure",
    "svg",
]
