"""Drift: whether what a model is given, says and gets right is still what it was in training and test.

NumPy and prometheus_client are enough for what runs beside a service; pandas and the evaluation are imported
where a file of predictions is scored.
"""
