"""Combine tracked runs: predict, score, judge and track their ensemble."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from ste.config import EnsembleSettings
from ste.config.run_log import run_log
from ste.data.storage.files import atomic_file
from ste.ensembles.ensemble_result import EnsembleResult
from ste.ensembles.members import FOLDER, MEMBERS, NAME, Member, fetch_members
from ste.ensembles.pooling import Combined, add_baselines, combine
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Estimate, without_baselines
from ste.experiment.artifacts import write_outputs
from ste.experiment.run_parts import RunParts
from ste.experiment.run_scores import count_trials, judge_run, score_splits
from ste.experiment.run_tracking import track_result
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo
    from ste.tracking.run_writer import TrackedRun

TABLE = "members.csv"

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
    from ste.tracking.run_lookup import experiment_name
    from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    runs = find_members(client, settings.runs, settings.tracking.experiment)
    experiment = experiment_name(client, runs[0])
    settings = replace(settings, tracking=replace(settings.tracking, experiment=experiment))
    with tempfile.TemporaryDirectory() as scratch:
        members, predictions = fetch_members(client, runs, Path(scratch))
        inputs = EnsembleInputs(runs, members, predictions, members[0].parts(settings.paths))
        return make_ensemble(settings, inputs, client, folder)


@dataclass(frozen=True)
class EnsembleInputs:
    """Tracked runs to combine.

    Attributes:
        runs: of the members.
        members: of the same runs, with checkpoints.
        predictions: of each member.
        parts: of the first member, which say how the ensemble is scored and judged.
    """

    runs: "Sequence[RunInfo]"
    members: Sequence[Member]
    predictions: Sequence[Predictions]
    parts: RunParts


def make_ensemble(settings: EnsembleSettings, inputs: EnsembleInputs, client: RunStore, folder: Path) -> EnsembleResult:
    """Combine the members, score and judge the ensemble, and track it as a run.

    Args:
        settings: method, its penalty, and the store.
        inputs: the members.
        client: of the store.
        folder: for the files of the run.
    """
    from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG
    from ste.tracking.run_lookup import DATA_CARD, download
    from ste.tracking.tracked_run import tracked_run

    runs, members = inputs.runs, inputs.members
    combined = combine(inputs.predictions, settings.method, settings.C, NAME)
    ids = ",".join(run.id for run in runs)
    tags = {
        "mlflow.source.name": "ste.ensemble",
        "command": f"python -m ste.ensemble 'runs=[{ids}]' method={settings.method} C={settings.C}",
        "ensemble.method": settings.method,
        ENSEMBLE_TAG: ids,
    }
    name = settings.tracking.run_name or f"{settings.method} of {', '.join(member.title for member in members)}"
    weights = {f"weight.{member.run_id}": w for member, w in zip(members, combined.weights.tolist(), strict=True)}
    params = {"members": ids, "method": settings.method, "C": settings.C, **weights}
    with tracked_run(settings.tracking, Path(settings.paths.output), name, params, tags=tags) as run:
        folder.mkdir(parents=True, exist_ok=True)
        config = {"runs": [run.id for run in runs], "method": settings.method, "C": settings.C}
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        run.log_file(folder / "config.yaml")
        run.log_file(download(client, runs[0], DATA_CARD, folder))
        run.copy_datasets(runs[0].id)
        run.set_tags({key: value for key, value in runs[0].tags.items() if key.startswith("data.")})
        result = _result(settings.method, inputs, combined, runs[0].tags.get(DIGEST_TAG, ""), run, folder)
        write_outputs(folder, result)
        _write_members(folder, members, combined, result)
        run.log_file(folder / MEMBERS)
        run.log_file(folder / TABLE)
        for member in members:
            for path in [member.checkpoints[0].with_name("config.yaml"), *member.checkpoints]:
                run.log_file(path, f"{FOLDER}/{member.run_id}")
        track_result(run, folder, result)
    for line in (result.description, *result.lines):
        run_log.info(line)
    run_log.info("verdict: %s. %s", result.verdict.word, result.verdict.paragraph)
    run_log.info("files %s, run %s", result.folder, result.run_id)
    return result


def _result(
    method: str, inputs: EnsembleInputs, combined: Combined, digest: str, run: "TrackedRun", folder: Path
) -> EnsembleResult:
    """Score and judge the ensemble."""
    titles = [member.title for member in inputs.members]
    by_title = dict(zip(titles, inputs.predictions, strict=True))
    member_scores = score_splits(inputs.parts.scoring, add_baselines(combined.predictions, by_title))
    scores = {split: without_baselines(card, titles) for split, card in member_scores.items()}
    best = min(titles, key=lambda title: member_scores["validation"].baselines[title]["log_loss"].value)
    trials = count_trials(run, digest, scores)
    return EnsembleResult(
        run_id=run.id,
        model=combined.predictions.model,
        method=method,
        members=titles,
        weights=combined.weights.tolist(),
        best_member=best,
        over_best=member_scores["test" if "test" in member_scores else "validation"].gains[best],
        fitted_loss=combined.fitted_loss,
        parameters=sum(member.parameters for member in inputs.members),
        validation=inputs.parts.data.validation.method,
        data_digest=digest,
        trials=trials.count,
        scores=scores,
        member_scores=member_scores,
        verdict=judge_run(scores, combined.predictions, trials, real=inputs.parts.data.real),
        folder=folder,
        predictions=combined.predictions,
    )


def _write_members(folder: Path, members: Sequence[Member], combined: Combined, result: EnsembleResult) -> None:
    """Write `members.json`, which rebuilds the ensemble from checkpoints, and `members.csv`, the members' figures."""
    entries, rows = [], []
    for member, weight in zip(members, result.weights, strict=True):
        figures = {split: card.baselines[member.title] for split, card in result.member_scores.items()}
        entries.append(
            {
                "run_id": member.run_id,
                "name": member.name,
                "model": member.model,
                "command": member.command,
                "parameters": member.parameters,
                "weight": weight,
                "config": f"{FOLDER}/{member.run_id}/config.yaml",
                "checkpoints": [f"{FOLDER}/{member.run_id}/{path.name}" for path in member.checkpoints],
                "figures": {split: _to_dict(row) for split, row in figures.items()},
            }
        )
        row = {"run_id": member.run_id, "name": member.name, "model": member.model, "weight": weight}
        for split, known in figures.items():
            for name in (name for name in _FIGURES if name in known):
                row |= {f"{split}_{name}": known[name].value}
                row |= {f"{split}_{name}_low": known[name].low, f"{split}_{name}_high": known[name].high}
        rows.append(row)
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
    pd.DataFrame(rows).to_csv(folder / TABLE, index=False)


def _to_dict(figures: dict[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(figures[name]) for name in _FIGURES if name in figures}
