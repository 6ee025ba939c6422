"""Protocol of the store's client, for parts that import MLflow only where tracking is on."""

from collections.abc import Sequence
from typing import Protocol


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
