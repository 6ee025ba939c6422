"""Compare two files of predictions on their common rows, metric by metric, with paired intervals."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ste.config import ScoringSettings
from ste.errors import DataError
from ste.evaluation.bootstrap import MIN_PERIODS
from ste.evaluation.explain.paired_difference import PeriodResampling
from ste.evaluation.information_coefficient import coefficient_series
from ste.evaluation.predictions import Predictions
from ste.evaluation.rank_scores import rank_scores
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.scored_rows import ScoredRows
from ste.judging.judgement import Judgement, score_rows
from ste.schema import probability_names

_KEYS = ["date", "ticker", "fold", "path"]
_TOLERANCE = 1e-6  # of returns that two files write with other digits


@dataclass(frozen=True, eq=False)
class PairedScores:
    """Two predictors of the same rows.

    Attributes:
        first, second: their names.
        card: of the first one on the common rows, with the second as its only baseline.
        only_first, only_second: rows that the other file does not have.
        rank_ic: difference of the mean rank information coefficients; None where there is none.
    """

    first: str
    second: str
    card: Scorecard
    only_first: int
    only_second: int
    rank_ic: Estimate | None

    @property
    def differences(self) -> pd.DataFrame:
        """A row for each metric: both values, the first's gain (above 0 is better), its interval, and p."""
        gains = self.card.gains[self.second]
        rows = {
            name: {
                self.first: self.card.figures[name].value,
                self.second: self.card.baselines[self.second][name].value,
                "gain": gain.value,
                "low": gain.low,
                "high": gain.high,
                "p": gain.p,
            }
            for name, gain in gains.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def pair(first: Judgement, second: Judgement, scoring: ScoringSettings) -> PairedScores:
    """Compare two files on the dates and tickers that both have.

    Args:
        first: judged file.
        second: the other one.
        scoring: settings.

    Raises:
        DataError: other classes or outcomes, or no common row.
    """
    one, other = first.predictions, second.predictions
    where = f"{second.rows.where} and {first.rows.where}"
    for what in ("classes", "horizon"):
        if getattr(one, what) != getattr(other, what):
            raise DataError(
                f"{where}: {what} {getattr(other, what)} and {getattr(one, what)}. Expected the same: give both the "
                "same outcomes with returns=, horizon= and threshold=."
            )
    keys = [frame[_KEYS].astype({"ticker": str}) for frame in (one.frame, other.frame)]
    joined = keys[0].assign(a=np.arange(len(one))).merge(keys[1].assign(b=np.arange(len(other))), on=_KEYS)
    if joined.empty:
        raise DataError(f"{where}: have no date and ticker in common. Expected predictions of the same rows.")
    a, b = joined["a"].to_numpy(), joined["b"].to_numpy()
    _check_outcomes(one, other, a, b, where)
    name = _name_of(second.model, first.model)
    columns = {f"{name}.{column}": other.frame[column].to_numpy()[b] for column in probability_names(one.classes)}
    own = [column for column in one.frame if "." not in str(column)]
    frame = one.frame[own].iloc[a].reset_index(drop=True).assign(**columns)
    without = (*one.without_probabilities, *([name] if "" in other.without_probabilities else []))
    common = replace(one, frame=frame, without_probabilities=without, samples={})
    card = score_rows(scoring, common)
    rank_ic = _rank_ic(common, rank_scores(other)[b], scoring.resamples)
    return PairedScores(first.model, name, card, len(one) - len(a), len(other) - len(b), rank_ic)


def _name_of(second: str, first: str) -> str:
    """Return a name of the second file that is a column's prefix and not the first one's."""
    name = second.replace(".", "_")
    return f"{name} (2)" if name in (first, "bayes", "persistence") else name


def _check_outcomes(one: Predictions, other: Predictions, a: np.ndarray, b: np.ndarray, where: str) -> None:
    returns, labels = (one.returns[a], other.returns[b]), (one.labels[a], other.labels[b])
    near = np.isclose(*returns, rtol=_TOLERANCE, atol=_TOLERANCE) | np.isnan(returns[0]) | np.isnan(returns[1])
    same = near & (labels[0] == labels[1])
    if not same.all():
        first = one.frame.iloc[a[int(np.argmin(same))]]
        raise DataError(
            f"{where}: {(~same).sum():,} common rows have different outcomes (first: {first['ticker']} "
            f"{first['date']:%Y-%m-%d}). Expected the same ones: give both returns=bars.csv, horizon= and threshold=."
        )


def _rank_ic(common: Predictions, theirs: np.ndarray, resamples: int) -> Estimate | None:
    """Return the mean difference of the rank information coefficients of the periods that have both."""
    rows = ScoredRows.from_predictions(common)
    if rows.periods < MIN_PERIODS * common.horizon:
        return None
    known = np.isfinite(rows.returns)
    series = [
        coefficient_series(
            scores[rows.order][known],
            rows.returns[known],
            rows.period[known],
            rows.path[known],
            rows.periods,
            ranked=True,
        )
        for scores in (rank_scores(common), theirs)
    ]
    difference = series[0] - series[1]
    there = np.isfinite(difference)
    if not there.any():
        return None
    resampling = PeriodResampling(np.flatnonzero(there), common.horizon, resamples)
    return resampling.means(difference[there][None, :])[0]
