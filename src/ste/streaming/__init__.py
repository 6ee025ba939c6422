"""Predictions as they become possible: daily events in, features kept up to date, a prediction at each close.

Neither torch, lightning nor mlflow is imported here: a stopped pipeline must be back at once.
"""
