"""Significance of gains over baselines: paired gains, intersection-union test, correction for trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ste.evaluation.scorecard import Gain, Scorecard

GUESSES = ("majority", "persistence")
"""Baselines that use no feature."""

ALPHA = 0.05
"""Largest corrected one-sided p-value of a significant gain. With one trial and three metrics, this is 0.017 for each
metric."""

TESTED = {"accuracy": "accuracy", "log_loss": "log-loss", "auroc": "AUROC"}
"""Metrics in which a gain is tested, with their printed names. Accuracy alone ignores the probabilities until the top
class changes; docs/trust.md has the error rates."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials on the same data, including the one that is judged.

    Attributes:
        count: number of trials.
        elsewhere: runs of the same experiment on other tables: other labels, tickers or periods.
        sharpes: annual Sharpe ratios of the runs that have a portfolio, all on the same split.
        performance: `[T, N]`, returns of their portfolios after costs on common dates, oldest first, or None.
    """

    count: int = 1
    elsewhere: int = 0
    sharpes: tuple[float, ...] = ()
    performance: np.ndarray | None = None


@dataclass(frozen=True)
class Comparison:
    """A model compared with several baselines on the same rows.

    Attributes:
        beaten: the baselines that the model is significantly better than, in no tested metric significantly worse.
        unbeaten: the other baselines.
        baseline: the most accurate baseline, whose gains are printed.
        accuracy: its accuracy.
        gain: in accuracy over it.
        log_loss: gain in log-loss over it, above 0 is better; None where it has no probabilities.
        hardest: the baseline with the largest corrected p-value; the next three attributes are of it.
        figure: metric with the smallest p-value.
        p: one-sided p-value of the gain in that metric.
        corrected: p, corrected for the trials and the tested metrics; the largest over the baselines.
        worse: a metric that is significantly lower than a baseline's, and that baseline; None if there is none.
        holds: significantly better than each baseline, and in no tested metric significantly worse than any.
    """

    beaten: tuple[str, ...]
    unbeaten: tuple[str, ...]
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
    """Probability that the smallest p-value of independent tests is at most `p` by chance (Sidak 1967).

    Args:
        p: the smallest p-value.
        tests: number of tests; for correlated tests the correction is conservative.
    """
    return 1.0 if p >= 1.0 else -math.expm1(tests * math.log1p(-p))


def compare(card: Scorecard, names: Sequence[str], trials: int) -> Comparison | None:
    """Compare a model with each of the named baselines; None where there is none.

    A gain in any of `TESTED` beats a baseline, so the smallest p-value over those that the baseline has is corrected
    for their number and for the trials. A baseline without probabilities (persistence) is compared by accuracy alone:
    it orders no rows, so that any ordering would have a higher AUROC. To be better than all baselines is to be better
    than each: the largest p-value over them is that of the joint hypothesis and needs no further correction, an
    intersection-union test (Berger 1982, "Multiparameter hypothesis testing and acceptance sampling").

    A gain in one metric does not count if another metric is significantly worse, its interval entirely below 0: a
    model that orders the rows better and gives worse probabilities is a different model, not a better one.

    Args:
        card: scores of a split.
        names: of the baselines; those without a gain in accuracy are ignored.
        trials: number of runs on the same data, including this one.
    """
    gains = {name: card.gains[name] for name in names if "accuracy" in card.gains.get(name, {})}
    if not gains:
        return None
    tested = {name: _tested(card, name) for name in gains}
    tests = {name: _test(by, tested[name], trials) for name, by in gains.items()}
    best = max(gains, key=lambda name: card.baselines[name]["accuracy"].value)
    hardest = max(tests, key=lambda name: tests[name][0])
    corrected, clearest = tests[hardest]
    lost = [(metric, name) for name, by in gains.items() for metric in tested[name] if by[metric].below]
    losses = {name for _, name in lost}
    beaten = [
        name
        for name, (p, metric) in tests.items()
        if p <= ALPHA and gains[name][metric].value > 0 and name not in losses
    ]
    return Comparison(
        beaten=tuple(beaten),
        unbeaten=tuple(name for name in gains if name not in beaten),
        baseline=best,
        accuracy=card.baselines[best]["accuracy"].value,
        gain=gains[best]["accuracy"],
        log_loss=gains[best].get("log_loss"),
        hardest=hardest,
        figure=clearest,
        p=gains[hardest][clearest].p,
        corrected=corrected,
        worse=lost[0] if lost else None,
        holds=len(beaten) == len(gains),
    )


def _test(gains: dict[str, Gain], tested: Sequence[str], trials: int) -> tuple[float, str]:
    """Corrected p-value against one baseline, and the metric that it comes from."""
    metric = min(tested, key=lambda name: gains[name].p)
    return sidak(gains[metric].p, trials * len(tested)), metric


def _tested(card: Scorecard, name: str) -> list[str]:
    """Metrics in which a baseline is compared; a model without probabilities has no log-loss to compare."""
    gains = card.gains[name]
    without = "log_loss" not in card.figures and "log_loss" in card.baselines[name]
    ordered = "log_loss" in gains or without
    return [metric for metric in TESTED if metric in gains and (ordered or metric == "accuracy")]
