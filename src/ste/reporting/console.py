"""Tables and sentences that commands print, for a terminal of 80 columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.verdict import Verdict
from ste.reporting.formatting import cell, count, label, number, ordered, short_id, who

WIDTH = 80
"""Columns of output that goes to no terminal."""

_NOTE = {
    "binomial": "* exact binomial: too few {unit}s to resample; too narrow, unless labels overlap",
    "bootstrap": "95 % intervals resample whole {unit}s, since the tickers of a {unit} move together.",
}
_IN_SCORES = ("accuracy", "mcc", "log_loss")
_IN_PAGE = tuple(
    f"portfolio_{name}"
    for name in (
        *("sortino", "calmar", "value_at_risk", "expected_shortfall", "profit_factor", "time_in_market"),
        *("exposure", "alpha", "beta"),
    )
)
"""Figures of the tear sheet, which the page and `summary.json` have."""

_MAX_NAME = 28


def console() -> Console:
    """Return a console of the terminal's width, or of 80 columns where the output is no terminal."""
    return Console(width=None if Console().is_terminal else WIDTH, highlight=False)


def plain_table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """Return a table without lines, whose cells are not broken.

    Args:
        columns: headings; `""` for none.
        numbers: those of columns that are aligned to the right.
    """
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), show_header=any(columns))
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True, overflow="ellipsis")
    return table


def print_scores(model: str, scores: Mapping[str, Scorecard]) -> None:
    """Print the model next to its baselines and the Bayes optimum, and the model on the other splits.

    Args:
        model: name to print.
        scores: by split; the baselines are shown for `test`, or for the last split without it.
    """
    out = console()
    columns = ("accuracy", "95 % interval", "MCC", "log-loss")
    table = plain_table("model", *columns, numbers=columns)
    main = "test" if "test" in scores else list(scores)[-1]
    for split in sorted(scores, key=lambda name: name != main):
        card = scores[split]
        rows = f"{count(card.examples, 'example')}, {count(card.periods, card.unit)}"
        table.add_row(Text(f"{split}: {rows}", "dim"))
        own = _row(card.figures, card.method)
        table.add_row(*(Text(text, "bold") for text in (f"  {model:.{_MAX_NAME}}", *own)))
        for name, figures in card.baselines.items() if split == main else ():
            shown = "Bayes (optimum)" if name == "bayes" else who(name, model)
            table.add_row(Text(f"  {shown}"), *map(Text, _row(figures, card.method)), style="dim")
    out.print(table)
    for split, card in scores.items():
        if card.sample:
            out.print(f"{split}: scored on {card.examples:,} {card.sample.text}", style="dim")
    for method in sorted({card.method for card in scores.values()}):
        out.print(_NOTE[method].format(unit=scores[main].unit), style="dim")
    out.print()


def _row(figures: Mapping[str, Estimate], method: str) -> tuple[str, ...]:
    accuracy = cell(figures.get("accuracy"), "accuracy")
    others = [cell(figures.get(name), name).text for name in ("mcc", "log_loss")]
    return accuracy.text, accuracy.interval + "*" * (method == "binomial"), *others


def print_composition(scores: Mapping[str, Scorecard]) -> None:
    """Print every metric of the splits outside training with its interval, one column per split."""
    cards = {split: card for split, card in scores.items() if split != "train"}
    if not cards:
        return
    table = plain_table("metric", *cards)
    for name in ordered(name for card in cards.values() for name in card.figures if name not in _IN_SCORES + _IN_PAGE):
        cells = [cell(card.figures.get(name), name) for card in cards.values()]
        table.add_row(label(name), *(Text(f"{one.text} {one.interval}") for one in cells))
    out = console()
    out.print(table)
    out.print()


def print_portfolio(scores: Mapping[str, Scorecard], *, synthetic: bool) -> None:
    """Print how the portfolio of the main split trades, and its Sharpe ratio; nothing without a portfolio.

    Args:
        scores: by split.
        synthetic: whether the rows are of a synthetic market.
    """
    card = scores["test" if "test" in scores else list(scores)[-1]]
    if card.portfolio is None:
        return
    out, portfolio = console(), card.portfolio
    sharpe = card.figures.get("portfolio_sharpe")
    before = portfolio.same_close_sharpe
    change = "" if before is None else f"{number(before, 'portfolio_sharpe')} at the same close → "
    text = f"Sharpe ratio {change}{cell(sharpe, 'portfolio_sharpe').text}" if sharpe else "no position"
    text += " (artificial: synthetic market)" if synthetic else ""
    out.print(f"portfolio: {portfolio.name}, enters at {portfolio.entry}, costs {portfolio.costs_text}:", style="dim")
    out.print(text, style="dim")
    for note in portfolio.notes:
        out.print(note, style="dim")
    out.print()


def print_verdict(verdict: Verdict) -> None:
    """Print the headline and the points of a verdict."""
    out = console()
    out.print(Text(verdict.headline, "bold"))
    for point in verdict.points:
        out.print(Text(point))
    out.print()


def print_text(*paragraphs: str) -> None:
    """Print paragraphs, each on lines of its own, and an empty line."""
    out = console()
    for text in paragraphs:
        out.print(Text(text))
    out.print()


def print_run(lines: Sequence[str], folder: Path, run_id: str | None) -> None:
    """Print the end of a command that made a run: facts of the run, where its files are, and what to type next.

    Args:
        lines: facts, a sentence each.
        folder: of the run's files.
        run_id: MLflow's; None where tracking is off.
    """
    out = console()
    for line in lines:
        out.print(Text(line))
    print_places({"files": short_path(folder)} | ({"run": run_id} if run_id else {}))
    if run_id:
        short = short_id(run_id)
        print_next(
            {
                f"python -m ste.report run={short}": "every score and chart, as a page",
                "python -m ste.compare": "all runs, best first",
                "python -m ste.ui": "the runs in MLflow",
                f"python -m ste.export run={short}": "one file for predict and serve",
            }
        )


def short_path(path: Path) -> str:
    """A path below the current folder relative to it, any other as it is."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def print_places(places: Mapping[str, str]) -> None:
    """Print paths and IDs, each in one line that can be copied."""
    out = Console(soft_wrap=True, highlight=False, markup=False)  # the name of a folder may look like markup
    for name, place in places.items():
        out.print(f"{name:<6} {place}")


def print_next(commands: Mapping[str, str]) -> None:
    """Print commands to type next, each with what it does."""
    out = console()
    out.print()
    out.print("Next:", style="bold")
    table = plain_table("", "")
    table.columns[0].min_width = max(map(len, commands))  # a command is never shortened
    for command, effect in commands.items():
        table.add_row(command, Text(effect, "dim"))
    out.print(Padding(table, (0, 0, 0, 2)))
