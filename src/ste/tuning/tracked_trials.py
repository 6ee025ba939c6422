"""Results of trials from training results, and the tags and description of the parent run."""

from ste.evaluation.scorecard import Estimate
from ste.experiment.artifacts import CHECKPOINT
from ste.experiment.train_result import TrainResult
from ste.tracking.run_info import BEST_TAG
from ste.tuning.trial_result import (
    FAILED,
    FINISHED,
    LOST,
    SHOWN,
    Interval,
    TrialResult,
    TrialRow,
    best,
    ranked,
)

_NOTE_ROWS = 10


def result_of_training(trained: TrainResult) -> TrialResult:
    """Convert the result of a training run to a trial's result."""
    split = "test" if "test" in trained.scores else "validation"
    return TrialResult(
        FINISHED,
        trained.monitored,
        trained.run_id,
        _figures(trained.scores[split].figures),
        split,
        _rows(trained.data_digest, trained.scores["validation"].examples),
        trained.fit_seconds,
        trained.validation == "holdout",
    )


def best_tags(rows: list[TrialRow], mode: str) -> dict[str, str]:
    """Tags that name the best trial's run and checkpoint; empty if no trial finished.

    Args:
        rows: of the sweep.
        mode: whether the monitored metric is better `min` or `max`.
    """
    top = best(rows, mode)
    if top is None or top.result.run_id is None:
        return {}
    tags = {BEST_TAG: top.result.run_id, "best.trial": top.trial.name}
    return tags | ({"best.checkpoint": f"runs:/{top.result.run_id}/{CHECKPOINT}"} if top.result.checkpoint else {})


def note(rows: list[TrialRow], monitor: str, mode: str, experiment: str) -> str:
    """Write the description of the parent run in Markdown: the best trials, each with a link to its run.

    Args:
        rows: of the sweep.
        monitor: name of the monitored metric.
        mode: whether it is better `min` or `max`.
        experiment: ID of the runs' experiment.
    """
    shown = [row for row in ranked(rows, mode) if row.result.status == FINISHED][:_NOTE_ROWS]
    split = next((row.result.split for row in shown if row.result.figures), "test")
    lines = [f"| trial | values | {monitor} | {split} accuracy | run |", "|---|---|---|---|---|"]
    for row in shown:
        value, low, high = row.result.figures.get("accuracy", (float("nan"), None, None))
        interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
        run_id = row.result.run_id
        link = f"[{str(run_id)[:8]}](#/experiments/{experiment}/runs/{run_id})"
        values = row.trial.name.replace("|", "\\|")
        lines.append(f"| {row.trial.number} | {values} | {row.result.value:.4f} | {value:.4f}{interval} | {link} |")
    failed = [row for row in rows if row.result.status in (FAILED, LOST)]
    reasons = [f"- trial {row.trial.number}, {row.trial.name}: {row.result.error}" for row in failed]
    return "\n".join(lines + (["", "Failed:", "", *reasons] if reasons else []))


def _figures(figures: dict[str, Estimate]) -> dict[str, Interval]:
    return {name: (figures[name].value, figures[name].low, figures[name].high) for name in SHOWN if name in figures}


def _rows(digest: str, examples: float) -> str:
    return f"{digest[:16]}/{examples:.0f}"
