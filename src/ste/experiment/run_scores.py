"""Scores and verdict of a run's predictions."""

from typing import TYPE_CHECKING

from ste.config import ScoringSettings
from ste.config.progress import step
from ste.evaluation.portfolio.rules import TradingRules
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.scoring import score
from ste.evaluation.significance import Trials
from ste.evaluation.verdict import Verdict, judge
from ste.experiment.prediction import one_thread
from ste.experiment.trial_log import TrialLog

if TYPE_CHECKING:
    from ste.tracking.run_writer import TrackedRun


def score_splits(
    settings: ScoringSettings, predictions: Predictions, resamples: int | None = None
) -> dict[str, Scorecard]:
    """Score each split that has rows, on one thread, so that the scores repeat exactly.

    Args:
        settings: of the scores.
        predictions: of one or more splits.
        resamples: of the bootstrap, instead of those of the settings.
    """
    with step("scoring the predictions"), one_thread():
        return {
            split: score(
                predictions.slice_split(split),
                rules=TradingRules.from_settings(settings),
                history=_earlier(predictions, split),
                blocks=settings.blocks,
                resamples=settings.resamples if resamples is None else resamples,
            )
            for split in predictions.splits
        }


def _earlier(predictions: Predictions, split: str) -> Predictions | None:
    """Return the out-of-sample rows before a split, which are the same in a run and in its predictions file."""
    return predictions.slice_split("validation") if split == "test" and "validation" in predictions.splits else None


def judge_run(scores: dict[str, Scorecard], predictions: Predictions, trials: Trials, *, synthetic: bool) -> Verdict:
    """Judge the test split, or validation where there is no test split.

    Args:
        scores: by split.
        predictions: that were scored.
        trials: runs on the same data, this one included.
        synthetic: whether the rows are of a synthetic market.
    """
    split = "test" if "test" in scores else "validation"
    return judge(scores[split], predictions.model, trials, split, predictions.horizon, synthetic=synthetic)


def count_trials(run: "TrackedRun | None", digest: str, scores: dict[str, Scorecard], log: TrialLog) -> Trials:
    """Count the trials on the same data, this one included.

    Args:
        run: tracked run; None without tracking.
        digest: of the data.
        scores: of the run.
        log: keeps the trials on each data set.
    """
    if run is None:
        return Trials(count=len(log.keys(digest)))
    from ste.tracking.earlier_trials import find_trials

    return find_trials(run.client, run.id, digest, scores.get("test"), log.keys(digest))
