"""The live pipeline: daily events in, incremental features, a prediction at each period close.

The package imports neither torch, lightning nor mlflow, so that a stopped pipeline restarts quickly.
"""
