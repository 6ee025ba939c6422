"""The verdict on a split's scores: whether the model is better than its baselines, and by how much."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ste.evaluation.overfitting import (
    MIN_RETURNS,
    DeflatedSharpe,
    Overfitting,
    backtest_overfitting,
    deflated_sharpe,
)
from ste.evaluation.predictions import BAYES
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.significance import GUESSES, Comparison, Trials, compare
from ste.evaluation.verdict_levels import LEVELS
from ste.evaluation.verdict_summary import headline, points
from ste.evaluation.verdict_text import details, estimate, number, suspicions

_TAGGED = {
    "moves": "move_auroc",
    "direction": "direction_auroc",
    "gap_closed": "gap_closed",
    "sharpe": "portfolio_sharpe",
}


@dataclass(frozen=True)
class Verdict:
    """The verdict on the scores of one split.

    Attributes:
        word: one of `LEVELS`.
        guessing: comparison with the baselines that use no feature; None where there is none.
        best: comparison with all baselines.
        sharpe: None without a portfolio of `MIN_RETURNS` returns.
        overfitting: None without the returns of other trials.
        suspicions: sentences about scores that are too good to be true.
        headline: the verdict in one sentence.
        points: what the model beats, by how much and how surely, what the score is made of, and suspicions.
        details: the other sentences: comparisons, correction for trials, portfolio, Bayes optimum.
        tags: the same numbers as text, for MLflow.
    """

    word: str
    guessing: Comparison | None = None
    best: Comparison | None = None
    sharpe: DeflatedSharpe | None = None
    overfitting: Overfitting | None = None
    suspicions: list[str] = field(default_factory=list)
    headline: str = ""
    points: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """Headline and points as one paragraph."""
        return " ".join([self.headline, *self.points])

    def __str__(self) -> str:
        return self.summary

    @property
    def markdown(self) -> str:
        """The headline in bold and the points as a list."""
        return "\n".join([f"**{self.headline}**", "", *(f"- {point}" for point in self.points)])

    def _repr_markdown_(self) -> str:
        """Return what a notebook shows."""
        return self.markdown

    def to_dict(self) -> dict[str, Any]:
        """Return word and sentences as plain values, for files."""
        sentences = {"points": list(self.points), "details": list(self.details)}
        return {"word": self.word, "headline": self.headline, **sentences}


def judge(
    card: Scorecard,
    model: str,
    trials: Trials | None = None,
    split: str = "test",
    horizon: int = 1,
    *,
    synthetic: bool = False,
) -> Verdict:
    """Judge the scores of a split.

    `better` needs a significant gain over every baseline, of which at least one must be trained; `better than guessing`
    over majority and persistence. A model that is identical to a trained baseline is at most better than guessing, and
    one that is identical to a guess is not better. See `significance.compare` for the test.

    Args:
        card: the scores.
        model: name to print.
        trials: runs on the same data up to this one; None is this one alone.
        split: name to print.
        horizon: periods that a label looks ahead, and that the portfolio holds its positions.
        synthetic: the rows are of a synthetic market; scores of a real one have known upper bounds.
    """
    trials = trials or Trials()
    is_guess = bool(set(card.identical) & set(GUESSES))
    names = [name for name in card.gains if name != BAYES and name not in card.identical]
    guesses = [] if is_guess else [name for name in names if name in GUESSES]
    guessing = compare(card, guesses, trials.count)
    best = compare(card, names, trials.count)
    sharpe, overfitting = _portfolio(card, trials, horizon)
    doubts = [] if synthetic or horizon > 1 else suspicions(card)
    verdict = Verdict(_level(card, names, guessing, best), guessing, best, sharpe, overfitting, doubts)
    return replace(
        verdict,
        headline=headline(card, model, verdict, synthetic=synthetic),
        points=tuple(points(card, split, verdict, trials.count)),
        details=tuple(details(card, verdict, trials, synthetic=synthetic)),
        tags=_tags(card, split, verdict, trials.count),
    )


def _level(card: Scorecard, names: list[str], guessing: Comparison | None, best: Comparison | None) -> str:
    better, better_than_guessing, not_better, inconclusive = LEVELS
    if card.method == "binomial":
        return inconclusive
    if best and best.holds and not card.identical and any(name not in GUESSES for name in names):
        return better
    return better_than_guessing if guessing and guessing.holds else not_better


def _portfolio(card: Scorecard, trials: Trials, horizon: int) -> tuple[DeflatedSharpe | None, Overfitting | None]:
    if card.portfolio is None or len(card.portfolio.returns) < MIN_RETURNS or card.method == "binomial":
        return None, None
    sharpe = deflated_sharpe(np.array(card.portfolio.returns), trials.sharpes, card.per_year / horizon, trials.count)
    returns = trials.performance
    enough = returns is not None and returns.shape[0] >= MIN_RETURNS and returns.shape[1] > 1
    return sharpe, backtest_overfitting(returns) if returns is not None and enough else None


def _tags(card: Scorecard, split: str, verdict: Verdict, trials: int) -> dict[str, str]:
    tags = {"verdict": verdict.word, "verdict.split": split, "verdict.trials": str(trials)}
    for prefix, against in (("verdict.", verdict.best), ("verdict.guessing.", verdict.guessing)):
        if against:
            tags |= {
                f"{prefix}baseline": against.baseline,
                f"{prefix}gain": number(against.gain.value),
                f"{prefix}p": f"{against.p:.3g}",
                f"{prefix}p_corrected": f"{against.corrected:.3g}",
                f"{prefix}p_of": against.figure,
            }
            low, high = against.gain.low, against.gain.high
            if low is not None and high is not None:
                tags[f"{prefix}interval"] = f"[{number(low)}, {number(high)}]"
            if against.log_loss:
                tags[f"{prefix}log_loss_gain"] = number(against.log_loss.value)
    for name, figure in _TAGGED.items():
        if figure in card.figures:
            tags[f"verdict.{name}"] = estimate(card.figures[figure], number)
    if verdict.sharpe:
        tags["verdict.deflated_sharpe"] = number(verdict.sharpe.probability)
    if verdict.overfitting:
        tags["verdict.pbo"] = number(verdict.overfitting.probability)
    return tags
