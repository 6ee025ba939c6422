"""Print judgements, for a terminal of 80 columns."""

from rich.text import Text

from ste.config.progress import wrapped
from ste.evaluation.scorecard import Estimate
from ste.judging.judgement import Judgement
from ste.judging.paired_scores import PairedScores
from ste.reporting.console import console, plain_table, print_composition, print_portfolio, print_scores, print_verdict
from ste.reporting.formatting import cell, count, label, ordered, p_value

_MAX_NAME = 14


def print_judgement(judgement: Judgement) -> None:
    """Print what was understood of a file, its scores next to the baselines, and the verdict."""
    out = console()
    shape = f" ({judgement.rows.shape})" if judgement.rows.shape else ""
    out.print(Text(f"{judgement.rows.where}{shape}", "bold"), soft_wrap=True)
    for note in [*judgement.rows.notes, *_trials_note(judgement)]:
        out.print(Text(wrapped(note, 2)), soft_wrap=True)
    out.print()
    print_scores(judgement.model, judgement.scores)
    print_composition(judgement.scores)
    print_verdict(judgement.verdict)
    print_portfolio(judgement.scores, synthetic=judgement.predictions.truth is not None)


def _trials_note(judgement: Judgement) -> list[str]:
    if judgement.trials.count > 1:
        return [f"trials: {judgement.trials.count}, for which the verdict is corrected"]
    return ["trials: 1, as none is stated; trials=N corrects for the models that were tried before"]


def print_pair(paired: PairedScores) -> None:
    """Print the differences of two files on their common rows."""
    out = console()
    card = paired.card
    rows = f"{count(card.examples, 'common row')}, {count(card.periods, card.unit)}"
    out.print(Text(f"{paired.first} against {paired.second}: {rows}", "bold"))
    if paired.only_first or paired.only_second:
        alone = f"not common: {paired.only_first:,} rows of {paired.first}, {paired.only_second:,} of {paired.second}"
        out.print(Text(alone), soft_wrap=True)
    names = (f"{paired.first:.{_MAX_NAME}}", f"{paired.second:.{_MAX_NAME}}")
    numbers = (*names, "difference", "95 % interval", "p")
    table = plain_table("metric", *numbers, numbers=numbers)
    gains, theirs = card.gains[paired.second], card.baselines[paired.second]
    for name in ordered(gains):
        gain = gains[name]
        shown = cell(Estimate(gain.value, gain.low, gain.high), name, signed=True)
        own = (cell(Estimate(one[name].value), name).text for one in (card.figures, theirs))
        table.add_row(label(name), *own, shown.text.replace(" points", ""), shown.interval, p_value(gain.p))
    if paired.rank_ic is not None:
        shown = cell(paired.rank_ic, "rank_ic_mean", signed=True)
        table.add_row(label("rank_ic_mean"), "", "", shown.text, shown.interval, "")
    out.print(table)
    out.print(
        Text(
            f"A difference above 0 is in favour of {paired.first}, for losses too; intervals are paired and resample "
            f"whole {card.unit}s, p is one-sided and not corrected.",
            "dim",
        )
    )
    out.print()
