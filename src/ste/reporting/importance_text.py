"""What columns are worth, as tables for a terminal of 80 columns."""

from collections.abc import Sequence

from rich.text import Text

from ste.evaluation.explain.group_value import GroupValue, ScoreChange
from ste.evaluation.explain.permutation_importance import Importance
from ste.evaluation.scorecard import Estimate
from ste.reporting.console import console, plain_table
from ste.reporting.formatting import Cell, cell, shorten
from ste.reporting.html.report_tables import points, retrained_splits

_FEATURES = 8  # of a table
_MAX_NAME = 24


def print_importance(rows: Sequence[Importance]) -> None:
    """Print the permutation importance of every group and of the most important features; nothing without any."""
    if not rows:
        return
    table = plain_table("when permuted", "rise of log-loss", "drop of accuracy", numbers=_NUMBERS)
    for kind, heading in (("group", "groups"), ("feature", "features, largest first")):
        own = [row for row in rows if row.kind == kind]
        if own:
            table.add_row(Text(heading, "dim"))
        for row in own[: None if kind == "group" else _FEATURES]:
            rise = Estimate(row.log_loss, row.low, row.high)
            drop = Estimate(row.accuracy, row.accuracy_low, row.accuracy_high)
            table.add_row(f"  {shorten(row.name, _MAX_NAME)}", _text(cell(rise, "log_loss")), _text(points(drop)))
    out = console()
    out.print(table)
    out.print()


_NUMBERS = ("rise of log-loss", "drop of accuracy")


def print_group_values(rows: Sequence[GroupValue]) -> None:
    """Print what groups of columns add, permuted and trained again without them; nothing without any group."""
    if not rows:
        return
    table = plain_table("columns of", *_NUMBERS, numbers=_NUMBERS)
    measured: list[tuple[str, list[tuple[GroupValue, ScoreChange]]]] = [
        (f"permuted, {rows[0].split}", [(row, row.permuted) for row in rows if row.permuted])
    ]
    for split in retrained_splits(rows):
        own = [(row, row.retrained[split]) for row in rows if split in row.retrained]
        measured.append((f"trained without them, {split}", own))
    for heading, losses in measured:
        if losses:
            table.add_row(Text(heading, "dim"))
        for row, loss in losses:
            table.add_row(
                f"  {shorten(row.name, _MAX_NAME)}",
                _text(cell(loss.log_loss, "log_loss")),
                _text(points(loss.accuracy)),
            )
    out = console()
    out.print(table)
    for row in rows:
        if row.why_not:
            out.print(f"not trained without {row.name}: {row.why_not}", style="dim")
    out.print()


def _text(one: Cell) -> str:
    return f"{one.text} {one.interval}".strip()
