"""Build the leaderboard of an experiment: `python -m ste.compare`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from ste.config import CompareSettings
from ste.config.fast_imports import loading
from ste.config.hydra_app import run
from ste.config.load import load_settings

if TYPE_CHECKING:
    from ste.reporting.html import BoardRow
    from ste.tracking.run_info import FoundRun


def compare_task(config: DictConfig) -> None:
    """Print the experiment's runs, best first, and write them as a page."""
    settings = load_settings(CompareSettings, config)
    with loading():
        from ste.data.storage.files import atomic_file  # mlflow loads only now
        from ste.errors import RunError
        from ste.experiment.artifacts import SPLIT_PREFIX
        from ste.reporting.html import Board, print_leaderboard, render_leaderboard
        from ste.tracking.run_info import DIGEST_TAG, find_runs
        from ste.tracking.run_lookup import find_experiment
        from ste.tracking.store import open_store

    client = open_store(settings.tracking, Path(settings.paths.output))
    experiment = find_experiment(client, settings.tracking.experiment)
    name = experiment.name
    runs = find_runs(client, experiment.experiment_id, settings.data_digest)
    if not runs:
        wanted = f" on data {settings.data_digest}" if settings.data_digest else ""
        raise RunError(f"tracking.experiment={name}: no run{wanted} yet. Try python -m ste.train model=lstm first.")
    ended = next((run for run in runs if run.status == "FINISHED"), None)
    if ended is None:
        raise RunError(f"tracking.experiment={name}: none of its {len(runs)} runs is FINISHED. Train one to its end.")
    digest = ended.tags.get(DIGEST_TAG, "")
    trials = [run for run in runs if run.tags.get(DIGEST_TAG) == digest]
    reports = Path(settings.paths.output) / "reports"
    file = Path(settings.file) if settings.file else reports / f"leaderboard-{name.replace('/', '_')}.html"
    finished = [run for run in trials if run.status == "FINISHED"]
    tested = any(f"{SPLIT_PREFIX[settings.split]}/examples" in run.metrics for run in finished)
    split = settings.split if tested else "validation"
    board = Board(
        experiment=name,
        rows=[_row(run, split, reports, file) for run in finished],
        trials=len(trials),
        split=split,
        unit=finished[0].tags.get("data.unit", "week"),
    )
    print_leaderboard(board)
    with atomic_file(file) as partial:
        partial.write_text(render_leaderboard(board), encoding="utf-8")
    print(f"page   {file.resolve()}")


def _row(found: "FoundRun", split: str, reports: Path, page: Path) -> "BoardRow":
    from ste.experiment.artifacts import SPLIT_PREFIX, read_estimates
    from ste.reporting.html import BoardRow
    from ste.tracking.run_info import DIGEST_TAG

    report = reports / f"{found.id}.html"
    return BoardRow(
        run_id=found.id,
        name=found.name,
        model=found.tags.get("model", ""),
        created=datetime.fromtimestamp(found.started / 1000, UTC).isoformat(timespec="seconds"),
        validation=read_estimates(found.metrics, SPLIT_PREFIX["validation"]),
        figures=read_estimates(found.metrics, SPLIT_PREFIX[split]),
        word=found.tags.get("verdict", ""),
        examples=int(found.metrics.get(f"{SPLIT_PREFIX[split]}/examples", 0)),
        ranked_on=int(found.metrics.get(f"{SPLIT_PREFIX['validation']}/examples", 0)),
        data=found.tags.get(DIGEST_TAG, ""),
        link=report.name if report.is_file() and report.parent.resolve() == page.parent.resolve() else "",
    )


def main() -> None:
    """Console entry."""
    run("compare", compare_task)


if __name__ == "__main__":
    main()
