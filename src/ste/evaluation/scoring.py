"""A split's scorecard from its predictions: every figure with its interval and its baselines.

All figures of a split share one set of resamples, so that a gain over a baseline is paired: both are
scored on the same resampled periods. ScoredRows that repeat over paths are resampled with their period.
"""

from dataclasses import dataclass, replace
from math import isnan, nan

import numpy as np

from ste.evaluation.bootstrap import FEW_PERIODS, RESAMPLES, Resampling, binomial_interval, block_length
from ste.evaluation.classification import LOSSES, Figures, classification_figures, counts, reliability
from ste.evaluation.information_coefficient import coefficient_figures, coefficients
from ste.evaluation.portfolio import Trades, together, trade, trading_figures
from ste.evaluation.predictions import BAYES, Predictions
from ste.evaluation.result_cache import ResultCache
from ste.evaluation.scorecard import Estimate, Gain, Portfolio, Scorecard
from ste.evaluation.scored_rows import ScoredRows
from ste.schema import PERIOD, PERIODS_PER_YEAR

HEADLINES = (
    *("accuracy", "balanced_accuracy", "f1", "mcc", "auroc", "log_loss", "brier"),
    *("move_auroc", "move_accuracy", "move_mcc", "direction_auroc", "direction_accuracy", "direction_mcc"),
)
"""Figures that are compared with every baseline's."""

CLAIMS_NO_PROBABILITIES = ("persistence",)
"""Baselines that are one-hot: an order of the rows, no probabilities."""

_IDENTICAL = 1e-9  # largest difference of probabilities at which a baseline is the model itself
_LEAST_WAY = 0.002  # from majority to Bayes; below, there is no gap to close
_MOST_GROUPS = 1000  # of rows, where rows are resampled
_NONE = (nan, nan)
_RESULTS: ResultCache[Figures] = ResultCache(16)


def score(
    predictions: Predictions,
    *,
    cost_bps: float = 5.0,
    kind: str = "long_short",
    resamples: int = RESAMPLES,
    blocks: str = "horizon",
    seed: int = 0,
) -> Scorecard:
    """Score one split's predictions.

    Intervals are those of a bootstrap over periods (see `bootstrap`). Below ten periods (times the horizon) shares
    get exact binomial intervals and the other figures a bootstrap over rows, which takes rows for independent
    and is too narrow where they are not; p-values still count no more independent observations than periods;
    ranking and trading figures then have no interval.

    Args:
        predictions: rows of one split; a row may stand once in each of several paths.
        cost_bps: of the portfolio, basis points per unit of turnover.
        kind: of the portfolio, `long_short` or `long_only`.
        resamples: of the bootstrap.
        blocks: how many periods are resampled together: `horizon`, those that a label looks ahead, for what
            is true of the periods that were scored; or `auto`, as long as the figures are seen to depend on
            their past (`bootstrap.block_length`), which also covers that other periods are other times.
        seed: of the bootstrap.

    Raises:
        DataError: no rows, or rows of several splits.
        ConfigError: a portfolio that is not known.
    """
    rows = ScoredRows.from_predictions(predictions)
    chances = predictions.probs[rows.order]
    block = predictions.horizon
    if blocks == "auto":  # the regimes of a market show in the model's confidence with less noise than in its hits
        hits, confidence = chances.argmax(axis=1) == rows.labels, chances.max(axis=1)
        block = block_length([rows.influence(hits), rows.influence(confidence)], predictions.horizon)
    few = rows.periods < FEW_PERIODS * predictions.horizon
    if few:
        groups = min(rows.examples, _MOST_GROUPS)
        over_rows = Resampling.blocks(groups, 1, resamples, seed)
        over_periods = Resampling.blocks(rows.periods, 1, 0, seed)
        scorer = _Scorer(rows, predictions.classes, over_rows, rows.example % groups, binomial=True)
    else:
        over_periods = Resampling.blocks(rows.periods, block, resamples, seed)
        scorer = _Scorer(rows, predictions.classes, over_periods, rows.period, binomial=False)

    own = scorer.figures(chances)
    baselines, gains, identical = {}, {}, []
    for name in predictions.baselines:
        claims = predictions.baseline(name)[rows.order]
        theirs = scorer.known_figures(claims, probabilistic=name not in CLAIMS_NO_PROBABILITIES)
        baselines[name] = scorer.estimates(theirs, claims)
        gains[name] = scorer.gains(own, theirs)
        if np.allclose(claims, chances, rtol=0.0, atol=_IDENTICAL):
            identical.append(name)
    figures = scorer.estimates(own, chances)
    if predictions.truth is not None:
        truth = predictions.truth[rows.order]
        baselines[BAYES] = scorer.estimates(scorer.known_figures(truth), truth)
        majority = predictions.baseline("majority")[rows.order] if "majority" in predictions.baselines else None
        figures |= scorer.estimates(_against_limit(chances, majority, truth, scorer))
    if len(predictions.classes) > 2:
        figures |= _estimates(_ranking(chances, rows, over_periods), over_periods)
    # A year's return and its ratios out of a few weeks are no figures.
    trades = None if few else _trades(predictions, chances, rows, kind, cost_bps)
    per_year = PERIODS_PER_YEAR[predictions.frequency] / predictions.horizon
    if trades:
        figures |= _estimates(_finite(trading_figures(trades, over_periods, per_year)), over_periods)
    return Scorecard(
        examples=rows.examples,
        periods=rows.periods,
        unit=PERIOD[predictions.frequency],
        method="binomial" if few else "bootstrap",
        classes=predictions.classes,
        figures=figures,
        confusion=_confusion(chances, rows.labels).tolist(),
        reliability=reliability(chances, rows.labels),
        baselines=baselines,
        gains=gains,
        portfolio=_portfolio(trades, rows, kind, cost_bps) if trades else None,
        block=1 if few else block,
        sample=predictions.samples.get(str(predictions.frame["split"].iloc[0])),
        identical=tuple(identical),
    )


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Scores claims on the same rows and the same resamples; `unit` is each row's unit of `resampling`."""

    rows: ScoredRows
    classes: tuple[str, ...]
    resampling: Resampling
    unit: np.ndarray
    binomial: bool

    def figures(self, claims: np.ndarray, *, probabilistic: bool = True) -> Figures:
        return classification_figures(
            claims, self.rows.labels, self.unit, self.resampling, self.classes, probabilistic=probabilistic
        )

    def known_figures(self, claims: np.ndarray, *, probabilistic: bool = True) -> Figures:
        """The same, once a process for the same rows."""
        return _RESULTS.get(
            lambda: self.figures(claims, probabilistic=probabilistic),
            *(claims, self.rows.labels, self.unit),
            f"{self.resampling.digest}{self.classes}{probabilistic}",
        )

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of a value per row, `[1 + R]`."""
        units = self.resampling.units
        totals = self.resampling.sums(np.bincount(self.unit, weights=values, minlength=units))
        return totals / self.resampling.sums(np.bincount(self.unit, minlength=units))

    def estimates(self, figures: Figures, claims: np.ndarray | None = None) -> dict[str, Estimate]:
        """Figures with intervals; shares of `claims` exact where rows are resampled."""
        out = _estimates(figures, self.resampling)
        if self.binomial and claims is not None:
            repeats = len(self.rows.labels) / self.rows.examples
            for name, rows in self._trials(claims).items():
                if name in out and rows:
                    trials, share = rows / repeats, out[name].value
                    out[name] = Estimate(share, *binomial_interval(share * trials, trials))
        return out

    def gains(self, own: Figures, theirs: Figures) -> dict[str, Gain]:
        names = [name for name in HEADLINES if name in own and name in theirs]
        gains = np.stack([(theirs[n] - own[n]) if n in LOSSES else (own[n] - theirs[n]) for n in names])
        values = gains[:, 0].tolist()
        intervals = self.resampling.intervals(gains)
        chances = self.resampling.p_values(gains, min(self.resampling.independent, self.rows.periods))
        out = {}
        for name, value, (low, high), chance in zip(names, values, intervals.tolist(), chances.tolist(), strict=True):
            out[name] = Gain(value, value if isnan(low) else low, value if isnan(high) else high, chance)
        return out

    def _trials(self, claims: np.ndarray) -> dict[str, int]:
        """ScoredRows that each share is a share of."""
        table = _confusion(claims, self.rows.labels)
        total, true, called = int(table.sum()), table.sum(axis=1), table.sum(axis=0)
        out = {"accuracy": total, "move_accuracy": total, "direction_accuracy": int(true[0] + true[-1])}
        for k, name in enumerate(self.classes):
            out |= {f"recall_{name.lower()}": int(true[k]), f"precision_{name.lower()}": int(called[k])}
        return out


def _confusion(claims: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """True class by predicted class, int64 `[C, C]`."""
    size = claims.shape[1]
    return counts((labels, claims.argmax(axis=1)), (size, size), np.zeros(len(labels), dtype=np.int64), 1)[0]


def _estimates(figures: Figures, resampling: Resampling) -> dict[str, Estimate]:
    """Figures with their intervals; one that was not resampled `[1]` has none."""
    drawn = {name: figure for name, figure in figures.items() if len(figure) > 1}
    found = resampling.intervals(np.stack(list(drawn.values()))).tolist() if drawn else []
    intervals = dict(zip(drawn, found, strict=True))
    return {name: _estimate(name, float(figure[0]), *intervals.get(name, _NONE)) for name, figure in figures.items()}


def _estimate(name: str, value: float, low: float, high: float) -> Estimate:
    if isnan(low):
        return Estimate(value)
    if name == "calibration_error":
        # Resampling adds to a sum of absolute values the noise that the figure holds already: the
        # percentiles are reflected (the basic interval of Davison and Hinkley 1997, section 5.2).
        low, high = min(2 * value - high, value), max(2 * value - low, value)
    least, most = _range(name)
    return Estimate(value, max(low, least), min(high, most))


def _range(name: str) -> tuple[float, float]:
    """Values that a figure can have: no interval goes beyond them."""
    kind = name.rsplit("_", maxsplit=1)[-1]
    if kind in ("mcc", "mean"):
        return -1.0, 1.0
    if kind in ("loss", "brier", "std", "volatility", "turnover"):
        return 0.0, np.inf
    if kind in ("ir", "t", "sharpe", "return", "closed", "drawdown"):
        return -np.inf, np.inf
    return 0.0, 1.0


def _against_limit(chances: np.ndarray, majority: np.ndarray | None, truth: np.ndarray, scorer: _Scorer) -> Figures:
    """Expected accuracy: the mean true probability of the predicted class, free of the labels' own luck."""
    rows = np.arange(len(truth))
    own = scorer.mean(truth[rows, chances.argmax(axis=1)])
    limit = scorer.mean(truth.max(axis=1))
    figures = {"expected_accuracy": own, "bayes_expected_accuracy": limit}
    if majority is not None:
        floor = scorer.mean(truth[rows, majority.argmax(axis=1)])
        way = limit - floor
        if way[0] > _LEAST_WAY:
            figures["gap_closed"] = np.divide(own - floor, way, out=np.full(way.shape, np.nan), where=way > 0)
    return figures


def _ranking(chances: np.ndarray, rows: ScoredRows, resampling: Resampling) -> Figures:
    known = np.isfinite(rows.returns)
    period, path = rows.period[known], rows.path[known]
    ranked = (chances[:, -1] - chances[:, 0])[known]
    begins = np.append(True, (period[1:] != period[:-1]) | (path[1:] != path[:-1]))[: len(period)]
    group = np.cumsum(begins) - 1
    figures: Figures = {}
    for prefix, by_rank in (("ic", False), ("rank_ic", True)):
        values = coefficients(ranked, rows.returns[known], group, ranked=by_rank)
        figures |= coefficient_figures(values, period[begins], resampling, prefix)
    return figures


def _finite(figures: Figures) -> Figures:
    """What has a value."""
    return {name: figure for name, figure in figures.items() if np.isfinite(figure[0])}


def _trades(
    predictions: Predictions, chances: np.ndarray, rows: ScoredRows, kind: str, cost_bps: float
) -> Trades | None:
    """The portfolio of all paths together, or None.

    With two classes there is none: rows between the thresholds were left out by what came after them, and
    nobody can trade only what is going to move.
    """
    if len(predictions.classes) == 2:
        return None
    spans, out = set(), []
    for path in np.unique(rows.path):
        own = rows.path == path
        first, last = int(rows.period[own].min()), int(rows.period[own].max())
        spans.add((first, last))
        trades = trade(
            chances[own],
            rows.returns[own],
            rows.period[own] - first,
            rows.number[first : last + 1],
            rows.ticker[own],
            kind=kind,
            cost_bps=cost_bps,
            horizon=predictions.horizon,
        )
        out += [replace(trades, period=trades.period + first)] if trades else []
    if not out or (predictions.horizon > 1 and len(spans) > 1):  # paths that trade on different days
        return None
    return out[0] if len(out) == 1 else together(out)


def _portfolio(trades: Trades, rows: ScoredRows, kind: str, cost_bps: float) -> Portfolio:
    return Portfolio(
        dates=[rows.dates[p] for p in trades.period],
        returns=trades.returns.tolist(),
        equity=trades.equity.tolist(),
        turnover=trades.turnover.tolist(),
        kind=kind,
        cost_bps=cost_bps,
    )
