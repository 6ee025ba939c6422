"""One trial, where its job runs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ste.config import PathSettings, SweepSettings, TrackingSettings
from ste.config.load import build_settings
from ste.errors import Pruned
from ste.tuning.trial_outcome import PRUNED, Outcome


def run_trial(values: dict[str, Any], name: str, train: Callable[[], Any]) -> Outcome:
    """Train, and say what came of it. One that fails is FAILED in the store, wherever it failed.

    Args:
        values: the trial's configuration, which may be wrong.
        name: of its run.
        train: gives a `TrainResult`.
    """
    sweep = build_settings(SweepSettings, values["sweep"])
    tracking = build_settings(TrackingSettings, values["tracking"])
    paths = build_settings(PathSettings, values["paths"])
    output = Path(paths.output)
    try:
        result = train()
    except Pruned as stop:
        if stop.run_id:
            shutil.rmtree(output / "checkpoints" / stop.run_id, ignore_errors=True)
        return Outcome(PRUNED, run_id=stop.run_id, error=str(stop))
    except Exception as error:
        if tracking.enabled and sweep.parent:
            from ste.tracking.sweep_runs import track_failure

            track_failure(error, sweep, tracking, output, name)
        raise
    from ste.tuning.tracked_trials import outcome_of_result

    return outcome_of_result(result)
