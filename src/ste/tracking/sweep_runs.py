"""The parent run of a sweep and the runs of its trials."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.config import SweepSettings, TrackingSettings
from ste.errors import RunError
from ste.tracking.run_info import PARENT_TAG, SWEEP_TAG, TRIAL_TAG, RunInfo, search
from ste.tracking.store import create_store, open_store
from ste.tracking.tracked_run import tracked_run


def trial_tags(settings: SweepSettings) -> dict[str, Any]:
    """Return the tags of a trial's run; empty outside a sweep."""
    if settings.trial is None:
        return {}
    return {TRIAL_TAG: settings.trial} | ({PARENT_TAG: settings.parent} if settings.parent else {})


def trial_params(settings: SweepSettings) -> dict[str, Any]:
    """Return the swept values of a trial as parameters `sweep.KEY`."""
    return {f"sweep.{key.lstrip('+')}": value for key, value in settings.values.items()}


def has_sweep(tracking: TrackingSettings, output: Path, run_id: str) -> bool:
    """Whether the store has the parent run of a sweep, so that the sweep can be resumed."""
    try:
        run = open_store(tracking, output).get_run(run_id)
    except (MlflowException, RunError):
        return False
    return SWEEP_TAG in run.data.tags and run.info.lifecycle_stage == "active"


def find_trial_runs(client: MlflowClient, parent: str) -> dict[int, RunInfo]:
    """Find the runs of a sweep's trials by trial number, the latest of each.

    Args:
        client: of the store.
        parent: run ID of the sweep.
    """
    experiment = client.get_run(parent).info.experiment_id
    runs = search(client, [experiment], f"tags.`{PARENT_TAG}` = '{parent}'")
    return {int(run.tags[TRIAL_TAG]): run for run in reversed(runs) if TRIAL_TAG in run.tags}


def track_failure(
    error: BaseException, sweep: SweepSettings, tracking: TrackingSettings, output: Path, name: str
) -> None:
    """Track a trial that failed before its run started as a FAILED run with the traceback.

    Args:
        error: with its traceback.
        sweep: parent and number of the trial.
        tracking: store and experiment.
        output: folder of the default store.
        name: of the run.
    """
    with suppress(MlflowException, RunError):  # the trial's own error is raised
        client = create_store(tracking, output)
        assert sweep.parent is not None
        if sweep.trial in find_trial_runs(client, sweep.parent):
            return  # the run had started and is FAILED already
        with suppress(type(error)), tracked_run(tracking, output, name, trial_params(sweep), tags=trial_tags(sweep)):
            raise error
