"""The part of MLflow's client that inference uses."""

from collections.abc import Sequence
from typing import Protocol


class ArtifactEntry(Protocol):
    """A file or folder among the artifacts of a run."""

    @property
    def path(self) -> str:
        """Relative to the artifacts of the run."""


class RunStore(Protocol):
    """A tracking store; `tracking.store.open_store` opens one."""

    def list_artifacts(self, run_id: str, path: str | None = None) -> Sequence[ArtifactEntry]:
        """List a folder of a run's artifacts."""

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Upload a file to a folder of a run's artifacts."""
