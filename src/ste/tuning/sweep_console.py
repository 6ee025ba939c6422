"""Print a sweep on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ste.tuning.trial_result import (
    FAILED,
    FINISHED,
    LOST,
    PRUNED,
    SHOWN,
    TrialRow,
    best,
    brief,
    count_by_status,
    ranked,
)

_MAX_ROWS = 20
"""Rows of the table; the files have all."""


def trial_line(row: TrialRow, ended: int, total: int, monitor: str) -> str:
    """Describe a trial that ended in one line.

    Args:
        row: the trial and its result.
        ended: trials that have ended so far.
        total: trials of the sweep.
        monitor: name of the monitored metric.
    """
    result = row.result
    head = f"{ended} of {total}  trial {row.trial.number}  {row.trial.name}"
    if result.status == FINISHED:
        return f"{head}  {monitor} {result.value:.4f}  {row.result.figure_text('accuracy')}"
    return f"{head}  {result.status}" + (f": {result.error}" if result.error else "")


def print_sweep(rows: list[TrialRow], monitor: str, mode: str, places: dict[str, str]) -> None:
    """Print the trials, best first, the failures, the best trial and the places of files and runs.

    Args:
        rows: of the sweep.
        monitor: name of the monitored metric.
        mode: whether it is better `min` or `max`.
        places: paths and IDs by label.
    """
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    shown = [row for row in ranked(rows, mode) if row.result.status == FINISHED]
    keys = list(dict.fromkeys(key for row in rows for key in row.trial.values))
    table = Table(box=None, header_style="bold", pad_edge=False)
    split = next((row.result.split for row in shown if row.result.figures), "test")
    table.add_column("trial", justify="right")
    for key in keys:
        table.add_column(brief(key, "").rstrip("="))
    for name in (monitor, f"{split} accuracy", "MCC", "log-loss"):
        table.add_column(name, justify="right", no_wrap=name != "MCC")
    for row in shown[:_MAX_ROWS]:
        values = [escape(brief("", row.trial.values.get(key, "-")).lstrip("=")) for key in keys]
        accuracy, *others = [row.result.figure_text(name) for name in SHOWN]
        figures = [accuracy, *(text.split(" ")[0] for text in others)]
        table.add_row(str(row.trial.number), *values, f"{row.result.value:.4f}", *map(escape, figures))
    if shown:
        console.print(table)
    if len(shown) > _MAX_ROWS:
        console.print(f"and {len(shown) - _MAX_ROWS} more", style="dim")
    plain = Console(soft_wrap=True, highlight=False, markup=False)
    plain.print()
    for row in rows:
        if row.result.status in (FAILED, LOST):
            plain.print(f"{row.result.status}  trial {row.trial.number}  {row.trial.name}: {row.result.error}")
    counts = count_by_status(rows)
    plain.print(
        f"{len(rows)} trials: {counts[FINISHED]} finished, {counts[PRUNED]} pruned, {counts[FAILED]} failed; "
        f"{monitor} is the validation metric that selects: the best of many is partly luck"
    )
    if len({row.result.rows for row in shown}) > 1:
        plain.print("the trials were not all scored on the same rows: their metrics are not comparable")
    top = best(rows, mode)
    if top is not None:
        plain.print(f"best   trial {top.trial.number}  {top.trial.name}  {monitor} {top.result.value:.4f}")
        if top.result.run_id:
            plain.print(f"run    {top.result.run_id}")
    for name, place in places.items():
        plain.print(f"{name:<6} {place}")
