"""A sweep's trials as MLflow has them, and what its parent run says of them."""

from typing import Any

from ste.evaluation.scorecard import Estimate
from ste.experiment.artifacts import CHECKPOINT, MONITORED, SPLIT_PREFIX, read_estimates
from ste.experiment.train_result import TrainResult
from ste.tracking.run_info import BEST_TAG, DIGEST_TAG, PRUNED_TAG, FoundRun
from ste.tuning.trial_outcome import FAILED, FINISHED, LOST, PRUNED, SHOWN, Interval, Outcome, Row, best, ranked

_NOTED = 10


def outcome_of(found: FoundRun) -> Outcome:
    """What a trial's run says of it."""
    if found.status == "FINISHED" and MONITORED in found.metrics:
        estimates = {split: read_estimates(found.metrics, SPLIT_PREFIX[split]) for split in ("test", "validation")}
        split = "test" if "accuracy" in estimates["test"] else "validation"
        examples = found.metrics.get(f"{SPLIT_PREFIX['validation']}/examples", 0)
        return Outcome(
            FINISHED,
            found.metrics[MONITORED],
            found.id,
            _figures(estimates[split]),
            split,
            _rows(found.tags.get(DIGEST_TAG, ""), examples),
            found.metrics.get("fit_seconds"),
            found.tags.get("validation") == "holdout",
        )
    if PRUNED_TAG in found.tags:
        return Outcome(PRUNED, run_id=found.id)
    status = FAILED if found.status == "FAILED" else LOST
    return Outcome(status, run_id=found.id, error=f"its run is {found.status}; see its traceback.txt in MLflow")


def outcome_of_result(result: TrainResult) -> Outcome:
    """What a training run gives to its sweep."""
    split = "test" if "test" in result.scores else "validation"
    return Outcome(
        FINISHED,
        result.monitored,
        result.run_id,
        _figures(result.scores[split].figures),
        split,
        _rows(result.data_digest, result.scores["validation"].examples),
        result.fit_seconds,
        result.validation == "holdout",
    )


def best_tags(rows: list[Row], mode: str) -> dict[str, str]:
    """Tags of the best trial's run and its checkpoint; none where nothing finished."""
    top = best(rows, mode)
    if top is None or top.outcome.run_id is None:
        return {}
    tags = {BEST_TAG: top.outcome.run_id, "best.trial": top.trial.name}
    return tags | ({"best.checkpoint": f"runs:/{top.outcome.run_id}/{CHECKPOINT}"} if top.outcome.checkpoint else {})


def note(rows: list[Row], plan: Any, experiment: str) -> str:
    """Markdown for the parent's page: the best trials, each with a link to its run.

    Args:
        rows: of the sweep.
        plan: of the sweep.
        experiment: id of the runs' experiment.
    """
    shown = [row for row in ranked(rows, plan.mode) if row.outcome.status == FINISHED][:_NOTED]
    split = next((row.outcome.split for row in shown if row.outcome.figures), "test")
    lines = [f"| trial | values | {plan.monitor} | {split} accuracy | run |", "|---|---|---|---|---|"]
    for row in shown:
        value, low, high = row.outcome.figures.get("accuracy", (float("nan"), None, None))
        interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
        run_id = row.outcome.run_id
        link = f"[{str(run_id)[:8]}](#/experiments/{experiment}/runs/{run_id})"
        values = row.trial.name.replace("|", "\\|")
        lines.append(f"| {row.trial.number} | {values} | {row.outcome.value:.4f} | {value:.4f}{interval} | {link} |")
    failed = [row for row in rows if row.outcome.status in (FAILED, LOST)]
    told = [f"- trial {row.trial.number}, {row.trial.name}: {row.outcome.error}" for row in failed]
    return "\n".join(lines + (["", "Failed:", "", *told] if told else []))


def _figures(figures: dict[str, Estimate]) -> dict[str, Interval]:
    return {name: (figures[name].value, figures[name].low, figures[name].high) for name in SHOWN if name in figures}


def _rows(digest: str, examples: float) -> str:
    return f"{digest[:16]}/{examples:.0f}"
