"""Scorecards and data cards as rows of cells, for the templates to lay out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ste.evaluation.scorecard import Estimate, Gain, Scorecard
from ste.reporting.html.formatting import LABELS, NONE, Cell, cell, count, label, number, p_value, who
from ste.reporting.html.report_data import MemberRow

_FAMILIES = {
    "of the classes": ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc", "auroc"),
    "of probabilities": ("log_loss", "brier", "calibration_error"),
    "will it move, and which way": ("move_", "direction_"),
    "of the order of tickers": ("ic_", "rank_ic_"),
    "of a portfolio": ("portfolio_",),
    "against the known limit": ("expected_", "bayes_expected_", "gap_"),
}
_COIN = 0.5


@dataclass(frozen=True)
class TableRow:
    """A model, a baseline or the limit: its name, what part it plays, its cells."""

    name: str
    role: str
    cells: list[Cell]


@dataclass(frozen=True)
class RowGroup:
    """Rows of a split, and the words above them."""

    name: str
    note: str
    rows: list[TableRow]


@dataclass(frozen=True)
class KeyFigure:
    """One of the few figures at the top: what it is, how much, and beside what."""

    name: str
    shown: Cell
    beside: str


def key_figures(score: Scorecard | None) -> list[KeyFigure]:
    """Accuracy, log-loss, direction and Sharpe ratio, as far as they are there, each beside its reference."""
    if score is None:
        return []
    references = {
        "accuracy": _best_baseline(score, "accuracy"),
        "log_loss": _best_baseline(score, "log_loss"),
        "move_auroc": "a coin: 0.500",
        "direction_auroc": "a coin: 0.500",
        "portfolio_sharpe": "costs paid; cash: 0",
    }
    return [
        KeyFigure(label(name), cell(score.figures[name], name), beside)
        for name, beside in references.items()
        if name in score.figures
    ]


def _best_baseline(score: Scorecard, name: str) -> str:
    there = {who: row[name].value for who, row in score.baselines.items() if name in row and who != "bayes"}
    if not there:
        return "no baseline"
    best = (min if name == "log_loss" else max)(there, key=lambda who: there[who])
    return f"best baseline, {best}: {number(there[best], name)}"


def headline(scores: Mapping[str, Scorecard], model: str) -> list[RowGroup]:
    """Model, baselines and limit of each split on the same rows, held-out splits first.

    Cells: accuracy, the model's gain over it, p, log-loss, the model's gain, p, MCC, AUROC.
    """
    order = sorted(scores, key=lambda name: (name == "train", name != "test"))
    return [
        RowGroup(
            name,
            f"{count(scores[name].examples, 'example')}, {count(scores[name].periods, scores[name].unit)}",
            [_headline_row(scores[name], row, model) for row in _who(scores[name])],
        )
        for name in order
    ]


def _who(score: Scorecard) -> list[str]:
    """The model as an empty name, the baselines, and the limit last."""
    return [
        "",
        *(name for name in score.baselines if name != "bayes"),
        *(["bayes"] if "bayes" in score.baselines else []),
    ]


def _figures(score: Scorecard, row: str) -> dict[str, Estimate]:
    return score.figures if row == "" else score.baselines[row]


def _role(row: str) -> str:
    return {"": "model", "bayes": "limit"}.get(row, "baseline")


def _headline_row(score: Scorecard, row: str, model: str) -> TableRow:
    figures, gains = _figures(score, row), score.gains.get(row, {})
    cells = []
    for name in ("accuracy", "log_loss"):
        gain = gains.get(name)
        cells += [cell(figures.get(name), name), _gain(gain, name), Cell(p_value(gain.p) if gain else NONE)]
    cells += [cell(figures.get(name), name) for name in ("mcc", "auroc")]
    return TableRow(who(row, model), _role(row), cells)


def _gain(gain: Gain | None, name: str) -> Cell:
    return cell(Estimate(gain.value, gain.low, gain.high) if gain else None, name, signed=True)


def composition(score: Scorecard, model: str) -> list[TableRow]:
    """Will it move and which way, of everyone who says something of it; empty with two classes."""
    names = [f"{part}_{figure}" for part in ("move", "direction") for figure in ("auroc", "accuracy", "mcc")]
    if "move_auroc" not in score.figures:
        return []
    return [
        TableRow(who(row, model), _role(row), [cell(_figures(score, row).get(name), name) for name in names])
        for row in _who(score)
        if any(name in _figures(score, row) for name in names)
    ]


def told_apart(figure: Estimate) -> str:
    """Where an AUC's interval lies against a coin's, in words."""
    if figure.low is None or figure.high is None:
        return "has no interval"
    if figure.low > _COIN:
        return "lies above a coin's 0.5"
    return "lies below a coin's 0.5" if figure.high < _COIN else "holds a coin's 0.5"


def every_figure(scores: Mapping[str, Scorecard]) -> list[RowGroup]:
    """All figures of the model, a row each with a cell per split, by family."""
    known = list(LABELS)
    names = list(dict.fromkeys(name for score in scores.values() for name in score.figures))
    names.sort(key=lambda name: known.index(name) if name in known else len(known))
    groups: dict[str, list[TableRow]] = {family: [] for family in [*_FAMILIES, "others"]}
    for name in names:
        cells = [cell(score.figures.get(name), name) for score in scores.values()]
        groups[_family(name)].append(TableRow(label(name), "model", cells))
    return [RowGroup(family, "", rows) for family, rows in groups.items() if rows]


def _family(name: str) -> str:
    for family, members in _FAMILIES.items():
        if any(name.startswith(member) for member in members):
            return family
    return "others"


def confusion(score: Scorecard) -> list[tuple[str, list[tuple[int, float]]]]:
    """Rows of true classes: name, and for each predicted class the count and its share of the row."""
    return [
        (name, [(n, n / max(sum(row), 1)) for n in row])
        for name, row in zip(score.classes, score.confusion, strict=True)
    ]


def trading(score: Scorecard) -> list[TableRow]:
    """Figures of the portfolio."""
    return [
        TableRow(label(name), "model", [cell(figure, name)])
        for name, figure in score.figures.items()
        if name.startswith("portfolio_")
    ]


def ranking(score: Scorecard) -> list[TableRow]:
    """Mean, standard deviation, IR and t of both information coefficients, as far as they are there."""
    rows = []
    for prefix, name in (("ic", "IC"), ("rank_ic", "rank\N{NO-BREAK SPACE}IC")):
        figures = [f"{prefix}_{figure}" for figure in ("mean", "std", "ir", "t")]
        if figures[0] in score.figures:
            rows.append(TableRow(name, "model", [cell(score.figures.get(figure), figure) for figure in figures]))
    return rows


def members(rows: Sequence[MemberRow], splits: Sequence[str]) -> list[tuple[MemberRow, list[Cell]]]:
    """Of each member accuracy and log-loss, split by split."""
    names = [(split, name) for split in splits for name in ("accuracy", "log_loss")]
    return [(row, [cell(row.figures.get(split, {}).get(name), name) for split, name in names]) for row in rows]


def files(card: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row per file of the data card, everything as text."""
    out = []
    for split, entry in card.get("files", {}).items():
        rows, purged = entry.get("rows"), entry.get("purged", 0)
        classes = ", ".join(f"{name} {n:,}" for name, n in entry.get("classes", {}).items())
        out.append(
            {
                "split": split,
                "rows": NONE if rows is None else f"{rows:,}",
                "purged": f"{purged:,}",
                "periods": _whole(entry.get("periods", entry.get("weeks"))),
                "tickers": _whole(entry.get("tickers")),
                "first": str(entry.get("first", NONE)),
                "last": str(entry.get("last", NONE)),
                "classes": classes or NONE,
                "file": str(entry.get("file", NONE)),
                "sha256": str(entry.get("sha256", NONE)),
            }
        )
    return out


def _whole(n: Any) -> str:
    return f"{n:,}" if isinstance(n, int) else NONE


def data(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the card says of all files together: name and text."""
    purge = card.get("purge", card.get("purge_weeks"))
    told = {
        "source": card.get("source"),
        "frequency": card.get("frequency"),
        "seed of the world": card.get("seed"),
        "digest of all files": card.get("digest"),
        "protocol": card.get("protocol"),
        "purged between splits": None if purge is None else count(int(purge), "period"),
        "classes": ", ".join(card.get("classes", [])) or None,
        "features": f"{len(card['features'])}: {', '.join(card['features'])}" if card.get("features") else None,
        "notes": "; ".join(card.get("notes", [])) or None,
    }
    return [(name, str(text)) for name, text in told.items() if text is not None]
