"""Settings of a stopped run that is resumed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ste.config import PathSettings, TrackingSettings
from ste.errors import RunError


def resumed_config(run_id: str, tracking: TrackingSettings, paths: PathSettings) -> dict[str, Any]:
    """Read the configuration of a stopped run and set it to resume.

    Args:
        run_id: MLflow's ID of the run.
        tracking: store of the run.
        paths: folders of now.

    Raises:
        RunError: no such run, or one that cannot be resumed.
    """
    from ste.tracking.run_info import ENSEMBLE_TAG
    from ste.tracking.run_lookup import find_run, read_config
    from ste.tracking.store import open_store

    client = open_store(tracking, Path(paths.output))
    run = find_run(client, run_id, tracking.experiment, key="resume")
    if run.status == "FINISHED":
        raise RunError(f"resume={run_id}: that run is FINISHED. Try python -m ste.evaluate run={run_id}.")
    if ENSEMBLE_TAG in run.tags:
        raise RunError(f"resume={run_id}: that run is an ensemble. Combine it again: {run.tags['command']}.")
    return read_config(client, run) | {"resume": run.id, "tracking": asdict(tracking), "paths": asdict(paths)}
