"""Monitoring of a deployed model: drift of its inputs and predictions, and its track record as outcomes arrive.

The part that runs inside the service needs NumPy and prometheus_client only; pandas and the evaluation package are
imported where a prediction log is scored.
"""
