"""Make the trials of a sweep, keep them together, and tell what came of them."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ste.config import SweepSettings, TrackingSettings
from ste.tuning.optuna_figures import write_figures
from ste.tuning.study import Search, Source
from ste.tuning.sweep_table import write_table
from ste.tuning.sweep_text import line, print_sweep
from ste.tuning.trial_outcome import LOST, Outcome, Row, Trial, best, counts, exit_code, ranked

Launch = Callable[[list[tuple[Trial, list[str]]]], Iterable[tuple[Trial, Outcome]]]
"""Runs a batch of trials with the overrides of each; gives each one's outcome as it comes."""


@dataclass(frozen=True)
class Plan:
    """A sweep before it begins.

    Attributes:
        kind: `grid` or `search`.
        name: of its run.
        command: what was typed.
        fixed: overrides that all trials share, by key.
        swept: keys that differ, with their values in words.
        settings: of the sweep; a search's storage and study are filled in.
        tracking: of the trials.
        output: folder of the store.
        folder: the sweep's own.
        monitor: figure that is compared, better `min` or `max` as `mode` says.
        mode: see above.
        width: trials that are launched at once.
        extra: overrides for every trial that nobody typed.
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


def run_sweep(plan: Plan, source: Source, launch: Launch) -> tuple[list[Row], int]:
    """Make all trials.

    Args:
        plan: of the sweep.
        source: gives the trials.
        launch: runs a batch of them.

    Returns:
        Rows in the order of trials, and the exit code: 0, 2 where every failure is a person's mistake, else 1.
    """
    with _parent(plan, source) as parent:
        if isinstance(source, Search):
            again = source.recover(lambda number: _look(plan, parent, number, wait=True))
            if again:
                numbers = ", ".join(str(number) for number in again)
                print(f"trial {numbers}: stopped half way, made again", file=sys.stderr)
        rows = source.earlier()
        if rows:
            print(f"{len(rows)} of {source.total} trials were made before", file=sys.stderr)
        while batch := source.ask(plan.width):
            for trial, outcome in launch([(trial, overrides(plan, trial, parent)) for trial in batch]):
                if outcome.run_id is None:
                    outcome = _found(outcome, _look(plan, parent, trial.number))  # noqa: PLW2901
                source.tell(trial, outcome)
                rows.append(Row(trial, outcome))
                print(line(rows[-1], len(rows), source.total, plan.monitor), flush=True)
                _progress(plan, parent, rows)
        rows.sort(key=lambda row: row.trial.number)
        files = _files(plan, rows)
        if parent:
            _conclude(plan, parent, rows, files)
    print()
    places = {"files": str(plan.folder)} | ({"sweep": parent.id} if parent else {})
    print_sweep(rows, plan.monitor, plan.mode, places)
    return rows, exit_code(rows)


def overrides(plan: Plan, trial: Trial, parent: Any) -> list[str]:
    """What a trial's job is given, as it is typed."""
    keys = ",".join(quoted(key) for key in plan.swept)
    own = {"sweep.trial": str(trial.number), "sweep.keys": f"[{keys}]"}
    if parent:
        own["sweep.parent"] = parent.id
    if plan.kind == "search":
        own |= {"sweep.storage": quoted(str(plan.settings.storage)), "sweep.study": quoted(str(plan.settings.study))}
    given = plan.fixed | trial.values
    return [f"{key}={value}" for key, value in (given | plan.extra | own).items()]


def quoted(text: str) -> str:
    """A text as Hydra reads it back, whatever is in it."""
    # Backslashes count alone before a quote, the closing one too.
    inner = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", inner) + "'"


@contextmanager
def _parent(plan: Plan, source: Source) -> Iterator[Any]:
    """The run that holds the trials together; None where tracking is off."""
    if not plan.tracking.enabled:
        yield None
        return
    from ste.tracking.run_info import SWEEP_TAG
    from ste.tracking.sweep_runs import find_sweep
    from ste.tracking.tracked_run import tracked_run

    known = source.parent if isinstance(source, Search) else None
    if known is not None and not find_sweep(plan.tracking, plan.output, known):
        known = None
    params = {f"sweep.{key}": values for key, values in plan.swept.items()} | plan.fixed
    if plan.kind == "search":
        chosen = plan.settings
        params |= {"sweep.sampler": chosen.sampler, "sweep.pruner": chosen.pruner, "sweep.study": str(chosen.study)}
        again = "the same command goes on with this search"
    else:
        again = "the trials that ended are kept; the same command begins a new grid"
    tags = {SWEEP_TAG: plan.kind, "command": plan.command}
    with tracked_run(plan.tracking, plan.output, plan.name, params, known, tags=tags, again=again) as run:
        if isinstance(source, Search):
            source.parent = run.id
        yield run


def _look(plan: Plan, parent: Any, number: int, *, wait: bool = False) -> Outcome | None:
    """What the store knows of a trial; None where it is not tracked.

    Args:
        plan: of the sweep.
        parent: its run.
        number: of the trial.
        wait: until no process holds its run; one that is held by none has died.
    """
    if parent is None:
        return None
    from ste.tracking.sweep_runs import find_trials_of, mark_killed, wait_for
    from ste.tuning.tracked_trials import outcome_of

    found = find_trials_of(parent.client, parent.id, number).get(number)
    if found is not None and wait and found.status == "RUNNING":
        wait_for(found.id, plan.output)
        found = find_trials_of(parent.client, parent.id, number)[number]
        if found.status == "RUNNING":
            mark_killed(parent.client, found.id)
            return None
    return None if found is None else outcome_of(found)


def _found(outcome: Outcome, known: Outcome | None) -> Outcome:
    """An outcome with what the store knows: a trial whose process died may have ended before."""
    if known is None:
        return outcome
    if outcome.status == LOST and known.status != LOST:
        return known
    return replace(outcome, run_id=known.run_id)


def _progress(plan: Plan, parent: Any, rows: list[Row]) -> None:
    top = best(rows, plan.mode)
    if parent and top is not None and top.outcome.value is not None:
        parent.log_metrics({f"best/{plan.monitor}": top.outcome.value}, step=len(rows))


def _files(plan: Plan, rows: list[Row]) -> list[Path]:
    files = write_table(ranked(rows, plan.mode), plan.monitor, plan.folder)
    page = write_figures(rows, plan.monitor, plan.mode, plan.name, plan.folder)
    return files + ([page] if page else [])


def _conclude(plan: Plan, parent: Any, rows: list[Row], files: list[Path]) -> None:
    from ste.tuning.tracked_trials import best_tags, note

    parent.log_metrics({f"trials/{status}": number for status, number in counts(rows).items()})
    for path in files:
        parent.log_file(path)
    parent.set_tags(best_tags(rows, plan.mode) | {"mlflow.note.content": note(rows, plan, _experiment(parent))})


def _experiment(parent: Any) -> str:
    return str(parent.client.get_run(parent.id).info.experiment_id)
