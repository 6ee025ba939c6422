"""Runs as read from the store, and searches for them."""

from dataclasses import dataclass

from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

DIGEST_TAG = "data.digest"
TRIAL_KEY_TAG = "trial"
"""What was fitted, as a digest: the same trial again has the same one."""
FOLD_TAG = "fold"
ENSEMBLE_TAG = "ensemble"
"""IDs of the members, in order, joined by commas."""
PARENT_TAG = "mlflow.parentRunId"
SWEEP_TAG = "sweep"
"""Tag of the parent run of a sweep, which trains nothing itself: `grid` or `search`."""
BEST_TAG = "best.run_id"
TRIAL_TAG = "sweep.trial"
PRUNED_TAG = "pruned"


@dataclass(frozen=True)
class RunInfo:
    """A run as read from the store.

    Attributes:
        id: MLflow run ID.
        name: run name.
        status: FINISHED, FAILED, KILLED or RUNNING.
        started: milliseconds since 1970.
        metrics: last value of each metric.
        tags: all of them.
        experiment: ID of its experiment.
    """

    id: str
    name: str
    status: str
    metrics: dict[str, float]
    tags: dict[str, str]
    started: int = 0
    experiment: str = ""

    @property
    def verdict(self) -> str:
        """Word of the verdict, or empty."""
        return self.tags.get("verdict", "")

    @classmethod
    def from_mlflow(cls, run: MlflowRun) -> "RunInfo":
        """Create from MLflow's own object."""
        return cls(
            run.info.run_id,
            run.info.run_name or "",
            run.info.status,
            dict(run.data.metrics),
            dict(run.data.tags),
            int(run.info.start_time or 0),
            str(run.info.experiment_id),
        )


def search(client: MlflowClient, experiments: list[str], where: str) -> list[RunInfo]:
    """Find every run of some experiments that matches an MLflow filter, latest first.

    Args:
        client: of the store.
        experiments: their IDs.
        where: MLflow filter string.
    """
    runs, token = [], None
    while True:
        page = client.search_runs(
            experiments, where, max_results=1000, page_token=token, order_by=["attributes.start_time DESC"]
        )
        runs += [RunInfo.from_mlflow(run) for run in page]
        token = page.token
        if not token:
            return runs


def find_children(client: MlflowClient, parent: str) -> dict[int, RunInfo]:
    """Find the runs of a parent's folds, by fold number."""
    experiment = client.get_run(parent).info.experiment_id
    children = search(client, [experiment], f"tags.`{PARENT_TAG}` = '{parent}'")
    return {int(child.tags[FOLD_TAG]): child for child in children if FOLD_TAG in child.tags}


def find_runs(client: MlflowClient, experiments: list[str], since: int = 0) -> list[RunInfo]:
    """Find the training runs of some experiments, latest first, without folds and sweeps.

    Args:
        client: of the store.
        experiments: their IDs.
        since: earliest start, milliseconds since 1970.
    """
    runs = search(client, experiments, f"attributes.start_time >= {since}")
    return [run for run in runs if trains(run.tags)]


def trains(tags: dict[str, str]) -> bool:
    """Whether a run with these tags is a training run of its own: neither a fold nor a sweep."""
    return FOLD_TAG not in tags and SWEEP_TAG not in tags
