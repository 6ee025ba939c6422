"""STE, the Stock Trend Estimator: train, track, compare and explain small trend classifiers."""

__version__ = "0.1.0"
