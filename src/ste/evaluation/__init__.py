"""Metrics with confidence intervals, comparison with baselines, portfolio, and the verdict."""
