"""Log parameters, metrics, tags, files and datasets of a run to MLflow."""

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.data import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

from ste.tracking.retry import retried

if TYPE_CHECKING:
    import pandas as pd

_MAX_PARAM_LENGTH = 6000
_MAX_PARAMS = 100  # per call of MLflow
_MAX_METRICS = 1000  # per call of MLflow


@dataclass(frozen=True)
class Table:
    """A table that a run is trained or scored on, for MLflow's datasets.

    Attributes:
        frame: some of its rows.
        path: of its file, or the folder of its parts.
        digest: of the file.
        context: use of the table, such as `train`.
        targets: name of the label's column.
        rows: number of rows.
    """

    frame: "pd.DataFrame"
    path: Path
    digest: str
    context: str
    targets: str
    rows: int


class TrackedRun:
    """A run that this process writes; `tracking.tracked_run.tracked_run` starts one.

    Args:
        client: of the store.
        run: MLflow's own object.

    Attributes:
        id: MLflow run ID.
        name: of the run.
        experiment_id: ID of its experiment.
    """

    def __init__(self, client: MlflowClient, run: MlflowRun) -> None:
        self.client = client
        self.id = str(run.info.run_id)
        self.name = str(run.info.run_name)
        self.experiment_id = str(run.info.experiment_id)

    def log_params(self, params: dict[str, Any]) -> None:
        """Log a flat dict of parameters."""
        entries = [Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in params.items()]
        for i in range(0, len(entries), _MAX_PARAMS):
            retried(self.client.log_batch, self.id, params=entries[i : i + _MAX_PARAMS])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0, model_id: str | None = None) -> None:
        """Log the metrics of one step, also of a logged model where its ID is given."""
        self.log_history({step: metrics}, model_id)

    def log_history(self, history: Mapping[int, Mapping[str, float]], model_id: str | None = None) -> None:
        """Log the metrics of several steps, as few transactions: each takes as long as a small epoch."""
        now = int(time.time() * 1000)
        entries = [
            Metric(key, float(value), now, step, model_id=model_id)
            for step, metrics in history.items()
            for key, value in metrics.items()
        ]
        for i in range(0, len(entries), _MAX_METRICS):
            retried(self.client.log_batch, self.id, metrics=entries[i : i + _MAX_METRICS])

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags."""
        retried(self.client.log_batch, self.id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Upload a file."""
        self.client.log_artifact(self.id, str(path), folder)

    def copy_datasets(self, run_id: str) -> None:
        """Log the datasets of another run."""
        self.client.log_inputs(self.id, self.client.get_run(run_id).inputs.dataset_inputs)

    def log_datasets(self, tables: Sequence[Table]) -> None:
        """Log tables as MLflow datasets with schema, number of rows, digest and source."""
        entities = []
        with warnings.catch_warnings():
            # MLflow warns of ambiguous local paths and of integer columns with missing values; neither occurs here.
            warnings.filterwarnings("ignore", category=UserWarning, module="mlflow")
            for table in tables:
                dataset = from_pandas(
                    table.frame,
                    source=str(table.path),
                    targets=table.targets,
                    name=table.path.name,
                    digest=table.digest[:32],
                )
                tags = [InputTag("mlflow.data.context", table.context)]
                counts = {"num_rows": table.rows, "num_elements": table.rows * table.frame.shape[1]}
                entity = Dataset(**dataset.to_dict() | {"profile": json.dumps(counts)})
                entities.append(DatasetInput(entity, tags))
        retried(self.client.log_inputs, self.id, entities)

    def steps(self, metric: str) -> set[int]:
        """Return the logged steps of a metric."""
        return {entry.step for entry in self.client.get_metric_history(self.id, metric)}
