"""Print a sweep on the terminal."""

from pathlib import Path

from rich.text import Text

from ste.reporting.console import console, plain_table, print_next, print_places, short_path
from ste.reporting.formatting import label, short_id, short_verdict
from ste.tuning.trial_result import FAILED, FINISHED, LOST, PRUNED, TrialRow, best, count_by_status, ranked

_MAX_ROWS = 20
"""Rows of the table; the files have all."""


def print_trial(row: TrialRow, ended: int, total: int, monitor: str) -> None:
    """Print a trial that ended.

    Args:
        row: the trial and its result.
        ended: trials that have ended so far.
        total: trials of the sweep.
        monitor: name of the monitored metric.
    """
    result = row.result
    if result.status == FINISHED:
        text = f"{label(monitor)} {result.value:.4f}, accuracy {result.cell('accuracy').text}"
    else:
        text = result.status + (f": {result.error}" if result.error else "")
    console().print(Text(f"{ended} of {total}  trial {row.trial.number}  {row.trial.name}  {text}"))


def print_sweep(rows: list[TrialRow], monitor: str, mode: str, folder: Path, sweep_id: str | None) -> None:
    """Print the trials, best first, the failures, the best trial, where the files are and what to type next.

    Args:
        rows: of the sweep.
        monitor: name of the monitored metric.
        mode: whether it is better `min` or `max`.
        folder: of the sweep's files.
        sweep_id: MLflow's ID of the sweep, if it is tracked.
    """
    out = console()
    shown = [row for row in ranked(rows, mode) if row.result.status == FINISHED]
    split = next((row.result.split for row in shown if row.result.figures), "test")
    numbers = (label(monitor), "accuracy")
    table = plain_table("run", *numbers, "95 % interval", "verdict", "values", numbers=numbers)
    table.columns[-1].no_wrap = False
    for row in shown[:_MAX_ROWS]:
        result = row.result
        accuracy = result.cell("accuracy")
        table.add_row(
            short_id(result.run_id or ""),
            f"{result.value:.4f}",
            accuracy.text,
            Text(accuracy.interval),
            short_verdict(result.verdict),
            Text(row.trial.name.removeprefix("model=")),
        )
    if shown:
        out.print(Text(f"{label(monitor)} of validation, which selects; accuracy and verdict of {split}", "dim"))
        out.print(table)
    if len(shown) > _MAX_ROWS:
        out.print(f"and {len(shown) - _MAX_ROWS} more", style="dim")
    out.print()
    for row in rows:
        if row.result.status in (FAILED, LOST):
            out.print(Text(f"{row.result.status}  trial {row.trial.number}  {row.trial.name}: {row.result.error}"))
    counts = count_by_status(rows)
    out.print(
        f"{len(rows)} trials: {counts[FINISHED]} finished, {counts[PRUNED]} pruned, {counts[FAILED]} failed. "
        "The best of many is partly luck."
    )
    if len({row.result.rows for row in shown}) > 1:
        out.print("The trials were not all scored on the same rows: their metrics are not comparable.")
    top = best(rows, mode)
    if top is not None:
        out.print(Text(f"Best: trial {top.trial.number}, {top.trial.name}, {label(monitor)} {top.result.value:.4f}."))
    print_places({"files": short_path(folder)} | ({"sweep": sweep_id} if sweep_id else {}))
    if top is not None and top.result.run_id and sweep_id:
        print_next(
            {
                f"python -m ste.report run={short_id(top.result.run_id)}": "the best trial as a page",
                f"python -m ste.ensemble runs=children:{short_id(sweep_id)}": "the trials as one forecast",
                "python -m ste.compare": "all runs, best first",
                "python -m ste.ui": "the runs in MLflow",
            }
        )
