"""The details of a verdict in sentences, and the formats of its numbers."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ste.evaluation.scorecard import Estimate, Gain, Scorecard
from ste.evaluation.significance import ALPHA, GUESSES, TESTED, Comparison, Trials, sidak

if TYPE_CHECKING:
    from ste.evaluation.verdict import Verdict

# Weekly scores of real markets above these bounds were leaks whenever they were examined (docs/results.md).
SUSPECT_ACCURACY = 0.46
SUSPECT_LEAD = 0.08  # over majority: where most rows are of one class, 46 % is easy
SUSPECT_DIRECTION = 0.57

ARTIFICIAL = (
    "The portfolio's figures are artificial: the signal of a synthetic market is far stronger than a real one's."
)
"""What a portfolio on synthetic rows is worth."""

_CHANCE = 0.5  # AUC of a predictor without skill
_AUDIT = "suspect a leak and run python -m ste.audit"


def number(value: float, digits: int = 4) -> str:
    """Fixed digits, without a negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(value: float) -> str:
    """A fraction as percent with one decimal, without the sign."""
    return number(100 * value, 1)


def p_text(p: float) -> str:
    """A p-value as `= 0.0123`, or `< 0.0001`."""
    return "< 0.0001" if p < 0.0001 else f"= {p:.4f}"


def estimate(figure: Estimate, form: Callable[[float], str], unit: str = "") -> str:
    """A metric with its unit and, where it has one, its interval."""
    if figure.low is None or figure.high is None:
        return form(figure.value) + unit
    return f"{form(figure.value)}{unit} [{form(figure.low)}, {form(figure.high)}]"


def details(card: Scorecard, verdict: "Verdict", trials: Trials, *, synthetic: bool) -> list[str]:
    """Sentences that a summary leaves out: the rows, every comparison, the correction, the portfolio and the optimum.

    Args:
        card: scores of the split.
        verdict: its level and comparisons.
        trials: runs on the same data.
        synthetic: the rows are of a synthetic market.
    """
    sample = f" ({card.sample.text})" if card.sample else ""
    rows = f"Scored are {count(card.examples, 'example')} of {count(card.periods, card.unit)}{sample}."
    if verdict.word == "inconclusive":
        few = f"{count(card.periods, card.unit)} {'is' if card.periods == 1 else 'are'} too few to resample."
        return [rows, few]
    return [
        rows,
        *_levels(verdict, card.identical),
        *_correction(card, verdict.best, trials),
        *_volatility(card),
        *_portfolio(card, verdict, synthetic=synthetic),
        *_bayes(card),
    ]


def suspicions(card: Scorecard) -> list[str]:
    """Sentences about scores that are too good to be true; none where the Bayes optimum is known.

    A metric must exceed its bound and be significantly above chance, since a few weeks reach any value by luck.
    """
    if "bayes" in card.baselines or card.method == "binomial":
        return []
    out = []
    lead = card.gains.get("majority", {}).get("accuracy")
    accuracy, direction = card.figures["accuracy"].value, card.figures.get("direction_auroc")
    weekly = card.unit == "week" and len(card.classes) == 3
    if weekly and accuracy > SUSPECT_ACCURACY and lead and lead.value > SUSPECT_LEAD and lead.above:
        out.append(
            f"An accuracy of {percent(accuracy)} % is above the {percent(SUSPECT_ACCURACY)} % that honest "
            f"models of real weeks reach: {_AUDIT}."
        )
    if direction and direction.value > SUSPECT_DIRECTION and against_chance(direction) == "above":
        out.append(
            f"A direction AUC of {number(direction.value, 3)} is above the {SUSPECT_DIRECTION} that honest "
            f"models of real markets reach: {_AUDIT}."
        )
    return out


def against_chance(figure: Estimate) -> str:
    """Where the interval of an AUC lies relative to 0.5: `above`, `below` or `within`; `within` without one."""
    if figure.low is not None and figure.low > _CHANCE:
        return "above"
    if figure.high is not None and figure.high < _CHANCE:
        return "below"
    return "within"


def _levels(verdict: "Verdict", identical: tuple[str, ...]) -> list[str]:
    guessing, best = verdict.guessing, verdict.best
    if best is None:
        return []
    out = []
    if guessing:
        verb, whose = "is" if guessing.holds else "is not significantly", f"{guessing.baseline}'s"
        out.append(f"It {verb} better than guessing: {_against(guessing, whose)}.")
    if identical:
        names = " and ".join(identical)
        out.append(f"It is identical to the {names} baseline, so it is not better than every baseline.")
    other = " other" if identical else ""
    if guessing is None or best.baseline != guessing.baseline:
        verb = "is" if best.holds else "is not significantly"
        out.append(f"It {verb} better than the best{other} baseline, {best.baseline}: {_against(best, 'its')}.")
    elif verdict.word == "better" or (identical and best.holds):
        out.append(f"It is better than every{other} trained baseline; none has a higher accuracy than {best.baseline}.")
    elif guessing.holds and any(name not in GUESSES for name in (*best.beaten, *best.unbeaten)):
        out.append(f"It is not significantly better than every{other} trained baseline: {_p_values(best)}.")
    return out


def _against(against: Comparison, whose: str) -> str:
    points = gain_text(against.gain, percent, " points")
    loss = "" if against.log_loss is None else f", log-loss gain {gain_text(against.log_loss, number, '')}"
    return f"{points} on {whose} {percent(against.accuracy)} %{loss}, {_p_values(against)}"


def gain_text(gain: Gain, form: Callable[[float], str], unit: str) -> str:
    """A difference with its sign and, where it has one, its interval."""
    text = estimate(Estimate(gain.value, gain.low, gain.high), form, unit)
    return text if text.startswith("-") else f"+{text}"


def _p_values(against: Comparison) -> str:
    metric = TESTED.get(against.figure, against.figure)
    over = "" if against.hardest == against.baseline else f", over {against.hardest}, the least significant"
    corrected = p_text(against.corrected).removeprefix("= ")
    text = f"p {p_text(against.p)}, corrected {corrected} (by {metric}{over})"
    if against.worse is None or against.corrected > ALPHA:
        return text
    lost, whose = against.worse
    return f"{text}, but its {TESTED.get(lost, lost)} is significantly worse than {whose}'s"


def _correction(card: Scorecard, best: Comparison | None, trials: Trials) -> list[str]:
    if best is None:
        return []
    *others, last = [text for name, text in TESTED.items() if name in card.figures]
    metrics = f"{', '.join(others)} and {last}" if others else last
    if trials.count == 1:
        text = (
            f"It is the only trial on this data; p is corrected (Sidak) for testing {metrics}, "
            f"and significant at {ALPHA} or less."
        )
    else:
        text = (
            f"p is corrected (Sidak) for {trials.count} trials on this data and for testing "
            f"{metrics}, and significant at {ALPHA} or less; trials are correlated, so the correction is conservative."
        )
    if not trials.elsewhere:
        return [text]
    noun, verb = ("run", "is") if trials.elsewhere == 1 else ("runs", "are")
    return [text, f"{trials.elsewhere} more {noun} of the experiment on other tables {verb} not corrected for."]


def corrected_side(card: Scorecard, name: str, trials: int) -> str:
    """As `against_chance`; `above` only if the gain survives the correction for trials, as the verdict must."""
    side = against_chance(card.figures[name])
    gain = card.gains.get("majority", {}).get(name)
    if side == "above" and gain is not None and sidak(gain.p, trials) > ALPHA:
        return "within"
    return side


def _volatility(card: Scorecard) -> list[str]:
    baseline = card.baselines.get("volatility", {})
    if "accuracy" not in baseline or "move_auroc" not in card.figures:
        return []
    move = f" and a movement AUC of {auc(baseline['move_auroc'].value)}" if "move_auroc" in baseline else ""
    return [f"Trailing volatility alone has an accuracy of {percent(baseline['accuracy'].value)} %{move}."]


def _portfolio(card: Scorecard, verdict: "Verdict", *, synthetic: bool) -> list[str]:
    figure, sharpe, overfitting = card.figures.get("portfolio_sharpe"), verdict.sharpe, verdict.overfitting
    if card.portfolio is None or sharpe is None or figure is None or not math.isfinite(figure.value):
        return []
    portfolio = card.portfolio
    luck = f"the {number(sharpe.expected_maximum, 2)} that the best of {sharpe.trials} trials has by luck"
    out = [
        f"Its {portfolio.name} portfolio enters and leaves at {portfolio.entry}, with costs of "
        f"{portfolio.costs_text}: a Sharpe ratio of {estimate(figure, lambda x: number(x, 2))} a year"
        f"{_same_close(card)}; "
        f"its {'probabilistic' if sharpe.trials == 1 else 'deflated'} Sharpe ratio, the confidence that the true one "
        f"is above {'0' if sharpe.trials == 1 else luck}, is {_confidence(sharpe.probability)}."
    ]
    if synthetic:
        out.append(ARTIFICIAL)
    if overfitting:
        out.append(
            f"Over the portfolios of {overfitting.trials} trials the probability of backtest overfitting is "
            f"{percent(overfitting.probability)} % (50 % is luck)."
        )
    return out


def _same_close(card: Scorecard) -> str:
    """What a trader who deals at the close that the predictions are made at would have had."""
    before = card.portfolio.same_close_sharpe if card.portfolio else None
    return "" if before is None else f" ({number(before, 2)} at the close that the predictions are made at)"


def _confidence(p: float) -> str:
    return "above 99.9 %" if p > 0.999 else f"{percent(p)} %"


def _bayes(card: Scorecard) -> list[str]:
    if "bayes" not in card.baselines:
        return []
    closed = card.figures.get("gap_closed")
    if closed is None:
        return ["In this synthetic market the features hardly change the most probable class of any row."]
    return [
        f"In this synthetic market it closes {estimate(closed, percent, ' %')} of the gap in expected accuracy "
        "between majority and the Bayes optimum, the highest accuracy that any model can reach."
    ]


def auc(value: float) -> str:
    """An area under a ROC curve."""
    return number(value, 3)


def count(n: int, noun: str) -> str:
    """`1 week`, `1,234 weeks`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
