"""MLflow: the store, the life cycle of runs, logging and search. Only this package imports MLflow."""

import os

# Disable MLflow's usage reports.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
