"""Report a tracked run on one HTML page: `python -m ste.report run=latest`."""

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from ste.config import ReportSettings, TrainSettings
from ste.config.fast_imports import loading
from ste.config.hydra_app import run
from ste.config.load import load_settings

if TYPE_CHECKING:
    from ste.ensembles.members import Kept, Member
    from ste.evaluation.explain.permutation_importance import Importance
    from ste.reporting.html import MemberRow


def report_task(config: DictConfig) -> None:
    """Score the run's predictions, explain its model, write the page, and keep both with the run."""
    settings = load_settings(ReportSettings, config)
    import json  # the libraries of data, nets and tracking load only now

    with loading():
        from ste.data.storage.files import atomic_file
        from ste.ensembles.members import Kept
        from ste.evaluation.predictions import Predictions
        from ste.experiment.artifacts import PREDICTIONS
        from ste.experiment.run import scores_of, verdict_of
        from ste.reporting.html import ReportData, render_report
        from ste.tracking.earlier_trials import find_trials
        from ste.tracking.run_artifacts import read_curves, read_provenance
        from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG
        from ste.tracking.run_lookup import DATA_CARD, download, find_run, read_config
        from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    found = find_run(client, settings.run, settings.tracking.experiment)
    values = {**read_config(client, found), "paths": asdict(settings.paths)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        predictions = Predictions.read(download(client, found, PREDICTIONS, folder))
        card = json.loads(download(client, found, DATA_CARD, folder).read_text())
        kept = Kept.read(client, found, folder) if ENSEMBLE_TAG in found.tags else None
        run_settings = load_settings(
            TrainSettings, values if kept is None else {**kept.members[0].config, "paths": values["paths"]}
        )
        scores = scores_of(run_settings.scoring, predictions)
        trials = find_trials(client, found.id, found.tags.get(DIGEST_TAG, ""), scores.get("test"))
        verdict = verdict_of(run_settings, scores, predictions, trials)
        importance, attribution = ([], None)
        if settings.importance and kept is None:
            importance, attribution = _explained(client, found, values, folder)
        page = render_report(
            ReportData(
                run_id=found.id,
                name=found.name,
                model=predictions.model,
                created=datetime.fromtimestamp(found.started / 1000, UTC).isoformat(timespec="seconds"),
                verdict=verdict.paragraph,
                word=verdict.word,
                tags=verdict.tags,
                scores=scores,
                predictions=predictions,
                history=read_curves(client, found),
                best_epoch=int(found.metrics["best_epoch"]) if "best_epoch" in found.metrics else None,
                importance=importance,
                attribution=attribution,
                card=card,
                config=values,
                provenance=read_provenance(found),
                commands=_commands(found.tags, found.id, [] if kept is None else kept.members),
                members=[] if kept is None else _members(kept),
                members_text="" if kept is None else kept.content["told"],
            )
        )
        file = Path(settings.file or Path(settings.paths.output) / "reports" / f"{found.id}.html")
        with atomic_file(file) as partial:
            partial.write_text(page, encoding="utf-8")
        client.log_artifact(found.id, str(file), "report")
        if importance:
            for path in _importance_files(importance, folder):
                client.log_artifact(found.id, str(path), "importance")
    print(f"Verdict: {verdict.word}. {verdict.paragraph}")
    print(f"page   {file.resolve()}")


def _explained(client: Any, found: Any, values: dict[str, Any], folder: Path) -> Any:
    """Importance of the run's model, or of its last fold's."""
    from ste.experiment.artifacts import CHECKPOINT
    from ste.experiment.explanation import explain
    from ste.experiment.model_setup import load_model
    from ste.experiment.run import last_data
    from ste.tracking.run_info import find_children
    from ste.tracking.run_lookup import download

    data, last = last_data(load_settings(TrainSettings, values))
    source = found if last is None else find_children(client, found.id)[last]
    return explain(load_model(download(client, source, CHECKPOINT, folder)), data)


def _importance_files(importance: Sequence["Importance"], folder: Path) -> list[Path]:
    """The table and the figure."""
    from ste.reporting.plots import bars_figure

    table, figure = folder / "importance.csv", folder / "importance.png"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(importance[0].to_dict()))
        writer.writeheader()
        writer.writerows(item.to_dict() for item in importance)
    names = [item.name if item.kind == "feature" else f"all {item.name}" for item in importance]
    rise, low, high = ([getattr(item, field) for item in importance] for field in ("log_loss", "low", "high"))
    bars_figure(names, rise, "rise of the log-loss when permuted, nats", low, high).savefig(figure, dpi=110)
    return [table, figure]


def _members(kept: "Kept") -> list["MemberRow"]:
    """Rows of the members' table."""
    from ste.evaluation.scorecard import Estimate
    from ste.reporting.html import MemberRow

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
        for entry in kept.content["members"]
    ]


def _commands(tags: dict[str, str], run_id: str, members: Sequence["Member"]) -> list[str]:
    commit = tags.get("git.commit", "unknown")
    back = [f"git checkout {commit}"] if commit != "unknown" else []
    typed = [member.command for member in members if member.command]
    typed += [tags["command"]] if "command" in tags else []
    return [*back, *typed, f"python -m ste.evaluate run={run_id}"]


def main() -> None:
    """Console entry."""
    run("report", report_task)


if __name__ == "__main__":
    main()
