"""The scorecard of a split from its predictions: every metric with its interval and its baselines."""

import numpy as np

from ste.evaluation.bootstrap import MIN_PERIODS, RESAMPLES, Resampling, block_length, overlap_block
from ste.evaluation.classification import Figures, reliability
from ste.evaluation.estimates import Scorer, confusion, with_intervals
from ste.evaluation.information_coefficient import RANKING_METRICS, ranking_figures
from ste.evaluation.metrics.base import Metric
from ste.evaluation.portfolio.backtest import backtest
from ste.evaluation.portfolio.portfolio_figures import PORTFOLIO_METRICS, portfolio_figures
from ste.evaluation.portfolio.rules import TradingRules
from ste.evaluation.predictions import BAYES, Predictions
from ste.evaluation.rank_scores import rank_scores
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.scored_rows import ScoredRows
from ste.schema import neutral_class

ONE_HOT_BASELINES = ("persistence",)
"""Baselines that predict a class and no probabilities."""

BAYES_METRICS = {
    metric.name: metric
    for metric in (
        Metric("expected_accuracy", 0.0, 1.0),
        Metric("bayes_expected_accuracy", 0.0, 1.0),
        Metric("gap_closed"),
    )
}
"""Metrics of a synthetic market, whose true probabilities are known."""

_MIN_GAP = 0.002  # in expected accuracy, from majority to Bayes; below it no fraction of the gap is given
_MAX_GROUPS = 1000  # of rows, where rows are resampled
_SEED = 0  # of the bootstrap
_IDENTICAL = 1e-6  # largest difference of probabilities that are the same


def score(
    predictions: Predictions,
    *,
    rules: TradingRules | None = None,
    history: Predictions | None = None,
    resamples: int = RESAMPLES,
    blocks: str = "horizon",
) -> Scorecard:
    """Score the predictions of one split.

    Intervals come from a bootstrap over periods (see `bootstrap`). With fewer than ten periods (times the horizon),
    fractions get exact binomial intervals, ranking metrics have no interval, and there is no portfolio. What an exact
    interval counts depends on the horizon. At one period it counts rows, and other metrics get a bootstrap over rows:
    both assume independent rows and are too narrow where they are not; p-values still count at most as many
    independent observations as there are periods. At a longer horizon it counts one observation for each horizon of
    periods, since their labels share returns, and other metrics have no interval and a p-value of 1. A row that
    repeats over paths is resampled with its period.

    Args:
        predictions: rows of one split; a row may stand once in each of several paths.
        rules: of the portfolio; None is `TradingRules()`.
        history: earlier rows out of sample, whose returns the portfolio may know.
        resamples: of the bootstrap.
        blocks: periods resampled together: `horizon`, as long as labels overlap (`bootstrap.overlap_block`), for the
            periods that were scored; `auto`, as long as the autocorrelation lasts (`bootstrap.block_length`), which
            also covers other periods of the same kind.

    Raises:
        DataError: no rows, or rows of several splits.
    """
    rows = ScoredRows.from_predictions(predictions)
    probs = predictions.probs[rows.order]
    horizon = rows.overlap(predictions.horizon)
    block = overlap_block(rows.periods, horizon)
    if blocks == "auto":  # the confidence shows a market's regimes with less noise than the hits do
        hits, confidence = probs.argmax(axis=1) == rows.labels, probs.max(axis=1)
        block = block_length([rows.influence(hits), rows.influence(confidence)], horizon)
    too_few = rows.periods < MIN_PERIODS * horizon
    if too_few:
        groups = min(rows.examples, _MAX_GROUPS)
        over_rows = Resampling.draw_blocks(groups, 1, resamples if horizon == 1 else 0, _SEED)
        over_periods = Resampling.draw_blocks(rows.periods, 1, 0, _SEED)
        observations = rows.examples if horizon == 1 else rows.periods / horizon
        scorer = Scorer(rows, predictions.classes, over_rows, rows.example % groups, observations)
    else:
        over_periods = Resampling.draw_blocks(rows.periods, block, resamples, _SEED, horizon)
        scorer = Scorer(rows, predictions.classes, over_periods, rows.period)

    probabilistic = "" not in predictions.without_probabilities
    without = (*ONE_HOT_BASELINES, *predictions.without_probabilities)
    own = scorer.figures(probs, probabilistic=probabilistic)
    baselines, gains, identical, same_classes = {}, {}, [], []
    for name in predictions.baselines:
        theirs = predictions.baseline(name)[rows.order]
        figures = scorer.baseline_figures(theirs, probabilistic=name not in without)
        baselines[name] = scorer.estimates(figures, theirs)
        gains[name] = scorer.gains(own, figures)
        if np.allclose(theirs, probs, rtol=0.0, atol=_IDENTICAL):
            identical.append(name)
        if np.array_equal(theirs.argmax(axis=1), probs.argmax(axis=1)):
            same_classes.append(name)
    estimates = scorer.estimates(own, probs)
    if predictions.truth is not None:
        truth = predictions.truth[rows.order]
        baselines[BAYES] = scorer.estimates(scorer.baseline_figures(truth), truth)
        majority = predictions.baseline("majority")[rows.order] if "majority" in predictions.baselines else None
        estimates |= with_intervals(_against_bayes(probs, majority, truth, scorer), scorer.resampling, BAYES_METRICS)
    if neutral_class(len(predictions.classes)) is not None:
        ranking = _ranking(rank_scores(predictions)[rows.order], rows, over_periods, horizon)
        estimates |= with_intervals(ranking, over_periods, RANKING_METRICS)
    # A few weeks do not make an annual return.
    traded = None if too_few else backtest(predictions, rows, rules or TradingRules(), history)
    if traded:
        per_year = predictions.row_periods.per_year / predictions.horizon
        over_trades = over_periods
        if horizon > 1:  # returns of trades do not overlap
            length = block if blocks == "auto" else horizon
            over_trades = Resampling.draw_blocks(rows.periods, length, resamples, _SEED)
        figures = portfolio_figures(traded.trades, over_trades, per_year, traded.benchmark)
        estimates |= with_intervals(figures, over_trades, PORTFOLIO_METRICS)
    return Scorecard(
        examples=rows.examples,
        periods=rows.periods,
        unit=predictions.row_periods.word,
        method="binomial" if too_few else "bootstrap",
        classes=predictions.classes,
        figures=estimates,
        confusion=confusion(probs, rows.labels).tolist(),
        reliability=reliability(probs, rows.labels) if probabilistic else [],
        baselines=baselines,
        gains=gains,
        portfolio=traded.portfolio if traded else None,
        block=1 if too_few else block,
        sample=predictions.samples.get(str(predictions.frame["split"].iloc[0])),
        identical=tuple(identical),
        same_classes=tuple(same_classes),
        per_year=predictions.row_periods.per_year,
    )


def _against_bayes(probs: np.ndarray, majority: np.ndarray | None, truth: np.ndarray, scorer: Scorer) -> Figures:
    """Expected accuracy: the mean true probability of the predicted class, without the noise of the labels."""
    rows, examples = np.arange(len(truth)), scorer.examples(probs)
    own = examples.mean(truth[rows, probs.argmax(axis=1)])
    optimum = examples.mean(truth.max(axis=1))
    figures = {"expected_accuracy": own, "bayes_expected_accuracy": optimum}
    if majority is not None:
        floor = examples.mean(truth[rows, majority.argmax(axis=1)])
        gap = optimum - floor
        if gap[0] > _MIN_GAP:
            figures["gap_closed"] = np.divide(own - floor, gap, out=np.full(gap.shape, np.nan), where=gap > 0)
    return figures


def _ranking(scores: np.ndarray, rows: ScoredRows, resampling: Resampling, horizon: int) -> Figures:
    known = np.isfinite(rows.returns)
    return ranking_figures(
        scores[known], rows.returns[known], rows.period[known], rows.path[known], resampling, horizon
    )
