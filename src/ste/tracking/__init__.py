"""Runs in MLflow: one store, one life cycle, one way to log and to find them. MLflow is imported here alone."""

import os

# MLflow would report each of its calls to its makers; a run is nobody else's business.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
