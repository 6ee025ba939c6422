"""Combine tracked runs: predict, score, judge and track their ensemble."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ste.config import EnsembleSettings
from ste.config.run_log import run_log
from ste.data.storage.files import atomic_file
from ste.ensembles.ensemble_result import EnsembleResult
from ste.ensembles.members import FOLDER, MEMBERS, NAME, STORED, Member, fetch_members
from ste.ensembles.pooling import Combined, add_baselines, combine
from ste.evaluation.scorecard import without_baselines
from ste.experiment.artifacts import write_outputs
from ste.experiment.run import parts_from_config
from ste.experiment.run_scores import count_trials, judge_run, score_splits
from ste.experiment.run_tracking import track_result
from ste.experiment.trial_log import TrialFiles

if TYPE_CHECKING:
    pass

_FIGURES = ("accuracy", "log_loss", "mcc", "auroc")


def combine_runs(settings: EnsembleSettings, folder: Path) -> EnsembleResult:
    """Find the members, combine their predictions, and track the ensemble as a run.

    Args:
        settings: of the ensemble.
        folder: for the files of the run.

    Raises:
        SteError: too few members, or members that do not fit together.
    """
    from ste.ensembles.selection import find_members
    from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG
    from ste.tracking.run_lookup import DATA_CARD, download, experiment_name
    from ste.tracking.store import open_store
    from ste.tracking.tracked_run import tracked_run

    client = open_store(settings.tracking, Path(settings.paths.output))
    runs = find_members(client, settings.runs, settings.tracking.experiment)
    experiment = experiment_name(client, runs[0])
    settings = replace(settings, tracking=replace(settings.tracking, experiment=experiment))
    with tempfile.TemporaryDirectory() as scratch:
        members, predictions = fetch_members(client, runs, Path(scratch))
        parts = parts_from_config(members[0].config, settings.paths)  # they say how the ensemble is scored and judged
        combined = combine(predictions, settings.method, settings.C, NAME)
        ids = [run.id for run in runs]
        tags = {
            "mlflow.source.name": "ste.ensemble",
            "command": f"python -m ste.ensemble 'runs=[{','.join(ids)}]' method={settings.method} C={settings.C}",
            "ensemble.method": settings.method,
            ENSEMBLE_TAG: ",".join(ids),
        }
        name = settings.tracking.run_name or f"{settings.method} of {', '.join(member.title for member in members)}"
        weights = {f"weight.{run_id}": weight for run_id, weight in zip(ids, combined.weights.tolist(), strict=True)}
        params = {"members": ",".join(ids), "method": settings.method, "C": settings.C, **weights}
        with tracked_run(settings.tracking, Path(settings.paths.output), name, params, tags=tags) as run:
            folder.mkdir(parents=True, exist_ok=True)
            config = {"runs": ids, "method": settings.method, "C": settings.C}
            (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
            run.log_file(folder / "config.yaml")
            run.log_file(download(client, runs[0], DATA_CARD, folder))
            run.copy_datasets(ids[0])
            run.set_tags({key: value for key, value in runs[0].tags.items() if key.split(".")[0] == "data"})
            by_title = {member.title: one for member, one in zip(members, predictions, strict=True)}
            member_scores = score_splits(parts.scoring, add_baselines(combined.predictions, by_title))
            scores = {split: without_baselines(card, list(by_title)) for split, card in member_scores.items()}
            best = min(by_title, key=lambda title: member_scores["validation"].baselines[title]["log_loss"].value)
            digest = runs[0].tags.get(DIGEST_TAG, "")
            trials = count_trials(run, digest, scores, TrialFiles(Path(settings.paths.output)))
            result = EnsembleResult(
                run_id=run.id,
                model=NAME,
                method=settings.method,
                members=list(by_title),
                weights=combined.weights.tolist(),
                best_member=best,
                over_best=member_scores["test" if "test" in member_scores else "validation"].gains[best],
                fitted_loss=combined.fitted_loss,
                parameters=sum(member.parameters for member in members),
                validation=parts.data.validation.method,
                data_digest=digest,
                trials=trials.count,
                scores=scores,
                member_scores=member_scores,
                verdict=judge_run(scores, combined.predictions, trials, synthetic=parts.data.synthetic),
                folder=folder,
                predictions=combined.predictions,
            )
            write_outputs(folder, result)
            _write_members(folder, members, combined, result)
            run.log_file(folder / MEMBERS)
            for member in members:
                for path in [member.checkpoints[0].with_name("config.yaml"), *member.checkpoints]:
                    run.log_file(path, f"{FOLDER}/{member.run_id}")
            track_result(run, folder, result)
    for line in (result.description, *result.lines):
        run_log.info(line)
    run_log.info("verdict: %s", result.verdict.summary)
    run_log.info("files %s, run %s", result.folder, result.run_id)
    return result


def _write_members(folder: Path, members: Sequence[Member], combined: Combined, result: EnsembleResult) -> None:
    """Write `members.json`: what rebuilds the ensemble from checkpoints, and the members' figures."""
    entries = []
    for member, weight in zip(members, result.weights, strict=True):
        figures = {split: card.baselines[member.title] for split, card in result.member_scores.items()}
        entries.append(
            {
                **{name: getattr(member, name) for name in STORED},
                "weight": weight,
                "config": f"{FOLDER}/{member.run_id}/config.yaml",
                "checkpoints": [f"{FOLDER}/{member.run_id}/{path.name}" for path in member.checkpoints],
                "figures": {
                    split: {name: asdict(known[name]) for name in _FIGURES if name in known}
                    for split, known in figures.items()
                },
            }
        )
    content = {
        "method": result.method,
        "classes": list(result.predictions.classes),
        "description": result.description,
        "best_member": result.best_member,
        "over_best": {name: asdict(gain) for name, gain in result.over_best.items()},
        "combinations": {str(fold): one.to_dict() for fold, one in combined.by_fold.items()},
        "members": entries,
    }
    with atomic_file(folder / MEMBERS) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
