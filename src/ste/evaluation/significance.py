"""Whether a model beats its baselines: paired gains, intersection-union, corrected for trials."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ste.evaluation.scorecard import Gain, Scorecard

GUESSES = ("majority", "persistence")
"""Baselines that know no feature."""

ALPHA = 0.05
"""Corrected one-sided p-value at or below which a gain counts. For one trial and three figures that is 0.017 for
each."""

FIGURES = {"accuracy": "accuracy", "log_loss": "log-loss", "auroc": "AUROC"}
"""Figures that a gain may show in, and their names in print. Accuracy alone wastes what probabilities say before
the top class changes; docs/trust.md has how often each rule is right."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Runs of the same experiment on the same data, this one included.

    Attributes:
        count: how many.
        elsewhere: runs of the same experiment on other tables: other labels, tickers or periods.
        sharpes: annual Sharpe ratios of those that have a portfolio, all on the same split.
        performance: `[T, N]`, net returns of their portfolios on common dates, oldest first, or None.
    """

    count: int = 1
    elsewhere: int = 0
    sharpes: tuple[float, ...] = ()
    performance: np.ndarray | None = None


@dataclass(frozen=True)
class Comparison:
    """A model against several baselines on the same rows.

    Attributes:
        baseline: the most accurate of them, whose gains are quoted.
        accuracy: its accuracy.
        gain: in accuracy over it.
        log_loss: gain in log-loss over it, above 0 is better; None where it claims no probabilities.
        hardest: the baseline that is least clearly beaten; the next three are of it.
        figure: in which it is beaten most clearly.
        p: one-sided p-value of the gain in that figure.
        corrected: the same, for the trials and the figures that were looked at; the largest over the baselines.
        worse: a figure that is surely lower than a baseline's, and that baseline; None where there is none.
        holds: better than each of them, and not surely worse than any in another figure.
    """

    baseline: str
    accuracy: float
    gain: Gain
    log_loss: Gain | None
    hardest: str
    figure: str
    p: float
    corrected: float
    worse: tuple[str, str] | None
    holds: bool


def sidak(p: float, tests: int) -> float:
    """Chance that the best of independent tests has a p-value this small by luck (Sidak 1967).

    Args:
        p: the smallest p-value.
        tests: how many were made; where they resemble each other the correction is conservative.
    """
    return 1.0 if p >= 1.0 else -math.expm1(tests * math.log1p(-p))


def compare(
    card: Scorecard, names: Sequence[str], trials: int, figures: Collection[str] = FIGURES
) -> Comparison | None:
    """A model against each of the named baselines; None where there is none.

    A baseline is beaten by a gain in any of `figures`, so the smallest p-value over those that it claims
    (persistence has no log-loss) is corrected for their number and for the trials. To be better
    than all baselines is to be better than each: the largest p-value over them is that of the whole claim
    and needs no further correction, an intersection-union test (Berger 1982, "Multiparameter hypothesis
    testing and acceptance sampling").

    A gain in one figure does not count beside a loss in another whose whole interval lies below 0: whoever orders
    the rows better and gives them worse probabilities is another model, not a better one.

    Args:
        card: scores of a split.
        names: baselines to meet; those without a gain in accuracy are left out.
        trials: runs made on the same data, this one included.
        figures: that a gain may show in.
    """
    gains = {name: card.gains[name] for name in names if "accuracy" in card.gains.get(name, {})}
    if not gains:
        return None
    claims = {name: _claim(by, trials, figures) for name, by in gains.items()}
    best = max(gains, key=lambda name: card.baselines[name]["accuracy"].value)
    hardest = max(claims, key=lambda name: claims[name][0])
    corrected, clearest = claims[hardest]
    lost = [(figure, name) for name, by in gains.items() for figure in figures if figure in by and by[figure].high < 0]
    gained = corrected <= ALPHA and all(gains[name][claims[name][1]].value > 0 for name in gains)
    return Comparison(
        baseline=best,
        accuracy=card.baselines[best]["accuracy"].value,
        gain=gains[best]["accuracy"],
        log_loss=gains[best].get("log_loss"),
        hardest=hardest,
        figure=clearest,
        p=gains[hardest][clearest].p,
        corrected=corrected,
        worse=lost[0] if lost else None,
        holds=gained and not lost,
    )


def _claim(gains: dict[str, Gain], trials: int, figures: Collection[str]) -> tuple[float, str]:
    """Corrected p-value against one baseline, and the figure it comes from."""
    looked = [figure for figure in figures if figure in gains]
    figure = min(looked, key=lambda name: gains[name].p)
    return sidak(gains[figure].p, trials * len(looked)), figure
