"""A sweep as one run, its trials as runs below it."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.config import SweepSettings, TrackingSettings
from ste.errors import RunError
from ste.tracking.run_info import PARENT_TAG, SWEEP_TAG, TRIAL_TAG, FoundRun, search
from ste.tracking.store import open_store
from ste.tracking.tracked_run import tracked_run


def trial_tags(settings: SweepSettings) -> dict[str, Any]:
    """Tags of a trial's run; none outside a sweep."""
    if settings.trial is None:
        return {}
    return {TRIAL_TAG: settings.trial} | ({PARENT_TAG: settings.parent} if settings.parent else {})


def trial_params(settings: SweepSettings) -> dict[str, Any]:
    """What the trial's sweep gave it, as parameters `sweep.KEY`."""
    return {f"sweep.{key}": value for key, value in settings.values.items()}


def find_sweep(tracking: TrackingSettings, output: Path, run_id: str) -> bool:
    """Whether the store has that sweep, so that it can be gone on with."""
    try:
        run = open_store(tracking, output).get_run(run_id)
    except MlflowException:
        return False
    return SWEEP_TAG in run.data.tags and run.info.lifecycle_stage == "active"


def find_trials_of(client: MlflowClient, parent: str, number: int | None = None) -> dict[int, FoundRun]:
    """Runs of a sweep's trials by number, or that of one."""
    experiment = client.get_run(parent).info.experiment_id
    where = f"tags.`{PARENT_TAG}` = '{parent}'"
    if number is not None:
        where += f" and tags.`{TRIAL_TAG}` = '{number}'"
    runs = search(client, [experiment], where)
    return {int(run.tags[TRIAL_TAG]): run for run in reversed(runs) if TRIAL_TAG in run.tags}  # the latest of each


def wait_for(run_id: str, output: Path) -> None:
    """Return when no process on this machine holds the run any more."""
    path = output / ".running" / f"{run_id}.lock"
    if path.exists():
        with FileLock(path):
            pass


def mark_killed(client: MlflowClient, run_id: str) -> None:
    """Mark a run whose process is gone."""
    with suppress(MlflowException):
        client.set_terminated(run_id, "KILLED")


def track_failure(
    error: BaseException, sweep: SweepSettings, tracking: TrackingSettings, output: Path, name: str
) -> None:
    """Keep a trial that failed before its run began as a FAILED run with the traceback.

    Args:
        error: with its traceback.
        sweep: says which trial of which parent.
        tracking: the store.
        output: folder of the default store.
        name: of the run.
    """
    with suppress(MlflowException, RunError):  # the trial's own fault is what is told
        client = open_store(tracking, output)
        assert sweep.parent is not None
        if sweep.trial in find_trials_of(client, sweep.parent, sweep.trial):
            return  # it had begun, and says so itself
        with suppress(type(error)), tracked_run(tracking, output, name, trial_params(sweep), tags=trial_tags(sweep)):
            raise error
