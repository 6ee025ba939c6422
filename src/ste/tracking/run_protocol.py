"""Protocols of a tracked run and of the store, for parts that import MLflow only where tracking is on."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from ste.tracking.run_info import RunInfo


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


class ArtifactEntry(Protocol):
    """A file or folder among the artifacts of a run."""

    @property
    def path(self) -> str:
        """Relative to the artifacts of the run."""


class RunStore(Protocol):
    """Client of the store; `tracking.store.open_store` opens one."""

    def list_artifacts(self, run_id: str, path: str | None = None) -> Sequence[ArtifactEntry]:
        """List a folder of a run's artifacts."""

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Upload a file to a folder of a run's artifacts."""

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set a tag of a run."""


class TrackedRun(Protocol):
    """A run that this process writes; `tracking.tracked_run.tracked_run` starts one.

    Attributes:
        client: of its store.
        id: MLflow run ID.
        name: run name.
        experiment_id: ID of its experiment.
    """

    client: RunStore
    id: str
    name: str
    experiment_id: str

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0, model_id: str | None = None) -> None:
        """Queue the metrics of one step."""

    def log_history(self, history: Mapping[int, Mapping[str, float]], model_id: str | None = None) -> None:
        """Queue the metrics of several steps."""

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags."""

    def together(self) -> AbstractContextManager[None]:
        """Send the metrics and tags that are logged inside as one transaction."""

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Upload a file."""

    def log_datasets(self, tables: Sequence[Table]) -> None:
        """Log tables as MLflow datasets."""

    def copy_datasets(self, run_id: str) -> None:
        """Log the datasets of another run."""

    def steps(self, metric: str) -> set[int]:
        """Return the logged steps of a metric."""

    def children(self) -> "dict[int, RunInfo]":
        """Find the runs of the folds that have started, by fold number."""

    def tag(self, key: str) -> str | None:
        """Read a tag."""
