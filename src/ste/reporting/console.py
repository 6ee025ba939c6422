"""Tables and paragraphs that commands print at the end of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.verdict import Verdict
from ste.reporting.formatting import label, ordered

_NOTE = {
    "binomial": "*exact binomial: too few {unit}s to resample; assumes independent examples, so too narrow",
    "bootstrap": "95 % intervals resample whole {unit}s, since the tickers of a {unit} move together",
}
_IN_SCORES = ("accuracy", "mcc", "log_loss")


def console() -> Console:
    """Return a console of the terminal's width, or of 100 characters where the output is no terminal."""
    return Console(width=None if Console().is_terminal else 100, highlight=False)


def print_scores(model: str, scores: Mapping[str, Scorecard]) -> None:
    """Print one table: the model, the baselines and the Bayes optimum of each split."""
    out = console()
    unit = next(iter(scores.values())).unit
    table = Table(title=None, box=None, header_style="bold", pad_edge=False)
    for name in ("split", "examples", f"{unit}s"):
        table.add_column(name, justify="left" if name == "split" else "right")
    table.add_column("model")
    for name in ("accuracy", "95 % interval", "MCC", "log-loss"):
        table.add_column(name, justify="right")
    for split, card in scores.items():
        head = (split, f"{card.examples:,}", f"{card.periods:,}")
        table.add_row(*head, Text(model, "bold"), *(Text(text, "bold") for text in _row(card.figures, card.method)))
        for name, figures in card.baselines.items():
            label = "Bayes (optimum)" if name == "bayes" else name
            table.add_row("", "", "", label, *map(Text, _row(figures, card.method)), style="dim")
        table.add_section()
    out.print(table)
    for split, card in scores.items():
        if card.sample:
            out.print(f"{split}: scored on {card.examples:,} {card.sample.text}", style="dim")
    for method in sorted({card.method for card in scores.values()}):
        out.print(_NOTE[method].format(unit=unit), style="dim")
    out.print()


def _row(figures: dict[str, Estimate], method: str) -> tuple[str, ...]:
    accuracy = figures["accuracy"]
    values = [f"{figures[name].value:.4f}" if name in figures else "-" for name in ("mcc", "log_loss")]
    return f"{accuracy.value:.4f}", _interval(accuracy) + "*" * (method == "binomial"), *values


def _interval(figure: Estimate) -> str:
    return "-" if figure.low is None or figure.high is None else f"[{figure.low:.3f}, {figure.high:.3f}]"


def print_composition(scores: Mapping[str, Scorecard]) -> None:
    """Print every metric of the splits outside training with its interval, one column per split."""
    cards = {split: card for split, card in scores.items() if split != "train"}
    if not cards:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("composition", *cards):
        table.add_column(name)
    for name in ordered(name for card in cards.values() for name in card.figures if name not in _IN_SCORES):
        table.add_row(label(name), *(Text(_value(card.figures.get(name))) for card in cards.values()))
    out = console()
    out.print(table)
    card = next(iter(cards.values()))
    if card.portfolio:
        kind = card.portfolio.kind.replace("_", "-")
        out.print(f"portfolio: {kind}, {card.portfolio.cost_bps:g} basis points a trade", style="dim")
    out.print()


def _value(figure: Estimate | None) -> str:
    if figure is None:
        return "-"
    return f"{figure.value:7.3f}  {_interval(figure)}" if figure.low is not None else f"{figure.value:7.3f}"


def print_verdict(verdict: Verdict) -> None:
    """Print the verdict."""
    console().print(Text(f"Verdict: {verdict.word}. ", "bold").append(verdict.paragraph, "not bold"))
    print()


def print_text(text: str) -> None:
    """Print a paragraph and an empty line."""
    out = console()
    out.print(Text(text))
    out.print()


def print_run(lines: Sequence[str], folder: Path, run_id: str | None, store: str | None = None) -> None:
    """Print the end of a command that made a run: facts of the run, and where its results are.

    Args:
        lines: facts, one line each.
        folder: of the run's files.
        run_id: MLflow's; None where tracking is off.
        store: address of the tracking store, printed with the command of the UI; None omits that line.
    """
    out = Console(soft_wrap=True, highlight=False)
    for line in lines:
        out.print(Text(line))
    out.print(f"files  {folder}", markup=False)  # the name of a folder may look like markup
    if run_id:
        out.print(f"run    {run_id}")
        out.print(f"page   python -m ste.report run={run_id}")
        if store is not None:
            out.print(f"UI     python -m ste.ui, or make ui   (store {store})", markup=False)
