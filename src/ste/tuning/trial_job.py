"""Run one trial in its job."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ste.config import PathSettings, SweepSettings, TrackingSettings
from ste.config.load import build_settings
from ste.errors import Pruned
from ste.tuning.trial_result import FINISHED, PRUNED, SHOWN, TrialResult

if TYPE_CHECKING:
    from ste.experiment.train_result import TrainResult


def run_trial(values: dict[str, Any], name: str, train: "Callable[[], TrainResult | None]") -> TrialResult:
    """Train and return the result; a trial that fails before its run starts is tracked as a FAILED run.

    Args:
        values: the trial's configuration, which may be invalid.
        name: of its run.
        train: trains with the configuration.
    """
    sweep = build_settings(SweepSettings, values["sweep"])
    tracking = build_settings(TrackingSettings, values["tracking"])
    paths = build_settings(PathSettings, values["paths"])
    output = Path(paths.output)
    try:
        trained = train()
        assert trained is not None  # a trial runs in one process
    except Pruned as stop:
        if stop.run_id:
            shutil.rmtree(output / "checkpoints" / stop.run_id, ignore_errors=True)
        return TrialResult(PRUNED, run_id=stop.run_id, error=str(stop))
    except Exception as error:
        if tracking.enabled and sweep.parent:
            from ste.tracking.sweep_runs import track_failure

            track_failure(error, sweep, tracking, output, name)
        raise
    split = "test" if "test" in trained.scores else "validation"
    figures = trained.scores[split].figures
    shown = {name: (figures[name].value, figures[name].low, figures[name].high) for name in SHOWN if name in figures}
    return TrialResult(
        FINISHED,
        trained.monitored,
        trained.run_id,
        shown,
        split,
        rows=f"{trained.data_digest[:16]}/{trained.scores['validation'].examples}",
        seconds=trained.fit_seconds,
        checkpoint=trained.validation == "holdout",
        verdict=trained.verdict.word,
    )
