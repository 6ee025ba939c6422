"""What a person reads of a sweep."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ste.tuning.trial_outcome import FAILED, FINISHED, LOST, PRUNED, Row, best, brief, counts, ranked

_MOST = 20
"""Lines of the table in the terminal; the files have all."""


def line(row: Row, made: int, total: int, monitor: str) -> str:
    """A trial that ended, in one line."""
    outcome = row.outcome
    head = f"{made} of {total}  trial {row.trial.number}  {row.trial.name}"
    if outcome.status == FINISHED:
        return f"{head}  {monitor} {outcome.value:.4f}  {_figure(row, 'accuracy')}"
    return f"{head}  {outcome.status}" + (f": {outcome.error}" if outcome.error else "")


def print_sweep(rows: list[Row], monitor: str, mode: str, places: dict[str, str]) -> None:
    """Trials best first, what failed, the best one, and where everything is.

    Args:
        rows: of the sweep.
        monitor: name of the monitored figure.
        mode: whether it is better `min` or `max`.
        places: what is to be found where, in words.
    """
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    shown = [row for row in ranked(rows, mode) if row.outcome.status == FINISHED]
    keys = list(dict.fromkeys(key for row in rows for key in row.trial.values))
    table = Table(box=None, header_style="bold", pad_edge=False)
    split = next((row.outcome.split for row in shown if row.outcome.figures), "test")
    table.add_column("trial", justify="right")
    for key in keys:
        table.add_column(brief(key, "").rstrip("="))
    for name in (monitor, f"{split} accuracy", "MCC", "log-loss"):
        table.add_column(name, justify="right", no_wrap=name != "MCC")
    for row in shown[:_MOST]:
        values = [escape(brief("", row.trial.values.get(key, "-")).lstrip("=")) for key in keys]
        figures = [_figure(row, "accuracy"), *(_figure(row, name).split(" ")[0] for name in ("mcc", "log_loss"))]
        table.add_row(str(row.trial.number), *values, f"{row.outcome.value:.4f}", *map(escape, figures))
    if shown:
        console.print(table)
    if len(shown) > _MOST:
        console.print(f"and {len(shown) - _MOST} more", style="dim")
    plain = Console(soft_wrap=True, highlight=False, markup=False)
    plain.print()
    for row in rows:
        if row.outcome.status in (FAILED, LOST):
            plain.print(f"{row.outcome.status}  trial {row.trial.number}  {row.trial.name}: {row.outcome.error}")
    found = counts(rows)
    plain.print(
        f"{len(rows)} trials: {found[FINISHED]} finished, {found[PRUNED]} pruned, {found[FAILED]} failed; "
        f"{monitor} is of validation, which chose: the best of many is partly luck"
    )
    if len({row.outcome.rows for row in shown}) > 1:
        plain.print("the trials are not all on the same rows: their figures cannot be compared across them")
    top = best(rows, mode)
    if top is not None:
        plain.print(f"best   trial {top.trial.number}  {top.trial.name}  {monitor} {top.outcome.value:.4f}")
        if top.outcome.run_id:
            plain.print(f"run    {top.outcome.run_id}")
    for name, place in places.items():
        plain.print(f"{name:<6} {place}")


def _figure(row: Row, name: str) -> str:
    if name not in row.outcome.figures:
        return "-"
    value, low, high = row.outcome.figures[name]
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} [{low:.3f}, {high:.3f}]"
