"""What pages need of a tracked run besides its figures."""

from collections import defaultdict

from mlflow.tracking import MlflowClient

from ste.tracking.run_info import RunInfo
from ste.training.run_logger import PREFIX

PROVENANCE = ("git.", "version.", "machine.")


def read_curves(client: MlflowClient, run: RunInfo) -> list[dict[str, float]]:
    """Figures of each epoch, as the module's own history names them (`val/log_loss`)."""
    epochs: dict[int, dict[str, float]] = defaultdict(dict)
    for key in run.metrics:
        if key.startswith(PREFIX):
            stage, _, figure = key.removeprefix(PREFIX).partition("_")
            for entry in client.get_metric_history(run.id, key):
                epochs[entry.step][f"{stage}/{figure}"] = entry.value
    return [epochs[step] for step in sorted(epochs)]


def read_provenance(run: RunInfo) -> dict[str, str]:
    """Tags of code, versions and machine."""
    return {key: value for key, value in run.tags.items() if key.startswith(PROVENANCE)}
