"""Metrics of class probabilities. A metric is one function with the `metric` decorator in a module of this package."""
