"""Runs in MLflow: one store, one life cycle, one way to log and to find them. MLflow is imported here alone."""
