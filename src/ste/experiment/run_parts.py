"""The parts of a run, each with its own settings."""

from dataclasses import dataclass

from ste.config import ScoringSettings
from ste.experiment.model_setup import Fitter, ModelBuilder
from ste.experiment.run_data import RunData
from ste.experiment.run_tracking import RunTracker


@dataclass(frozen=True)
class RunParts:
    """What a run is made of.

    Attributes:
        data: tables and splits.
        builder: builds the unfitted model.
        fitter: fits it.
        scoring: settings of the scores.
        tracker: opens tracked runs.
    """

    data: RunData
    builder: ModelBuilder
    fitter: Fitter
    scoring: ScoringSettings
    tracker: RunTracker
