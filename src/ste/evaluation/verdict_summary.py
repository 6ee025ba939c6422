"""The summary of a verdict: one sentence, then what the model beats, by how much, and what the score is made of."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ste.evaluation.scorecard import Scorecard
from ste.evaluation.significance import GUESSES, TESTED, Comparison
from ste.evaluation.verdict_text import auc, corrected_side, count, estimate, gain_text, p_text, percent

if TYPE_CHECKING:
    from ste.evaluation.verdict import Verdict

SYNTHETIC = "On synthetic data, "
"""Start of the first sentence where the rows are of a synthetic market."""

_DIRECTION = {
    "above": "Direction is predicted better than by chance",
    "within": "Direction is indistinguishable from chance",
    "below": "Direction is predicted worse than by chance",
}
_MOVE_AND_DIRECTION = {
    ("above", True): "Movement and direction are both predicted better than by chance",
    ("above", False): "Direction is predicted better than by chance, movement is not",
    ("within", True): "Most of the score is volatility, not direction",
    ("within", False): "Movement and direction are both indistinguishable from chance",
    ("below", True): "The score is volatility, and direction is predicted worse than by chance",
    ("below", False): "Direction is predicted worse than by chance, and movement is indistinguishable from chance",
}


def headline(card: Scorecard, model: str, verdict: "Verdict", *, synthetic: bool) -> str:
    """The verdict in one sentence, which names synthetic data.

    Args:
        card: scores of the split.
        model: name to print.
        verdict: its level and comparisons.
        synthetic: the rows are of a synthetic market.
    """
    where = SYNTHETIC if synthetic else ""
    if verdict.word == "inconclusive":
        few = f"{count(card.periods, card.unit)} {'is' if card.periods == 1 else 'are'} too few to judge {model}."
        return f"{where}{few}"
    return f"{where}{model} {_level(card, verdict)}."


def _level(card: Scorecard, verdict: "Verdict") -> str:
    guess = next((name for name in card.identical if name in GUESSES), None)
    if guess:
        return f"equals the {guess} baseline, so it is not better than guessing"
    if verdict.word == "better":
        return "is better than every baseline"
    if verdict.word == "not better":
        return "is not better than guessing"
    if card.identical:
        return f"equals the {join(card.identical)} baseline, which is better than guessing"
    if verdict.best and verdict.best.worse:
        return f"is better than guessing, but worse than the {verdict.best.worse[1]} baseline"
    trained = any(name not in GUESSES for name in card.gains)
    rest = ", but not better than every trained baseline" if trained else "; there is no trained baseline to compare"
    return f"is better than guessing{rest}"


def points(card: Scorecard, split: str, verdict: "Verdict", trials: int) -> list[str]:
    """Sentences on what the model beats, by how much and how surely, what the score is made of, and what is wrong.

    Args:
        card: scores of the split.
        split: name to print.
        verdict: its level, comparisons and suspicions.
        trials: number of runs on the same data.
    """
    best = verdict.best
    score = f"Accuracy on {split} is {estimate(card.figures['accuracy'], percent, ' %')}"
    if best is None:
        return [f"{score}.", "There is no baseline to compare it with.", *_never(card), *verdict.suspicions]
    other = "other " if card.identical else ""
    against = f"the best {other}baseline, {best.baseline} ({percent(best.accuracy)} %)"
    if verdict.word == "inconclusive":
        few = (
            f"Labels over several {card.unit}s overlap, so that the interval counts one example per label's span."
            if best.gain.low is None
            else f"The examples of one {card.unit} move together, so this interval is too narrow."
        )
        return [f"{score}; {against} is not compared.", few, *_never(card)]
    difference = f"{gain_text(best.gain, percent, ' points')} against {against}; {_significance(best)}"
    return [
        _beaten(best),
        f"{score}, {difference}.",
        *_composition(card, trials),
        *_never(card),
        *verdict.suspicions,
    ]


def join(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _beaten(best: Comparison) -> str:
    if not best.unbeaten:
        return f"It is significantly better than {join(best.beaten)}."
    if not best.beaten:
        return f"It is not significantly better than {join(best.unbeaten)}."
    return f"It is significantly better than {join(best.beaten)}, not than {join(best.unbeaten)}."


def _significance(best: Comparison) -> str:
    """The p-value of the level, with the metric and the baseline that it is of."""
    metric = "" if best.figure == "accuracy" else f" by {TESTED.get(best.figure, best.figure)}"
    over = "" if best.hardest == best.baseline else f" over {best.hardest}"
    return f"corrected p {p_text(best.corrected)}{metric}{over}"


def _composition(card: Scorecard, trials: int) -> list[str]:
    move, direction = card.figures.get("move_auroc"), card.figures.get("direction_auroc")
    if direction is None:
        return []
    way = f"direction AUC {estimate(direction, auc)}"
    side = corrected_side(card, "direction_auroc", trials)
    if move is None:
        return [f"{_DIRECTION[side]}: {way}."]
    text = _MOVE_AND_DIRECTION[side, corrected_side(card, "move_auroc", trials) == "above"]
    return [f"{text}: movement AUC {auc(move.value)}, {way}."]


def _never(card: Scorecard) -> list[str]:
    """Name the classes that the model never predicts, and a baseline that predicts the same classes."""
    same = [name for name in card.same_classes if name not in card.identical]
    never = card.never_predicted
    if same:
        return [f"It predicts the same class as {join(same)} on every row."]
    return [f"It never predicts {' or '.join(never)}."] if never else []
