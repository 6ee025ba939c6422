"""Score a tracked run again from its checkpoints, and compare with what was tracked."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ste.config import EvaluateSettings, PathSettings
from ste.config.run_log import run_log
from ste.ensembles.members import StoredEnsemble
from ste.errors import RunError
from ste.evaluation.explain.group_value import with_columns
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.temperature import with_calibration
from ste.evaluation.verdict import Verdict
from ste.experiment.artifacts import (
    PREDICTIONS,
    SUMMARY,
    differences,
    read_calibrations,
    read_group_values,
    score_metrics,
)
from ste.experiment.run import parts_from_config
from ste.experiment.run_page import run_note, run_tags
from ste.experiment.run_parts import RunParts
from ste.experiment.run_scores import judge_run, score_splits
from ste.experiment.stored_run import download_checkpoints, predict_checkpoints
from ste.experiment.trial_log import TrialFiles
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo


@dataclass(frozen=True)
class Evaluation:
    """A tracked run, scored again.

    Attributes:
        run_id: MLflow's ID.
        run_name: of the run.
        model: name, for printing.
        scores: by split, of the splits that were asked for.
        verdict: on the test split, or on validation.
        differences: from what was tracked, one sentence each; empty where everything is equal.
        synthetic: whether the rows are of a synthetic market.
    """

    run_id: str
    run_name: str
    model: str
    scores: dict[str, Scorecard]
    verdict: Verdict
    differences: list[str]
    synthetic: bool = False


def evaluate_run(settings: EvaluateSettings) -> Evaluation:
    """Predict with a run's checkpoints and data, score, judge, and compare with the tracked metrics and predictions.

    Where everything is equal, the run's tags and note are updated: trials may have been added.

    Raises:
        SteError: no such run or split, missing artifacts, or other data.
    """
    from ste.tracking.earlier_trials import find_trials
    from ste.tracking.run_info import DIGEST_TAG
    from ste.tracking.run_lookup import download, find_run
    from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    run = find_run(client, settings.run, settings.tracking.experiment)
    digest = run.tags.get(DIGEST_TAG, "")
    with tempfile.TemporaryDirectory() as folder:
        parts, predictions = _predict_again(client, run, settings.paths, Path(folder))
        tracked = Predictions.read(download(client, run, PREDICTIONS, Path(folder)))
        summary = download(client, run, SUMMARY, Path(folder))
        groups, calibrations = read_group_values(summary), read_calibrations(summary)
    scores = score_splits(parts.scoring, predictions)
    if settings.split != "all" and settings.split not in scores:
        raise RunError(f"split={settings.split}: run {run.id} has only {', '.join(scores)}.")
    shown: dict[str, Scorecard] = scores if settings.split == "all" else {settings.split: scores[settings.split]}
    trials = find_trials(
        client, run.id, digest, scores.get("test"), TrialFiles(Path(settings.paths.output)).keys(digest)
    )
    verdict = with_columns(judge_run(scores, predictions, trials, synthetic=parts.data.synthetic), groups)
    verdict = with_calibration(verdict, calibrations)
    found = differences(score_metrics(shown), run.metrics)
    if not predictions.slice_split(*tracked.splits).frame.equals(tracked.frame):
        found.append("predictions.parquet: other probabilities than now")
    run_log.info("run %s: %s", run.id, verdict.summary)
    run_log.info("%d differences from what was tracked", len(found))
    if not found:
        for key, value in run_tags(verdict, scores).items():
            client.set_tag(run.id, key, value)
        client.set_tag(run.id, "mlflow.note.content", run_note(verdict, run.id))
    return Evaluation(run.id, run.name, predictions.model, shown, verdict, found, parts.data.synthetic)


def _predict_again(client: RunStore, run: "RunInfo", paths: PathSettings, folder: Path) -> tuple[RunParts, Predictions]:
    """Predict with the checkpoints of a run, or with those of an ensemble's members; parts are the first member's."""
    from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG
    from ste.tracking.run_lookup import read_config

    digest = run.tags.get(DIGEST_TAG, "")
    if ENSEMBLE_TAG in run.tags:
        ensemble = StoredEnsemble.from_run(client, run, folder)
        return parts_from_config(ensemble.members[0].config, paths), ensemble.predict(paths, digest)
    parts = parts_from_config(read_config(client, run), paths)
    checkpoints = download_checkpoints(client, run, folder, in_folds=parts.data.in_folds)
    return parts, predict_checkpoints(parts, checkpoints, digest)
