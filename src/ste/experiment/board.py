"""The leaderboard of an experiment, from its tracked runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ste.config import CompareSettings
from ste.config.progress import step
from ste.config.run_log import run_log
from ste.data.storage.files import atomic_file
from ste.errors import RunError
from ste.experiment.artifacts import SPLIT_PREFIX, read_baselines, read_estimates
from ste.reporting.html.leaderboard import Board, BoardRow, render_leaderboard
from ste.schema import SYNTHETIC_SOURCES

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo


def write_board(settings: CompareSettings) -> tuple[Board, Path]:
    """Collect the finished runs on the latest run's data and write the page.

    Returns:
        The leaderboard and its page.

    Raises:
        RunError: no such experiment, or no finished run.
    """
    from ste.tracking.run_info import DIGEST_TAG, find_runs
    from ste.tracking.run_lookup import find_experiment
    from ste.tracking.store import is_server, open_store, run_page

    client = open_store(settings.tracking, Path(settings.paths.output))
    experiment = find_experiment(client, settings.tracking.experiment)
    name = experiment.name
    with step("reading the runs"):
        runs = find_runs(client, [experiment.experiment_id])
    if not runs:
        raise RunError(f"tracking.experiment={name}: no run yet. Try python -m ste.train model=lstm first.")
    latest = next((run for run in runs if run.status == "FINISHED"), None)
    if latest is None:
        raise RunError(f"tracking.experiment={name}: none of its {len(runs)} runs is FINISHED. Train one to its end.")
    digest = latest.tags.get(DIGEST_TAG, "")
    trials = [run for run in runs if run.tags.get(DIGEST_TAG) == digest]
    finished = [run for run in trials if run.status == "FINISHED"]
    reports = Path(settings.paths.output) / "reports"
    file = Path(settings.file) if settings.file else reports / f"leaderboard-{name.replace('/', '_')}.html"
    tested = any(f"{SPLIT_PREFIX[settings.split]}/examples" in run.metrics for run in finished)
    split = settings.split if tested else "validation"
    board = Board(
        experiment=name,
        rows=[_row(run, split, reports, file, run_page(client, run.experiment, run.id)) for run in finished],
        trials=len(trials),
        split=split,
        unit=latest.tags.get("data.unit", "week"),
        synthetic=latest.tags.get("data.source") in SYNTHETIC_SOURCES,
        server=is_server(client),
    )
    with atomic_file(file) as partial:
        partial.write_text(render_leaderboard(board), encoding="utf-8")
    run_log.info("%d runs of experiment %s, page %s", len(finished), name, file.resolve())
    return board, file


def _row(run: "RunInfo", split: str, reports: Path, page: Path, mlflow: str) -> BoardRow:
    from ste.tracking.run_info import DIGEST_TAG

    report = reports / f"{run.id}.html"
    return BoardRow(
        run_id=run.id,
        name=run.name,
        model=run.tags.get("model", ""),
        created=datetime.fromtimestamp(run.started / 1000, UTC).isoformat(timespec="seconds"),
        validation=read_estimates(run.metrics, SPLIT_PREFIX["validation"]),
        figures=read_estimates(run.metrics, SPLIT_PREFIX[split]),
        word=run.verdict,
        examples=int(run.metrics.get(f"{SPLIT_PREFIX[split]}/examples", 0)),
        ranked_on=int(run.metrics.get(f"{SPLIT_PREFIX['validation']}/examples", 0)),
        data=run.tags.get(DIGEST_TAG, ""),
        baselines=read_baselines(run.metrics, SPLIT_PREFIX[split]),
        mlflow=mlflow,
        link=report.name if report.is_file() and report.parent.resolve() == page.parent.resolve() else "",
    )
