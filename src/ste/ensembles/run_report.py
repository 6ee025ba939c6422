"""Write the HTML report of a tracked run."""

import json
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ste.config import ReportSettings
from ste.config.run_log import run_log
from ste.data.build.data_card import is_synthetic
from ste.data.storage.files import atomic_file
from ste.ensembles.members import StoredEnsemble
from ste.evaluation.explain.group_value import with_columns
from ste.evaluation.explain.permutation_importance import Importance
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Estimate
from ste.evaluation.temperature import with_calibration
from ste.evaluation.verdict import Verdict
from ste.experiment.artifacts import PREDICTIONS, SUMMARY, read_calibrations, read_group_values
from ste.experiment.explanation import Explanation, explain
from ste.experiment.model_setup import load_model
from ste.experiment.run import parts_from_config
from ste.experiment.run_scores import judge_run, score_splits
from ste.experiment.stored_run import download_last
from ste.experiment.trial_log import TrialFiles
from ste.reporting.html.report_data import MemberRow, ReportData
from ste.reporting.html.report_page import render_report

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo


def write_report(settings: ReportSettings) -> tuple[Path, Verdict, list[Importance]]:
    """Score a run's predictions, explain its model, write the page, and track it with the run.

    Returns:
        The page, the verdict, and the importance of groups and features.
    """
    from ste.tracking.earlier_trials import find_trials
    from ste.tracking.run_artifacts import read_curves, read_provenance
    from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG
    from ste.tracking.run_lookup import DATA_CARD, download, find_run, read_config
    from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    run = find_run(client, settings.run, settings.tracking.experiment)
    config = {**read_config(client, run), "paths": asdict(settings.paths)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        predictions = Predictions.read(download(client, run, PREDICTIONS, folder))
        card = json.loads(download(client, run, DATA_CARD, folder).read_text())
        ensemble = StoredEnsemble.from_run(client, run, folder) if ENSEMBLE_TAG in run.tags else None
        own = config if ensemble is None else ensemble.members[0].config
        parts = parts_from_config(own, settings.paths)
        scores = score_splits(parts.scoring, predictions)
        digest = run.tags.get(DIGEST_TAG, "")
        recorded = TrialFiles(Path(settings.paths.output)).keys(digest)
        trials = find_trials(client, run.id, digest, scores.get("test"), recorded)
        summary = download(client, run, SUMMARY, folder)
        groups, calibrations = read_group_values(summary), read_calibrations(summary)
        verdict = with_columns(judge_run(scores, predictions, trials, synthetic=is_synthetic(card)), groups)
        verdict = with_calibration(verdict, calibrations)
        explanation: Explanation = ([], None)
        if settings.importance and ensemble is None:
            data, fold = parts.data.last()
            explanation = explain(load_model(download_last(client, run, fold, folder)), data)
        importance, attribution = explanation
        page = render_report(
            ReportData(
                run_id=run.id,
                name=run.name,
                model=predictions.model,
                created=datetime.fromtimestamp(run.started / 1000, UTC).isoformat(timespec="seconds"),
                verdict=verdict,
                scores=scores,
                predictions=predictions,
                history=read_curves(client, run),
                best_epoch=int(run.metrics["best_epoch"]) if "best_epoch" in run.metrics else None,
                importance=importance,
                attribution=attribution,
                groups=groups,
                card=card,
                config=config,
                provenance=read_provenance(client, run),
                commands=_commands(run, ensemble),
                members=[] if ensemble is None else _member_rows(ensemble),
                members_text="" if ensemble is None else ensemble.content["description"],
            )
        )
        file = Path(settings.file or Path(settings.paths.output) / "reports" / f"{run.id}.html")
        with atomic_file(file) as partial:
            partial.write_text(page, encoding="utf-8")
        client.log_artifact(run.id, str(file), "report")
    run_log.info("run %s: %s", run.id, verdict.summary)
    run_log.info("page %s", file.resolve())
    return file, verdict, importance


def _member_rows(ensemble: StoredEnsemble) -> list[MemberRow]:
    return [
        MemberRow(
            run_id=entry["run_id"],
            name=entry["name"],
            model=entry["model"],
            weight=entry["weight"],
            figures={
                split: {name: Estimate(**figure) for name, figure in figures.items()}
                for split, figures in entry["figures"].items()
            },
        )
        for entry in ensemble.content["members"]
    ]


def _commands(run: "RunInfo", ensemble: StoredEnsemble | None) -> list[str]:
    """List the commands that repeat a run."""
    commit = run.tags.get("git.commit", "unknown")
    out = [f"git checkout {commit}"] if commit != "unknown" else []
    out += [member.command for member in ensemble.members if member.command] if ensemble else []
    out += [run.tags["command"]] if "command" in run.tags else []
    return [*out, f"python -m ste.evaluate run={run.id}"]
