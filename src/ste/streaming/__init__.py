"""The live pipeline: daily events in, feature rows by the engine of tables, a prediction at each period close.

The package imports neither torch, lightning nor mlflow, so that a stopped pipeline restarts quickly.
"""
