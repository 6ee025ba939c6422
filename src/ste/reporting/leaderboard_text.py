"""The printed leaderboard of an experiment."""

from rich.console import Console
from rich.text import Text

from ste.reporting.console import console as default_console
from ste.reporting.console import plain_table
from ste.reporting.formatting import NONE, cell, count, short_id, shorten
from ste.reporting.html.leaderboard import Board, explain_choice, luck, rank_runs, rows_differ

_SHORT_WORDS = {"better than guessing": "> guessing", "inconclusive": "too few"}
_MAX_MODEL = 18  # characters that fit in 80 columns without the numbers of rows
_MAX_MODEL_WITH_ROWS = 10


def print_leaderboard(board: Board, console: Console | None = None) -> None:
    """Print the leaderboard, at most 80 characters wide where no word is longer."""
    console = console or default_console()
    with_rows = rows_differ(board)
    width = _MAX_MODEL_WITH_ROWS if with_rows else _MAX_MODEL
    columns = (
        "#",
        "run",
        "model",
        "val loss",
        "accuracy",
        "95 % interval",
        "verdict",
        *(["rows"] if with_rows else []),
    )
    table = plain_table(*columns, numbers=("#", "val loss", "accuracy", "95 % interval", "rows"))
    ranked = rank_runs(board)
    for run in ranked:
        row, accuracy = run.row, cell(run.row.figures.get("accuracy"), "accuracy")
        cells = [
            "" if run.rank is None else str(run.rank),
            short_id(row.run_id),
            shorten(row.model, width) + "*" * (run.other_rows and not with_rows),
            run.cells["ranked_by"].text,
            accuracy.text,
            accuracy.interval or NONE,
            _SHORT_WORDS.get(row.word, row.word or NONE),
        ]
        if with_rows:
            cells.append(_rows(row.examples) + "*" * run.other_rows)
        table.add_row(*(Text(text) for text in cells), style="dim" if run.other_rows else None)  # names are no markup
    of_each = "" if with_rows or not ranked else f", {ranked[0].row.examples:,} rows each"
    console.print(
        Text(f"{board.experiment}: {count(len(ranked), 'run')}, {board.split} metrics{of_each}", style="bold")
    )
    console.print(table)
    if any(run.other_rows for run in ranked):
        console.print(Text("* scored on other rows than most runs: not ranked, not comparable", style="dim"))
    console.print()
    for text in filter(None, (explain_choice(ranked), luck(board), _ranking(board))):
        console.print(Text(text))
    console.print()


def next_commands(board: Board) -> dict[str, str]:
    """Commands to type after a leaderboard, each with what it does."""
    best = next((short_id(run.row.run_id) for run in rank_runs(board) if run.rank is not None), "latest")
    return {
        f"python -m ste.report run={best}": "the best run, as a page",
        f"python -m ste.export run={best}": "one file for predict and serve",
        "python -m ste.ui": "the runs in MLflow",
    }


def _ranking(board: Board) -> str:
    how = "the best run is selected by it" if board.split == "validation" else f"the {board.split} split does not rank"
    return f"Ranked by validation log-loss (val loss): {how}."


def _rows(n: int) -> str:
    return f"{n:,}" if n < 1_000_000 else f"{n / 1e6:.1f} M"
