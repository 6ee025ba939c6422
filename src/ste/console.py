"""What a person reads at the end of a command."""

from rich.console import Console
from rich.table import Table

from ste.evaluation.scores import Row, SplitScores
from ste.record import TrainResult

_NOTE = {
    "binomial": "binomial: too few weeks to resample; exact, but as if examples were independent, so too narrow",
    "weeks": "95 % intervals resample whole weeks, since the tickers of a week move together",
}


def print_scores(model: str, scores: dict[str, SplitScores]) -> None:
    """One table: each split's model, baselines and limit on the same rows."""
    console = Console(width=None if Console().is_terminal else 100)
    table = Table(title=None, box=None, header_style="bold", pad_edge=False)
    for name in ("split", "examples", "weeks"):
        table.add_column(name, justify="left" if name == "split" else "right")
    table.add_column("what")
    for name in ("accuracy", "95 % interval", "log-loss"):
        table.add_column(name, justify="right")
    for split, scored in scores.items():
        table.add_row(
            split,
            f"{scored.examples:,}",
            f"{scored.weeks:,}",
            f"[bold]{model}[/bold]",
            *(f"[bold]{text}[/bold]" for text in _figures(scored.model)),
        )
        for name, row in scored.company.items():
            label = "Bayes (the most any model could)" if name == "bayes" else name
            table.add_row("", "", "", label, *_figures(row), style="dim")
        table.add_section()
    console.print(table)
    for method in sorted({scored.model.interval.method for scored in scores.values()}):
        console.print(f"[dim]{_NOTE[method]}[/dim]")
    for split, scored in scores.items():
        if split != "train" and "gap_closed" in scored.metrics and scored.model.interval.method == "weeks":
            console.print(
                f"{split}: closes {scored.metrics['gap_closed']:.1%} of the gap between majority and Bayes "
                f"(expected accuracy {scored.metrics['expected_accuracy']:.4f} "
                f"of {scored.metrics['bayes_expected_accuracy']:.4f})"
            )
    console.print()


def _figures(row: Row) -> tuple[str, str, str]:
    star = "*" if row.interval.method == "binomial" else ""
    interval = f"[{row.interval.low:.3f}, {row.interval.high:.3f}]{star}"
    return f"{row.accuracy:.4f}", interval.replace("[", "\\["), "-" if row.log_loss is None else f"{row.log_loss:.4f}"


def print_training(result: TrainResult, store: str) -> None:
    """The end of a training run: scores, then where things are."""
    print_scores(result.model, result.scores)
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"{result.model}, {result.parameters:,} parameters, best of {result.epochs} epochs: number "
        f"{result.best_epoch} (from 0), validation {result.monitor} {result.monitored:.4f}; "
        f"fitted in {result.fit_seconds:.1f} s"
    )
    luck = ": the best of many is partly luck" if result.trials > 1 else ""
    console.print(f"trial {result.trials} on this data in this experiment{luck}")
    console.print(f"files  {result.folder}", markup=False)  # a folder's name may look like markup
    if result.run_id:
        console.print(f"run    {result.run_id}")
        console.print(f"UI     python -m ste.ui, or make ui   (store {store})", markup=False)


def differences(scores: dict[str, SplitScores], tracked: dict[str, float], prefixes: dict[str, str]) -> list[str]:
    """Figures that are not the tracked ones to the last digit, each in words; a missing one counts."""
    off = []
    for split, scored in scores.items():
        for name, value in scored.metrics.items():
            before = tracked.get(f"{prefixes[split]}/{name}")
            if before != value:
                off.append(f"{split} {name}: tracked {before}, now {value}")
    return off
