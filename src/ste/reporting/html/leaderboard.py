"""The leaderboard of an experiment, as a page."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from markupsafe import Markup

from ste.evaluation.overfitting import expected_maximum
from ste.evaluation.run_choice import RunChoice, choice_text
from ste.evaluation.scorecard import Estimate
from ste.reporting.formatting import Cell, cell, number, short_id, shorten
from ste.reporting.html.render import render
from ste.reporting.plots.figures import ranking_figure
from ste.reporting.plots.theme import svg

RANKED_BY = "log_loss"
_NORMAL_95 = 1.96
_MAX_DOTS = 12  # runs in the chart
_MAX_NAME = 18  # characters of a model in the chart
_COLUMNS = ("accuracy", "mcc", "log_loss", "direction_auroc", "portfolio_sharpe")


@dataclass(frozen=True)
class BoardRow:
    """A run.

    Attributes:
        run_id, name, model: of the run.
        created: ISO, time of the start.
        validation: metrics of the validation split, by name; the log-loss ranks the run.
        figures: metrics of the displayed split.
        word: of the verdict, or empty.
        examples: scored rows of the displayed split.
        ranked_on: scored rows of the validation split.
        data: digest of the tables.
        baselines: accuracy of each baseline on the displayed split.
        link: address of the run's report, relative to the page, or empty.
        mlflow: address of the run's page in MLflow, or empty.
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
    baselines: Mapping[str, float] = field(default_factory=dict)
    link: str = ""
    mlflow: str = ""

    @property
    def rows_scored(self) -> tuple[str, int, int]:
        """Digest of the data and numbers of scored rows, which two runs must share to be compared."""
        return self.data, self.examples, self.ranked_on

    @property
    def ranking_loss(self) -> float:
        """Validation log-loss; infinite where there is none."""
        figure = self.validation.get(RANKED_BY)
        return math.inf if figure is None else figure.value


@dataclass(frozen=True)
class Board:
    """An experiment's runs.

    Attributes:
        experiment: name.
        rows: in any order.
        trials: number of runs on the data that most rows share, including unfinished runs.
        split: displayed split.
        unit: of a period, `week`, `day` or `month`.
        synthetic: the rows are of a synthetic market, so that Sharpe ratios are artificial.
        server: the runs are on an MLflow server; otherwise the links to MLflow need `python -m ste.ui`.
    """

    experiment: str
    rows: Sequence[BoardRow]
    trials: int
    split: str = "test"
    unit: str = "week"
    synthetic: bool = False
    server: bool = False


@dataclass(frozen=True)
class RankedRun:
    """A run with its rank.

    Attributes:
        rank: from 1; None where the run was scored on other rows than most, or has no validation log-loss.
        row: the run.
        other_rows: it was scored on other rows than most, so that its metrics cannot be compared.
        cells: by name of metric; `ranked_by` is the validation log-loss.
    """

    rank: int | None
    row: BoardRow
    other_rows: bool
    cells: dict[str, Cell] = field(default_factory=dict)


def rank_runs(board: Board) -> list[RankedRun]:
    """Sort the runs by validation log-loss, best first; runs that cannot be compared come last, without a rank.

    The test split does not rank: selecting by it would select the luckiest run.
    """
    most_common = Counter(row.rows_scored for row in board.rows).most_common(1)
    usual = most_common[0][0] if most_common else None

    def order(row: BoardRow) -> tuple[bool, float, str]:
        return row.rows_scored != usual, row.ranking_loss, row.created

    out: list[RankedRun] = []
    for row in sorted(board.rows, key=order):
        other = row.rows_scored != usual
        rank = None if other or math.isinf(row.ranking_loss) else len(out) + 1
        cells = {name: cell(row.figures.get(name), name) for name in _COLUMNS}
        cells["ranked_by"] = cell(Estimate(row.ranking_loss), RANKED_BY)
        out.append(RankedRun(rank, row, other, cells))
    return out


def explain_choice(ranked: Sequence[RankedRun]) -> str:
    """State which run is the best one and why; empty where no run has a rank."""
    runs = [run.row for run in ranked if run.rank is not None]
    return choice_text([RunChoice(row.run_id, row.model, row.word) for row in runs]) if runs else ""


def rows_differ(board: Board) -> bool:
    """Whether the runs were scored on different numbers of rows."""
    return len({row.examples for row in board.rows}) > 1


def luck(board: Board) -> str:
    """A sentence on how much the best of so many trials gains by luck alone.

    The expected best of k independent trials of one true accuracy (Bailey and Lopez de Prado 2014, equation
    1), in the unit of their standard error: the median interval's half width over 1.96.
    """
    if board.trials < 2:
        return "There is one trial on this data, so no selection."
    start = f"There are {board.trials:,} trials on this data in this experiment. "
    widths = [
        figure.high - figure.low
        for row in board.rows
        if (figure := row.figures.get("accuracy")) is not None and figure.low is not None and figure.high is not None
    ]
    if not widths:
        return start + "The best of many is partly luck."
    error = median(widths) / 2 / _NORMAL_95
    points = 100 * expected_maximum(error, board.trials)
    return start + (
        f"If all were equally good and their errors independent, the accuracy of the best would be {points:.1f} points "
        f"too high by luck alone (standard error of a run: {100 * error:.1f} points). "
        "Errors of runs on the same rows are correlated, so this is an upper bound."
    )


def render_leaderboard(board: Board) -> str:
    """Render one HTML page that loads nothing: sortable, with a filter, best first by validation log-loss."""
    ranked = rank_runs(board)
    return render(
        "leaderboard.html",
        script="leaderboard.js",
        board=board,
        runs=ranked,
        choice=explain_choice(ranked),
        chart=_chart(ranked, board.split),
        luck=luck(board),
        others=sum(run.other_rows for run in ranked),
        rows_differ=rows_differ(board),
        columns=_columns(board),
        short_id=short_id,
    )


def _columns(board: Board) -> list[dict[str, Any]]:
    """Headings: text, tooltip, whether the column holds numbers, and which end is better."""
    texts = [
        ("rank", "", True, "ascending"),
        ("run", "", False, ""),
        ("model", "", False, ""),
        ("validation log-loss", "ranks the runs; lower is better", True, "ascending"),
        ("accuracy", board.split, True, "descending"),
        ("MCC", board.split, True, "descending"),
        ("log-loss", board.split, True, "ascending"),
        ("direction: AUC", f"{board.split}; 0.5 by chance", True, "descending"),
        (f"Sharpe ratio{', artificial' if board.synthetic else ''}", f"{board.split}, after costs", True, "descending"),
        ("verdict", "", False, ""),
        *([("rows", board.split, True, "descending")] if rows_differ(board) else []),
        ("when", "", False, ""),
        ("pages", "", False, ""),
    ]
    return [dict(zip(("text", "note", "number", "better"), column, strict=True)) for column in texts]


def _chart(ranked: Sequence[RankedRun], split: str) -> Markup | None:
    """Draw the accuracy of the ranked runs next to their best baselines; None without one."""
    rows = [run.row for run in ranked if run.rank is not None and "accuracy" in run.row.figures][:_MAX_DOTS]
    if not rows:
        return None
    shown = [row.figures["accuracy"] for row in rows]
    best = [max(row.baselines.values(), default=math.nan) for row in rows]
    figure = ranking_figure(
        [f"{place}  {short_id(row.run_id)} {shorten(row.model, _MAX_NAME)}" for place, row in enumerate(rows, 1)],
        [e.value for e in shown],
        [math.nan if e.low is None else e.low for e in shown],
        [math.nan if e.high is None else e.high for e in shown],
        best,
        f"accuracy on {split}",
    )
    text = ", ".join(
        f"{short_id(row.run_id)} {number(e.value, 'accuracy')}" for row, e in zip(rows, shown, strict=True)
    )
    return Markup(svg(figure, "accuracies", f"Accuracy of the runs in rank order on the {split} split: {text}."))
