"""The printed leaderboard of an experiment."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ste.evaluation.scorecard import Estimate
from ste.reporting.console import console as default_console
from ste.reporting.formatting import count
from ste.reporting.html.leaderboard import RANKED_BY, Board, luck, rank_runs

_DIGITS = ("val", "accuracy, %", "MCC", "loss", "AUC", "Sharpe")
_SHORT_WORDS = {"better than guessing": "> guessing", "inconclusive": "too few"}


def print_leaderboard(board: Board, console: Console | None = None) -> None:
    """Print the leaderboard, at most 100 characters wide."""
    console = console or default_console()
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("#", "model", "run", *_DIGITS, "verdict", "rows", "when"):
        table.add_column(name, justify="right" if name in ("#", "rows", *_DIGITS) else "left", no_wrap=True)
    ranked = rank_runs(board)
    for run in ranked:
        row, figures = run.row, run.row.figures
        cells = [
            "" if run.rank is None else str(run.rank),
            _short(row.model, 10),
            _short(row.name, 9),
            _digits(row.validation.get(RANKED_BY), 3),
            _accuracy(figures.get("accuracy")),
            *(_digits(figures.get(name), 3) for name in ("mcc", "log_loss", "direction_auroc")),
            _digits(figures.get("portfolio_sharpe"), 2),
            _SHORT_WORDS.get(row.word, _short(row.word, 10)),
            _rows(row.examples) + "*" * run.other_rows,
            row.created[5:10],
        ]
        table.add_row(*(Text(cell) for cell in cells), style="dim" if run.other_rows else None)  # names are no markup
    console.print(Text(f"{board.experiment}: {count(len(ranked), 'run')}, {board.split} metrics", style="bold"))
    console.print(Text(luck(board)))
    console.print(table)
    ranking = "the best run is selected by it" if board.split == "validation" else "the test split does not rank"
    console.print(Text(f"ranked by validation log-loss (val): {ranking}; AUC: direction", style="dim"))
    if any(run.other_rows for run in ranked):
        console.print(Text("* scored on other rows than most runs: not ranked, not comparable", style="dim"))


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _rows(n: int) -> str:
    return f"{n:,}" if n < 1_000_000 else f"{n / 1e6:.1f} M"


def _digits(figure: Estimate | None, digits: int) -> str:
    return "-" if figure is None else f"{figure.value:.{digits}f}"


def _accuracy(figure: Estimate | None) -> str:
    """Percent, with its interval."""
    if figure is None or figure.low is None or figure.high is None:
        return "-" if figure is None else f"{100 * figure.value:.1f}"
    return f"{100 * figure.value:.1f} [{100 * figure.low:.1f},{100 * figure.high:.1f}]"
