"""STE, the Stock Trend Estimator: train, track, compare and explain small trend classifiers."""

from ste.registry import register

__all__ = ["register"]
__version__ = "0.1.0"
