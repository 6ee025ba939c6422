"""Run the trials of a sweep, track them below one parent run and write its table."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ste.config import SweepSettings, TrackingSettings
from ste.config.progress import paused, step
from ste.config.typed_values import quoted
from ste.tuning.optuna_figures import write_figures
from ste.tuning.study import PARENT, OptunaSearch, TrialSource
from ste.tuning.sweep_console import print_sweep, print_trial
from ste.tuning.sweep_table import note, write_table
from ste.tuning.trial_result import SweepTrial, TrialResult, TrialRow, best, count_by_status, ranked

if TYPE_CHECKING:
    from ste.tracking.run_writer import TrackedRun

Launch = Callable[[list[tuple[SweepTrial, list[str]]]], Iterable[tuple[SweepTrial, TrialResult]]]
"""Runs a batch of trials with the overrides of each, and yields each result as it arrives."""


@dataclass(frozen=True)
class SweepPlan:
    """A sweep before it starts.

    Attributes:
        kind: `grid` or `search`.
        name: of its run.
        command: as typed.
        fixed: overrides that all trials share, by key.
        swept: keys that differ, with a description of their values.
        settings: of the sweep; those of a search have a storage and a study.
        tracking: of the trials.
        output: folder of the store.
        folder: of the sweep's own files.
        monitor: metric that is compared.
        mode: whether it is better `min` or `max`.
        width: trials that are launched at once.
        extra: overrides that are added to every trial.
    """

    kind: str
    name: str
    command: str
    fixed: dict[str, str]
    swept: dict[str, str]
    settings: SweepSettings
    tracking: TrackingSettings
    output: Path
    folder: Path
    monitor: str
    mode: str
    width: int
    extra: dict[str, str] = field(default_factory=dict)


def run_sweep(plan: SweepPlan, source: TrialSource, launch: Launch) -> list[TrialRow]:
    """Run all trials.

    Args:
        plan: of the sweep.
        source: proposes the trials.
        launch: runs a batch of them.

    Returns:
        Rows in the order of trials.
    """
    with _parent_run(plan, source) as parent:
        if isinstance(source, OptunaSearch):
            for number in source.recover():
                print(f"trial {number}: stopped before its end, repeated", file=sys.stderr)
        rows = source.earlier()
        if rows:
            print(f"{len(rows)} of {source.total} trials ended earlier", file=sys.stderr)
        with step("running trials", source.total) as shown:
            shown.update(len(rows))
            while batch := source.ask(plan.width):
                for trial, result in launch([(trial, overrides(plan, trial, parent)) for trial in batch]):
                    source.tell(trial, result)
                    rows.append(TrialRow(trial, result))
                    with paused():
                        print_trial(rows[-1], len(rows), source.total, plan.monitor)
                    shown.update(len(rows))
                    _log_best(plan, parent, rows)
        rows.sort(key=lambda row: row.trial.number)
        if parent:
            rows = _add_runs(rows, parent)
        files = _write_files(plan, rows)
        if parent:
            _log_summary(plan, parent, rows, files)
    print()
    print_sweep(rows, plan.monitor, plan.mode, plan.folder, parent.id if parent else None)
    return rows


def overrides(plan: SweepPlan, trial: SweepTrial, parent: "TrackedRun | None") -> list[str]:
    """Overrides of a trial's job, as typed."""
    keys = ",".join(quoted(key) for key in plan.swept)
    own = {"sweep.trial": str(trial.number), "sweep.keys": f"[{keys}]"}
    if parent:
        own["sweep.parent"] = parent.id
    if plan.kind == "search":
        own |= {"sweep.storage": quoted(str(plan.settings.storage)), "sweep.study": quoted(str(plan.settings.study))}
    given = plan.fixed | trial.values
    return [f"{key}={value}" for key, value in (given | plan.extra | own).items()]


@contextmanager
def _parent_run(plan: SweepPlan, source: TrialSource) -> Iterator["TrackedRun | None"]:
    """Start or resume the parent run of the trials; None without tracking."""
    if not plan.tracking.enabled:
        yield None
        return
    from ste.tracking.run_info import SWEEP_TAG
    from ste.tracking.sweep_runs import has_sweep
    from ste.tracking.tracked_run import tracked_run

    known = source.study.user_attrs.get(PARENT) if isinstance(source, OptunaSearch) else None
    if known is not None and not has_sweep(plan.tracking, plan.output, known):
        known = None
    swept = {f"sweep.{key.lstrip('+')}": values for key, values in plan.swept.items()}
    params = swept | {key.lstrip("+"): value for key, value in plan.fixed.items()}
    if plan.kind == "search":
        chosen = plan.settings
        params |= {"sweep.sampler": chosen.sampler, "sweep.pruner": chosen.pruner, "sweep.study": str(chosen.study)}
        hint = "the same command resumes this search"
    else:
        hint = "the runs of the finished trials remain; the same command starts a new grid"
    tags = {SWEEP_TAG: plan.kind, "command": plan.command}
    with tracked_run(plan.tracking, plan.output, plan.name, params, known, tags=tags, hint=hint) as run:
        if isinstance(source, OptunaSearch):
            source.study.set_user_attr(PARENT, run.id)
        yield run


def _add_runs(rows: list[TrialRow], parent: "TrackedRun") -> list[TrialRow]:
    """Add the runs of failed trials, which their jobs do not return."""
    from ste.tracking.sweep_runs import find_trial_runs

    runs = find_trial_runs(parent.client, parent.id)
    return [
        replace(row, result=replace(row.result, run_id=runs[row.trial.number].id))
        if row.result.run_id is None and row.trial.number in runs
        else row
        for row in rows
    ]


def _log_best(plan: SweepPlan, parent: "TrackedRun | None", rows: list[TrialRow]) -> None:
    top = best(rows, plan.mode)
    if parent and top is not None and top.result.value is not None:
        parent.log_metrics({f"best/{plan.monitor}": top.result.value}, step=len(rows))


def _write_files(plan: SweepPlan, rows: list[TrialRow]) -> list[Path]:
    files = write_table(ranked(rows, plan.mode), plan.monitor, plan.folder)
    page = write_figures(rows, plan.monitor, plan.mode, plan.name, plan.folder)
    return files + ([page] if page else [])


def _log_summary(plan: SweepPlan, parent: "TrackedRun", rows: list[TrialRow], files: list[Path]) -> None:
    from ste.experiment.artifacts import CHECKPOINT, MONITORED, SPLIT_PREFIX, SUMMARY_ONLY
    from ste.tracking.run_info import BEST_TAG
    from ste.tracking.saved_views import run_page, save_sweep_view, sweep_page

    parent.log_metrics({f"trials/{status}": count for status, count in count_by_status(rows).items()})
    for path in files:
        parent.log_file(path)
    metric = MONITORED if plan.monitor in SUMMARY_ONLY else f"{SPLIT_PREFIX['validation']}/{plan.monitor}"
    ascending = plan.mode == "min"
    swept = [key.lstrip("+") for key in plan.swept]
    save_sweep_view(parent.client, parent.experiment_id, parent.id, parent.name, swept, metric, ascending=ascending)
    charts = sweep_page(parent.experiment_id, parent.id)
    tags = {
        "mlflow.note.content": note(rows, plan.monitor, plan.mode, charts, partial(run_page, parent.experiment_id)),
        "verdict": f"none: {plan.kind} of {len(rows)} trials",
    }
    top = best(rows, plan.mode)
    if top is not None and top.result.run_id is not None:
        tags |= {BEST_TAG: top.result.run_id, "best.trial": top.trial.name, "model": f"best: {top.trial.name}"}
        if top.result.checkpoint:
            tags["best.checkpoint"] = f"runs:/{top.result.run_id}/{CHECKPOINT}"
    parent.set_tags(tags)
