"""What a person reads of a model in use."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ste.evaluation.scorecard import Estimate
from ste.inference.card_metrics import COMPARED_METRICS
from ste.monitoring.drift import LEVELS, Moved
from ste.monitoring.recommendation import RETRAIN, Page

SHOWN = 12
_STYLE = {LEVELS[0]: "dim", LEVELS[1]: "", LEVELS[2]: "yellow", LEVELS[3]: "bold red"}


def print_page(page: Page, console: Console | None = None) -> None:
    """Drift worst first, the score so far, notes, and the verdict."""
    console = console or Console(highlight=False, width=None if Console().is_terminal else 100)
    card = page.card
    console.print(f"[bold]{escape(card.name)}[/] of run {escape(card.run_id)}, version {page.version}", soft_wrap=True)
    console.print(f"trained to {card.trained_to}, looked at {page.since} to {page.until}\n", soft_wrap=True)
    console.print(_drift(page))
    rest = len(page.drift.moved) - SHOWN
    if rest > 0:
        console.print(
            f"[dim]and {rest} more, all {LEVELS[0]} or as chance gives them[/]"
            if _calm(page)
            else f"[dim]and {rest} more[/]"
        )
    console.print(f"\n{escape(page.drift.told)}")
    if page.record is not None:
        console.print()
        console.print(_scores(page))
        console.print(f"\n{escape(page.record.told)}")
    for note in page.notes:
        console.print(f"[dim]note: {escape(note)}[/]")
    style = "bold red" if page.verdict.word == RETRAIN else "bold yellow" if page.verdict.alarm else "bold"
    console.print(f"\n[{style}]Verdict: {page.verdict.word}.[/] {escape(page.verdict.paragraph)}")


def _calm(page: Page) -> bool:
    return not any(one.level in LEVELS[2:] for one in page.drift.moved[SHOWN:])


def _drift(page: Page) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, side in (
        ("watched", "left"),
        ("as", "left"),
        ("PSI", "right"),
        ("by chance", "right"),
        ("outside", "right"),
    ):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    table.add_column("")
    for one in page.drift.moved[:SHOWN]:
        p = "p < 0.001" if one.p < 0.001 else f"p = {one.p:.3f}"
        style = _STYLE[one.level]
        table.add_row(
            _title(one), one.watched, f"{one.psi:.3f}", p, f"{100 * one.outside:.0f} %", one.level, style=style
        )
    return table


def _title(one: Moved) -> str:
    return f"P({one.name})" if one.kind == "probability" else one.name


def _scores(page: Page) -> Table:
    record = page.record
    assert record is not None
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("figure", "so far", record.split, "difference", ""):
        table.add_column(name, no_wrap=True)
    for one in record.compared:
        now, then, gain = _told(one.now), _told(one.then), _told(one.gain, signed=True)
        table.add_row(_figure(one.name), now, then, gain, one.word)
    for name, figures in record.card.baselines.items():
        for figure in COMPARED_METRICS:
            if figure in figures:
                table.add_row(f"of {name}", _told(figures[figure]), "", "", f"[dim]{_figure(figure)}[/]", style="dim")
    return table


def _figure(name: str) -> str:
    return name.replace("_", "-")


def _told(figure: Estimate, *, signed: bool = False) -> str:
    text = f"{figure.value:{'+' if signed else ''}.3f}"
    return text if figure.low is None or figure.high is None else f"{text} [{figure.low:.3f}, {figure.high:.3f}]"
