"""Tables of a report: scorecards and data cards as rows of cells."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ste.evaluation.portfolio.portfolio_record import Portfolio
from ste.evaluation.predictions import BAYES
from ste.evaluation.scorecard import Estimate, Gain, Scorecard
from ste.evaluation.verdict_text import against_chance
from ste.registry import METRICS
from ste.reporting.formatting import NONE, Cell, cell, count, label, number, ordered, p_value, who
from ste.reporting.html.report_data import MemberRow
from ste.reporting.html.table_row import TableRow

if TYPE_CHECKING:  # they import torch
    from ste.evaluation.explain.group_value import GroupValue
    from ste.evaluation.explain.permutation_importance import Importance

_AGAINST_CHANCE = {
    "above": "lies above 0.5 (chance)",
    "below": "lies below 0.5 (chance)",
    "within": "contains 0.5 (chance)",
}


@dataclass(frozen=True)
class RowGroup:
    """Rows with a heading and a note."""

    name: str
    note: str
    rows: list[TableRow]


@dataclass(frozen=True)
class KeyFigure:
    """A metric at the top of the page, with the value that it is compared with.

    Attributes:
        name: printed name.
        shown: value and interval.
        reference: what to compare it with.
        artificial: it is of a portfolio in a synthetic market.
    """

    name: str
    shown: Cell
    reference: str
    artificial: bool = False


@dataclass(frozen=True)
class YearOfReturns:
    """Returns of a calendar year in percent, as text: twelve months, empty where nothing is held, and the year."""

    year: int
    months: list[Cell]
    total: Cell


def key_figures(score: Scorecard, *, synthetic: bool) -> list[KeyFigure]:
    """Accuracy, log-loss, movement, direction and Sharpe ratio, each with its reference value.

    Args:
        score: of the split that comes first.
        synthetic: whether its rows are of a synthetic market.
    """
    references = {
        "accuracy": _best_baseline(score, "accuracy"),
        "log_loss": _best_baseline(score, "log_loss"),
        "move_auroc": "chance: 0.500",
        "direction_auroc": "chance: 0.500",
        "portfolio_sharpe": _portfolio_reference(score.portfolio),
    }
    return [
        KeyFigure(label(name), cell(score.figures[name], name), reference, synthetic and name == "portfolio_sharpe")
        for name, reference in references.items()
        if name in score.figures
    ]


def _portfolio_reference(portfolio: Portfolio | None) -> str:
    before = portfolio.same_close_sharpe if portfolio else None
    if before is None:
        return "after costs; cash: 0"
    return f"after costs; at the same close: {number(before, 'portfolio_sharpe')}"


def _best_baseline(score: Scorecard, name: str) -> str:
    """The baseline that the verdict compares with: the best of those that are not identical to the model."""
    values = {
        who: row[name].value
        for who, row in score.baselines.items()
        if name in row and who != BAYES and who not in score.identical
    }
    if not values:
        return "no other baseline" if score.identical else "no baseline"
    best = (max if METRICS[name].higher_is_better else min)(values, key=lambda who: values[who])
    return f"best baseline, {best}: {number(values[best], name)}"


def headline(scores: Mapping[str, Scorecard], model: str) -> list[RowGroup]:
    """Rows of the model, the baselines and Bayes for each split, held-out splits first.

    Cells: accuracy, the model's gain over it, p, log-loss, the model's gain, p, MCC, AUROC.
    """
    order = sorted(scores, key=lambda name: (name == "train", name != "test"))
    return [
        RowGroup(
            name,
            f"{count(scores[name].examples, 'example')}, {count(scores[name].periods, scores[name].unit)}",
            [
                TableRow(who(row, model), role, _headline_cells(figures, scores[name].gains.get(row, {})))
                for row, role, figures in _everyone(scores[name])
            ],
        )
        for name in order
    ]


def _everyone(score: Scorecard) -> list[tuple[str, str, dict[str, Estimate]]]:
    """Name, role and metrics of the model (an empty name), the baselines, and Bayes last."""
    baselines = [(name, "baseline", figures) for name, figures in score.baselines.items() if name != BAYES]
    bayes = [(BAYES, "bayes", score.baselines[BAYES])] if BAYES in score.baselines else []
    return [("", "model", score.figures), *baselines, *bayes]


def _headline_cells(figures: dict[str, Estimate], gains: dict[str, Gain]) -> list[Cell]:
    cells = []
    for name in ("accuracy", "log_loss"):
        gain = gains.get(name)
        cells += [cell(figures.get(name), name), _gain(gain, name), Cell(p_value(gain.p) if gain else NONE)]
    return [*cells, *(cell(figures.get(name), name) for name in ("mcc", "auroc"))]


def _gain(gain: Gain | None, name: str) -> Cell:
    return cell(Estimate(gain.value, gain.low, gain.high) if gain else None, name, signed=True)


def composition(score: Scorecard, model: str, *figures: str) -> list[TableRow]:
    """Movement and direction of the model and the baselines; empty with two classes.

    Args:
        score: of a split.
        model: name to print.
        figures: of movement and of direction: `auroc`, `accuracy` or `mcc`.
    """
    names = [f"{part}_{figure}" for part in ("move", "direction") for figure in figures]
    if "move_auroc" not in score.figures:
        return []
    return [
        TableRow(who(row, model), role, [cell(own.get(name), name) for name in names])
        for row, role, own in _everyone(score)
        if any(name in own for name in names)
    ]


def interval_text(figure: Estimate) -> str:
    """Where the interval of an AUC lies relative to 0.5."""
    return "does not exist" if figure.low is None else _AGAINST_CHANCE[against_chance(figure)]


def every_figure(scores: Mapping[str, Scorecard]) -> list[TableRow]:
    """All metrics of the model, one row each with a cell per split."""
    names = ordered(name for score in scores.values() for name in score.figures)
    return [
        TableRow(label(name), "model", [cell(score.figures.get(name), name) for score in scores.values()])
        for name in names
    ]


def confusion(score: Scorecard) -> list[tuple[str, list[tuple[int, float]]]]:
    """Rows of true classes: name, and for each predicted class the count and its fraction of the row."""
    return [
        (name, [(n, n / max(sum(row), 1)) for n in row])
        for name, row in zip(score.classes, score.confusion, strict=True)
    ]


def metrics_of(score: Scorecard, *prefixes: str) -> list[TableRow]:
    """Metrics of the model whose names start with one of the prefixes."""
    return [
        TableRow(label(name), "model", [cell(figure, name)])
        for name, figure in score.figures.items()
        if name.startswith(prefixes)
    ]


def monthly_returns(portfolio: Portfolio) -> list[YearOfReturns]:
    """Compound the returns of a portfolio by month and year, oldest first.

    A holding period counts in the month in which its positions are taken.
    """
    months: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for date, value in zip(portfolio.dates, portfolio.returns, strict=True):
        months[int(date[:4]), int(date[5:7])] *= 1.0 + value
    return [
        YearOfReturns(
            year,
            [_monthly(months.get((year, month))) for month in range(1, 13)],
            _monthly(math.prod(growth for (of, _), growth in months.items() if of == year)),
        )
        for year in sorted({year for year, _ in months})
    ]


def _monthly(growth: float | None) -> Cell:
    if growth is None:
        return Cell()
    return Cell(number(growth - 1.0, "portfolio_annual_return", unit=False), "", growth - 1.0)


def importance(rows: "Sequence[Importance]") -> list[TableRow]:
    """Permutation importance of groups and features: rise of log-loss and drop of accuracy in points.

    Cells: each with its interval over periods, and its error over the repeats.
    """
    return [
        TableRow(
            row.name,
            row.kind,
            [
                cell(Estimate(row.log_loss, row.low, row.high), "log_loss"),
                cell(Estimate(row.log_loss_error), "log_loss"),
                points(Estimate(row.accuracy, row.accuracy_low, row.accuracy_high)),
                points(Estimate(row.accuracy_error)),
            ],
        )
        for row in rows
    ]


def points(figure: Estimate) -> Cell:
    """A difference of accuracies in percentage points."""
    if figure.low is None or figure.high is None:
        return Cell(number(figure.value, "accuracy", unit=False), "", figure.value)
    low, high = (number(end, "accuracy", unit=False) for end in (figure.low, figure.high))
    return Cell(number(figure.value, "accuracy", unit=False), f"[{low}, {high}]", figure.value)


def group_values(rows: "Sequence[GroupValue]") -> list[TableRow]:
    """What each group adds: rise of log-loss and drop of accuracy when permuted, and when trained without it.

    Cells: of the permutation, then of each retrained split, in the order of `retrained_splits`.
    """
    splits = retrained_splits(rows)
    return [
        TableRow(
            f"{row.name} (yours)" if row.own else row.name,
            "group",
            [
                part
                for loss in (row.permuted, *(row.retrained.get(split) for split in splits))
                for part in (
                    cell(loss.log_loss if loss else None, "log_loss"),
                    points(loss.accuracy) if loss else Cell(),
                )
            ],
        )
        for row in rows
    ]


def retrained_splits(rows: "Sequence[GroupValue]") -> list[str]:
    """Splits on which models without a group were compared."""
    return list(dict.fromkeys(split for row in rows for split in row.retrained))


def members(rows: Sequence[MemberRow], splits: Sequence[str]) -> list[tuple[MemberRow, list[Cell]]]:
    """Accuracy and log-loss of each member by split."""
    names = [(split, name) for split in splits for name in ("accuracy", "log_loss")]
    return [(row, [cell(row.figures.get(split, {}).get(name), name) for split, name in names]) for row in rows]


def files(card: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row of text per file of the data card."""
    return [
        {
            "split": split,
            **{name: f"{entry[name]:,}" for name in ("rows", "purged", "periods", "tickers")},
            **{name: entry[name] for name in ("first", "last", "file", "sha256")},
            "classes": ", ".join(f"{name} {n:,}" for name, n in entry["classes"].items()),
        }
        for split, entry in card["files"].items()
    ]


def data(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts of the data card about all files: name and text."""
    facts = {
        "source": card["source"],
        "frequency": card["frequency"],
        "seed of the synthetic market": card.get("seed"),
        "digest of all files": card["digest"],
        "protocol": card.get("protocol"),
        "purged between splits": count(card["purge"], "period") if "purge" in card else None,
        "classes": ", ".join(card["classes"]),
        "features": f"{len(card['features'])}: {', '.join(card['features'])}" if "features" in card else None,
        "notes": "; ".join(card["notes"]) or None,
    }
    return [(name, str(text)) for name, text in facts.items() if text is not None]
