"""What a person reads at the end of a command."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ste.ensembles.combine import EnsembleResult
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.verdict import Verdict
from ste.experiment.artifacts import TrainResult
from ste.schema import CLASS_NAMES
from ste.seed_ensembles.replica_scores import ReplicaScores

_NOTE = {
    "binomial": "*exact binomial: too few {unit}s to resample; takes examples for independent, so too narrow",
    "bootstrap": "95 % intervals resample whole {unit}s, since the tickers of a {unit} move together",
}
_ANATOMY = {
    "will it move": (("AUC", "move_auroc"), ("accuracy", "move_accuracy"), ("MCC", "move_mcc")),
    "which way": (("AUC", "direction_auroc"), ("accuracy", "direction_accuracy"), ("MCC", "direction_mcc")),
    "all classes": (
        ("balanced accuracy", "balanced_accuracy"),
        ("precision", "precision"),
        ("recall", "recall"),
        ("F1", "f1"),
        ("AUROC", "auroc"),
    ),
    **{
        name: (("precision", f"precision_{name}"), ("recall", f"recall_{name}"), ("F1", f"f1_{name}"))
        for name in map(str.lower, CLASS_NAMES)
    },
    "probabilities": (("Brier", "brier"), ("calibration error", "calibration_error")),
    "ranking": (
        ("IC", "ic_mean"),
        ("its deviation", "ic_std"),
        ("its IR", "ic_ir"),
        ("its t", "ic_t"),
        ("rank IC", "rank_ic_mean"),
        ("its deviation", "rank_ic_std"),
        ("its IR", "rank_ic_ir"),
        ("its t", "rank_ic_t"),
    ),
    "portfolio": (
        ("return a year", "book_annual_return"),
        ("volatility a year", "book_volatility"),
        ("Sharpe", "book_sharpe"),
        ("drawdown", "book_max_drawdown"),
        ("turnover", "book_turnover"),
        ("hit rate", "book_hit_rate"),
    ),
}


def _console() -> Console:
    return Console(width=None if Console().is_terminal else 100, highlight=False)


def print_scores(model: str, scores: dict[str, Scorecard]) -> None:
    """One table: each split's model, baselines and limit on the same rows."""
    console = _console()
    unit = next(iter(scores.values())).unit
    table = Table(title=None, box=None, header_style="bold", pad_edge=False)
    for name in ("split", "examples", f"{unit}s"):
        table.add_column(name, justify="left" if name == "split" else "right")
    table.add_column("what")
    for name in ("accuracy", "95 % interval", "MCC", "log-loss"):
        table.add_column(name, justify="right")
    for split, card in scores.items():
        head = (split, f"{card.examples:,}", f"{card.periods:,}")
        table.add_row(*head, Text(model, "bold"), *(Text(text, "bold") for text in _row(card.figures, card.method)))
        for name, figures in card.company.items():
            label = "Bayes (the limit)" if name == "bayes" else name
            table.add_row("", "", "", label, *map(Text, _row(figures, card.method)), style="dim")
        table.add_section()
    console.print(table)
    for split, card in scores.items():
        if card.sample:
            console.print(f"{split}: scored on {card.examples:,} {card.sample.text}", style="dim")
    for method in sorted({card.method for card in scores.values()}):
        console.print(_NOTE[method].format(unit=unit), style="dim")
    console.print()


def _row(figures: dict[str, Estimate], method: str) -> tuple[str, ...]:
    accuracy = figures["accuracy"]
    values = [f"{figures[name].value:.4f}" if name in figures else "-" for name in ("mcc", "log_loss")]
    return f"{accuracy.value:.4f}", _interval(accuracy) + "*" * (method == "binomial"), *values


def _interval(figure: Estimate) -> str:
    return "-" if figure.low is None or figure.high is None else f"[{figure.low:.3f}, {figure.high:.3f}]"


def print_anatomy(scores: dict[str, Scorecard]) -> None:
    """What the scores outside training are made of, each figure with its interval, a column for each split."""
    cards = {split: card for split, card in scores.items() if split != "train"}
    if not cards:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("what it is made of")
    table.add_column("")
    for split in cards:
        table.add_column(split)
    for title, names in _ANATOMY.items():
        known = [(word, name) for word, name in names if any(name in card.figures for card in cards.values())]
        for i, (word, name) in enumerate(known):
            values = [_value(card.figures.get(name)) for card in cards.values()]
            table.add_row("" if i else title, word, *map(Text, values))
    console = _console()
    console.print(table)
    card = next(iter(cards.values()))
    if card.book:
        kind = card.book.kind.replace("_", "-")
        console.print(f"portfolio: {kind}, {card.book.cost_bps:g} basis points a trade", style="dim")
    console.print()


def _value(figure: Estimate | None) -> str:
    if figure is None:
        return "-"
    return f"{figure.value:7.3f}  {_interval(figure)}" if figure.low is not None else f"{figure.value:7.3f}"


def print_verdict(verdict: Verdict) -> None:
    """The verdict in plain words."""
    _console().print(Text(f"Verdict: {verdict.word}. ", "bold").append(verdict.paragraph, "not bold"))
    print()


def print_training(result: TrainResult, store: str) -> None:
    """The end of a training run: scores, verdict, then where things are."""
    print_scores(result.model, result.scores)
    print_verdict(result.verdict)
    console = Console(soft_wrap=True, highlight=False)
    trained = f"best of {result.epochs} epochs: number {result.best_epoch} (from 0), " if result.epochs else ""
    if result.replicas is not None:
        trained = f"{result.epochs} epochs, each replica kept at its own best, "
    if result.validation != "holdout":
        trained = f"{result.validation.replace('_', '-')}, "
    console.print(
        f"{result.model}, {result.parameters:,} parameters, {trained}validation {result.monitor} "
        f"{result.monitored:.4f}; fitted in {result.fit_seconds:.1f} s"
    )
    if result.replicas is not None:
        console.print(_replicas(result.replicas, result.scores))
    luck = ": the best of many is partly luck" if result.trials > 1 else ""
    console.print(f"trial {result.trials} on this data in this experiment{luck}")
    console.print(f"files  {result.folder}", markup=False)  # a folder's name may look like markup
    if result.run_id:
        console.print(f"run    {result.run_id}")
        console.print(f"page   python -m ste.report run={result.run_id}")
        console.print(f"UI     python -m ste.ui, or make ui   (store {store})", markup=False)


def print_ensemble(result: EnsembleResult) -> None:
    """The end of making an ensemble: scores beside its members, the gain over the best one, verdict, where it is."""
    print_scores(result.model, result.beside)
    console = _console()
    console.print(Text(result.told))
    console.print()
    print_verdict(result.verdict)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"trial {result.trials} on this data in this experiment, its members among them")
    console.print(f"files  {result.folder}", markup=False)
    console.print(f"run    {result.run_id}")
    console.print(f"page   python -m ste.report run={result.run_id}")


def _replicas(replicas: ReplicaScores, scores: dict[str, Scorecard]) -> str:
    """What a seed is worth, what it makes of luck, and what all of them say together."""
    split = "test" if "test" in scores else "validation"
    mean, deviation = replicas.spread(split, "accuracy")
    together = scores[split].metrics["accuracy"]
    return (
        f"{len(replicas.seeds)} replicas: {split} accuracy {mean:.4f} ± {deviation:.4f} over seeds; "
        f"the ensemble {together:.4f}"
    )


def differences(now: dict[str, float], tracked: dict[str, float], prefixes: dict[str, str]) -> list[str]:
    """Figures that are not the tracked ones to the last digit, each in words; a missing one counts."""
    splits = {prefix: split for split, prefix in prefixes.items()}
    off = []
    for name, value in now.items():
        prefix, figure = name.split("/")
        if tracked.get(name) != value:
            off.append(f"{splits[prefix]} {figure}: tracked {tracked.get(name)}, now {value}")
    return off
