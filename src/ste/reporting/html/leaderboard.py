"""The runs of an experiment side by side, as a page and in the terminal."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ste.evaluation.overfitting import expected_maximum
from ste.evaluation.scorecard import Estimate
from ste.reporting.html.formatting import Cell, cell, count
from ste.reporting.html.render import render

RANKED_BY = "log_loss"
_NORMAL_95 = 1.96
_DIGITS = ("val", "accuracy, %", "MCC", "loss", "AUC", "Sharpe")
_SHORT_WORDS = {"better than guessing": "> guessing", "inconclusive": "too few"}
_COLUMNS = ("accuracy", "mcc", "log_loss", "direction_auroc", "portfolio_sharpe")


@dataclass(frozen=True)
class BoardRow:
    """A run.

    Attributes:
        run_id, name, model: of the run.
        created: ISO, when it began.
        validation: figures of the validation split, by name; its log-loss ranks the run.
        figures: figures of the split that is shown.
        word: of the verdict, or empty.
        examples: rows scored in the split that is shown.
        ranked_on: rows of the validation split.
        data: digest of the tables.
        link: address of the run's report, relative to the page, or empty.
    """

    run_id: str
    name: str
    model: str
    created: str
    validation: dict[str, Estimate]
    figures: dict[str, Estimate]
    word: str = ""
    examples: int = 0
    ranked_on: int = 0
    data: str = ""
    link: str = ""

    @property
    def rows_scored(self) -> tuple[str, int, int]:
        """What two runs must share to be compared: the data, and how much of it was scored."""
        return self.data, self.examples, self.ranked_on


@dataclass(frozen=True)
class Board:
    """An experiment's runs.

    Attributes:
        experiment: its name.
        rows: in any order.
        trials: runs made on the data that most rows share, unfinished ones included.
        split: whose figures are shown.
        unit: what one period is, `week` or `day`.
    """

    experiment: str
    rows: Sequence[BoardRow]
    trials: int
    split: str = "test"
    unit: str = "week"


@dataclass(frozen=True)
class RankedRun:
    """A row where it stands.

    Attributes:
        rank: from 1; None on other rows than most, or without the figure that ranks.
        row: the run.
        other_rows: its figures are of other rows than most, so that they compare with nobody's.
        cells: what is shown, by name of figure; `ranked_by` is the validation log-loss.
    """

    rank: int | None
    row: BoardRow
    other_rows: bool
    cells: dict[str, Cell] = field(default_factory=dict)


def places(board: Board) -> list[RankedRun]:
    """The rows, best first by validation log-loss; those that cannot be compared come last, without a rank.

    The test split chooses nothing: whoever ranks by it takes the luckiest run for the best.
    """
    most = Counter(row.rows_scored for row in board.rows).most_common(1)
    usual = most[0][0] if most else None

    def order(row: BoardRow) -> tuple[bool, float, str]:
        loss = _ranking_loss(row)
        return row.rows_scored != usual, math.inf if loss is None else loss, row.created

    out: list[RankedRun] = []
    for row in sorted(board.rows, key=order):
        other = row.rows_scored != usual
        rank = None if other or _ranking_loss(row) is None else len(out) + 1
        cells = {name: cell(row.figures.get(name), name) for name in _COLUMNS}
        loss = _ranking_loss(row)
        cells["ranked_by"] = cell(None if loss is None else Estimate(loss), RANKED_BY)
        out.append(RankedRun(rank, row, other, cells))
    return out


def _ranking_loss(row: BoardRow) -> float | None:
    figure = row.validation.get(RANKED_BY)
    return None if figure is None or not math.isfinite(figure.value) else figure.value


def luck(board: Board) -> str:
    """What the best of so many trials gains by luck alone, in words.

    The expected best of k independent trials of one true accuracy (Bailey and Lopez de Prado 2014, equation
    1), in the unit of their standard error: the median interval's half width over 1.96.
    """
    if board.trials < 2:
        return "One trial was made on this data: there was nothing to choose from."
    begin = f"{board.trials:,} trials were made on this data in this experiment. "
    widths = [
        figure.high - figure.low
        for row in board.rows
        if (figure := row.figures.get("accuracy")) is not None and figure.low is not None and figure.high is not None
    ]
    if not widths:
        return begin + "The best of many is partly luck."
    error = median(widths) / 2 / _NORMAL_95
    points = 100 * expected_maximum(error, board.trials)
    return begin + (
        f"If all were equally good and their errors independent, the best would show {points:.1f} points more "
        f"accuracy than it has, by luck alone (standard error of a run: {100 * error:.1f} points). "
        "Runs scored on the same rows share much of their luck, so that this is the most it can be."
    )


def render_leaderboard(board: Board) -> str:
    """One HTML page without network: sortable, with a filter, best first by validation log-loss."""
    ranked = places(board)
    return render(
        "leaderboard.html",
        script="leaderboard.js",
        board=board,
        places=ranked,
        luck=luck(board),
        others=sum(place.other_rows for place in ranked),
        columns=_columns(board),
    )


def _columns(board: Board) -> list[dict[str, Any]]:
    """Headings: text, what it means, whether it holds numbers, and which end is better."""
    texts = [
        ("rank", "", True, "ascending"),
        ("model", "", False, ""),
        ("run", "", False, ""),
        ("validation log-loss", "ranks the runs; lower is better", True, "ascending"),
        ("accuracy", board.split, True, "descending"),
        ("MCC", board.split, True, "descending"),
        ("log-loss", board.split, True, "ascending"),
        ("which way: AUC", f"{board.split}; a coin has 0.5", True, "descending"),
        ("Sharpe ratio", f"{board.split}, costs paid", True, "descending"),
        ("verdict", "", False, ""),
        ("rows", board.split, True, "descending"),
        ("when", "", False, ""),
    ]
    return [dict(zip(("text", "note", "number", "better"), column, strict=True)) for column in texts]


def print_leaderboard(board: Board, console: Console | None = None) -> None:
    """The same as a table of at most 100 columns of text."""
    console = console or Console(width=None if Console().is_terminal else 100, highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("#", "model", "run", *_DIGITS, "verdict", "rows", "when"):
        table.add_column(name, justify="right" if name in ("#", "rows", *_DIGITS) else "left", no_wrap=True)
    ranked = places(board)
    for place in ranked:
        row, figures = place.row, place.row.figures
        cells = [
            "" if place.rank is None else str(place.rank),
            _short(row.model, 10),
            _short(row.name, 9),
            _digits(row.validation.get(RANKED_BY), 3),
            _accuracy(figures.get("accuracy")),
            *(_digits(figures.get(name), 3) for name in ("mcc", "log_loss", "direction_auroc")),
            _digits(figures.get("portfolio_sharpe"), 2),
            _SHORT_WORDS.get(row.word, _short(row.word, 10)),
            _rows(row.examples) + "*" * place.other_rows,
            row.created[5:10],
        ]
        table.add_row(*(Text(cell) for cell in cells), style="dim" if place.other_rows else None)  # names are no markup
    console.print(Text(f"{board.experiment}: {count(len(ranked), 'run')}, {board.split} figures", style="bold"))
    console.print(Text(luck(board)))
    console.print(table)
    ranking = "the best is flattered by its choice" if board.split == "validation" else "the test chooses nothing"
    console.print(Text(f"ranked by validation log-loss (val): {ranking}; AUC: which way", style="dim"))
    if any(place.other_rows for place in ranked):
        console.print(Text("* scored on other rows than most runs: not ranked, compares with none", style="dim"))


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _rows(n: int) -> str:
    return f"{n:,}" if n < 1_000_000 else f"{n / 1e6:.1f} M"


def _digits(figure: Estimate | None, digits: int) -> str:
    return "-" if figure is None or not math.isfinite(figure.value) else f"{figure.value:.{digits}f}"


def _accuracy(figure: Estimate | None) -> str:
    """Percent, with its interval."""
    if figure is None or figure.low is None or figure.high is None:
        return "-" if figure is None else f"{100 * figure.value:.1f}"
    return f"{100 * figure.value:.1f} [{100 * figure.low:.1f},{100 * figure.high:.1f}]"
