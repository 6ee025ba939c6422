"""The sentences of a verdict."""

import math
from collections.abc import Callable

from ste.evaluation.overfitting import DeflatedSharpe, Overfitting
from ste.evaluation.scorecard import Estimate, Gain, Scorecard
from ste.evaluation.significance import ALPHA, FIGURES, Comparison, Trials, sidak

# Above these, weekly figures of real markets were leaks whenever they were looked into (docs/results.md).
SUSPECT_ACCURACY = 0.46
SUSPECT_LEAD = 0.08  # over majority: where one class is most rows, 46 % is nothing
SUSPECT_DIRECTION = 0.57

_COIN = 0.5
_AUDIT = "suspect a leak and run python -m ste.audit"


def number(value: float, digits: int = 4) -> str:
    """Fixed digits, without a negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(value: float) -> str:
    """A share with one decimal, without the sign."""
    return number(100 * value, 1)


def chance(p: float) -> str:
    """A p-value as `= 0.0123`, or as below what four digits show."""
    return "< 0.0001" if p < 0.0001 else f"= {p:.4f}"


def estimate(figure: Estimate, form: Callable[[float], str], unit: str = "") -> str:
    """A figure with its unit and, where it has one, its interval."""
    if figure.low is None or figure.high is None:
        return form(figure.value) + unit
    return f"{form(figure.value)}{unit} [{form(figure.low)}, {form(figure.high)}]"


def sentences(
    card: Scorecard,
    model: str,
    split: str,
    word: str,
    guessing: Comparison | None,
    best: Comparison | None,
    trials: Trials,
    sharpe: DeflatedSharpe | None,
    overfitting: Overfitting | None,
) -> list[str]:
    """What a verdict says, from what was scored to the known limit; warnings not included."""
    scored = (
        f"{model} scored {estimate(card.figures['accuracy'], percent, ' %')} accuracy on the {split} split: "
        f"{_count(card.examples, 'example')} of {_count(card.periods, card.unit)}"
        f"{f' ({card.sample.text})' if card.sample else ''}."
    )
    if word == "inconclusive":
        return [scored, *_too_few(card, best)]
    return [
        scored,
        *_levels(word, guessing, best, card.identical),
        *_correction(best, trials),
        *_composition(card, trials.count),
        *_portfolio(card, sharpe, overfitting),
        *_limit(card),
    ]


def suspicions(card: Scorecard) -> list[str]:
    """Scores too good to be true, where no known world says how good they may be.

    A figure must be above its bound and surely not luck: few weeks reach any figure.
    """
    if "bayes" in card.baselines or card.method == "binomial":
        return []
    found = []
    lead = card.gains.get("majority", {}).get("accuracy")
    accuracy, direction = card.figures["accuracy"].value, card.figures.get("direction_auroc")
    weekly = card.unit == "week" and len(card.classes) == 3
    if weekly and accuracy > SUSPECT_ACCURACY and lead and lead.value > SUSPECT_LEAD and lead.low > 0:
        found.append(
            f"An accuracy of {percent(accuracy)} % is above the {percent(SUSPECT_ACCURACY)} % that honest "
            f"models of real weeks reach: {_AUDIT}."
        )
    if direction and direction.value > SUSPECT_DIRECTION and _side(direction) == "above":
        found.append(
            f"A which-way AUC of {number(direction.value, 3)} is above the {SUSPECT_DIRECTION} that honest "
            f"models of real markets reach: {_AUDIT}."
        )
    return found


def _too_few(card: Scorecard, best: Comparison | None) -> list[str]:
    out = [
        f"Whether that is better than guessing is inconclusive: {_count(card.periods, card.unit)} "
        f"{'is' if card.periods == 1 else 'are'} too few to resample, and the examples of one {card.unit} move "
        "together, so the interval is too narrow."
    ]
    return [*out, f"The best baseline, {best.baseline}, has {percent(best.accuracy)} % on them."] if best else out


def _levels(word: str, guessing: Comparison | None, best: Comparison | None, identical: tuple[str, ...]) -> list[str]:
    if best is None:
        return ["There is no baseline to set beside it, so it is not known to be better than anything."]
    out = []
    if guessing:
        does, whose = "is" if guessing.holds else "is not surely", f"{guessing.baseline}'s"
        out.append(f"That {does} better than guessing: {_against(guessing, whose)}.")
    if identical:
        names = " and ".join(identical)
        out.append(f"It is identical to the {names} baseline, so it is not better than every baseline.")
    other = " other" if identical else ""
    if guessing is None or best.baseline != guessing.baseline:
        does = "is" if best.holds else "is not surely"
        out.append(f"It {does} better than the best{other} baseline, {best.baseline}: {_against(best, 'its')}.")
    elif word == "better" or (identical and best.holds):
        out.append(f"It is better than every{other} learned baseline, none of which does better than {best.baseline}.")
    elif guessing.holds:
        out.append(f"It is not surely better than every{other} learned baseline: {_p(best)}.")
    return out


def _against(against: Comparison, whose: str) -> str:
    points = _gain(against.gain, percent, " points")
    loss = "" if against.log_loss is None else f", log-loss gain {_gain(against.log_loss, number, '')}"
    return f"{points} on {whose} {percent(against.accuracy)} %{loss}, {_p(against)}"


def _gain(gain: Gain, form: Callable[[float], str], unit: str) -> str:
    """A difference with its sign and its interval."""
    value = form(gain.value)
    sign = "" if value.startswith("-") else "+"
    return f"{sign}{value}{unit} [{form(gain.low)}, {form(gain.high)}]"


def _p(against: Comparison) -> str:
    figure = FIGURES.get(against.figure, against.figure)
    over = "" if against.hardest == against.baseline else f", over {against.hardest}, the least clear"
    corrected = chance(against.corrected).removeprefix("= ")
    said = f"p {chance(against.p)}, corrected {corrected} (by {figure}{over})"
    if against.worse is None or against.corrected > ALPHA:
        return said
    lost, whose = against.worse
    return f"{said}, but its {FIGURES.get(lost, lost)} is surely worse than {whose}'s"


def _correction(best: Comparison | None, trials: Trials) -> list[str]:
    if best is None:
        return []
    *others, last = FIGURES.values()
    looks = f"{', '.join(others)} and {last}"
    if trials.count == 1:
        said = (
            f"It is the only trial on this data in this experiment; p is corrected (Sidak) for looking at {looks}, "
            f"and {ALPHA} or less counts."
        )
    else:
        said = (
            f"p is corrected (Sidak) for {trials.count} trials on this data in this experiment and for looking at "
            f"{looks}, and {ALPHA} or less counts; trials resemble each other, so the correction is conservative."
        )
    if not trials.elsewhere:
        return [said]
    noun, were = ("run", "was") if trials.elsewhere == 1 else ("runs", "were")
    return [
        said,
        f"{trials.elsewhere} more {noun} of the experiment {were} made on other tables and not corrected for.",
    ]


def _composition(card: Scorecard, trials: int) -> list[str]:
    move, direction = card.figures.get("move_auroc"), card.figures.get("direction_auroc")
    if direction is None:
        return []
    way = f"which way AUC {estimate(direction, _auc)}"
    told = _told(card, "direction_auroc", trials)
    if move is None:
        says = {
            "above": "direction is told",
            "within": "direction is not told apart from a coin's",
            "below": "direction is told worse than by a coin",
        }[told]
        return [f"What it is made of: {way}; {says}."]
    moves = _told(card, "move_auroc", trials) == "above"
    says = {
        ("above", True): "both are told",
        ("above", False): "direction is told, moving is not",
        ("within", True): "most of it is volatility, not direction",
        ("within", False): "neither is told",
        ("below", True): "it is volatility, and direction is told worse than by a coin",
        ("below", False): "direction is told worse than by a coin, and moving is not told",
    }[told, moves]
    return [f"What it is made of: will it move AUC {estimate(move, _auc)}, {way}; {says}{_volatility(card)}."]


def _told(card: Scorecard, name: str, trials: int) -> str:
    """As `_side`; above a coin only if that also survives the correction for trials, as the verdict must."""
    side = _side(card.figures[name])
    gain = card.gains.get("majority", {}).get(name)
    if side == "above" and gain is not None and sidak(gain.p, trials) > ALPHA:
        return "within"
    return side


def _volatility(card: Scorecard) -> str:
    baselines = card.baselines.get("volatility", {})
    if "accuracy" not in baselines:
        return ""
    move = f", will it move {_auc(baselines['move_auroc'].value)}" if "move_auroc" in baselines else ""
    return f" (trailing volatility alone: {percent(baselines['accuracy'].value)} %{move})"


def _portfolio(card: Scorecard, sharpe: DeflatedSharpe | None, overfitting: Overfitting | None) -> list[str]:
    figure = card.figures.get("portfolio_sharpe")
    if card.portfolio is None or sharpe is None or figure is None or not math.isfinite(figure.value):
        return []
    kind = card.portfolio.kind.replace("_", "-")
    luck = f"the {number(sharpe.expected_maximum, 2)} that luck gives the best of {sharpe.trials} trials"
    out = [
        f"A {kind} portfolio of it that pays {card.portfolio.cost_bps:g} basis points has a Sharpe ratio of "
        f"{estimate(figure, lambda x: number(x, 2))} a year; "
        f"its {'probabilistic' if sharpe.trials == 1 else 'deflated'} Sharpe ratio, the confidence that the true one "
        f"is above {'0' if sharpe.trials == 1 else luck}, is {_confidence(sharpe.probability)}."
    ]
    if overfitting:
        out.append(
            f"Over the portfolios of {overfitting.trials} trials the probability of backtest overfitting is "
            f"{percent(overfitting.probability)} % (50 % is luck)."
        )
    return out


def _confidence(p: float) -> str:
    return "above 99.9 %" if p > 0.999 else f"{percent(p)} %"


def _limit(card: Scorecard) -> list[str]:
    if "bayes" not in card.baselines:
        return []
    closed = card.figures.get("gap_closed")
    if closed is None:
        return ["In this synthetic world the features tell too little to change the likeliest class of any row much."]
    return [
        f"In this synthetic world it closes {estimate(closed, percent, ' %')} of the gap in expected accuracy "
        "between majority and Bayes, the most that any model could."
    ]


def _side(figure: Estimate) -> str:
    """Where a figure's interval lies against a coin's 0.5; without one, nothing is told."""
    if figure.low is not None and figure.low > _COIN:
        return "above"
    if figure.high is not None and figure.high < _COIN:
        return "below"
    return "within"


def _auc(value: float) -> str:
    return number(value, 3)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
