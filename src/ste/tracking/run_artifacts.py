"""What pages need of a tracked run besides its figures."""

import json
import tempfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.tracking.provenance import PROVENANCE
from ste.tracking.run_info import RunInfo
from ste.training.run_logger import PREFIX

_PREFIXES = ("git.", "version.", "machine.")


def read_curves(client: MlflowClient, run: RunInfo) -> list[dict[str, float]]:
    """Figures of each epoch, as the module's own history names them (`val/log_loss`)."""
    epochs: dict[int, dict[str, float]] = defaultdict(dict)
    for key in run.metrics:
        if key.startswith(PREFIX):
            stage, _, figure = key.removeprefix(PREFIX).partition("_")
            for entry in client.get_metric_history(run.id, key):
                epochs[entry.step][f"{stage}/{figure}"] = entry.value
    return [epochs[step] for step in sorted(epochs)]


def read_provenance(client: MlflowClient, run: RunInfo) -> dict[str, str]:
    """Code, versions and machine of a run; the tags alone of a run that has no such artifact."""
    tags = {key: value for key, value in run.tags.items() if key.startswith(_PREFIXES)}
    with suppress(MlflowException, OSError), tempfile.TemporaryDirectory() as folder:
        return json.loads(Path(client.download_artifacts(run.id, PROVENANCE, folder)).read_text())
    return tags
