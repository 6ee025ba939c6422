"""Score and judge a file of predictions as a run of STE is scored and judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ste.config import ScoringSettings
from ste.config.file_locations import find_file
from ste.config.judge_settings import JudgeSettings
from ste.data.storage.files import sha256
from ste.errors import DataError
from ste.evaluation.portfolio.rules import TradingRules
from ste.evaluation.predictions import Predictions, is_run_file
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.scoring import score
from ste.evaluation.significance import Trials
from ste.evaluation.verdict import Verdict, judge
from ste.judging.judged_rows import JudgedRows, read_judged_rows

_PORTFOLIO_ONLY = 2  # resamples of a trial of which only the portfolio is needed


@dataclass(frozen=True, eq=False)
class Judgement:
    """The verdict on a file of predictions, and what it is made of.

    Attributes:
        rows: the predictions, where they come from, and what was left out or assumed.
        split: name of the rows.
        card: every metric with its interval and baselines.
        verdict: on the card.
        trials: models that were tried, this one included.
        digest: SHA-256 of the file.
    """

    rows: JudgedRows
    split: str
    card: Scorecard
    verdict: Verdict
    trials: Trials
    digest: str

    @property
    def predictions(self) -> Predictions:
        """The rows as they were scored."""
        return self.rows.predictions

    @property
    def model(self) -> str:
        """Name to print."""
        return self.predictions.model

    @property
    def scores(self) -> dict[str, Scorecard]:
        """The card by the name of its rows."""
        return {self.split: self.card}


def judge_file(what: str, settings: JudgeSettings, key: str = "predictions", name: str | None = None) -> Judgement:
    """Read a file of predictions, score it next to its baselines, and judge it.

    Args:
        what: path, as typed.
        settings: of the command.
        key: the setting, for messages.
        name: of the model, to print; None is the file's, or that of the run.

    Raises:
        DataError: a file, column or value that cannot be used.
    """
    rows = _rows_of(what, settings, key, baselines=True)
    if name is not None:
        rows = replace(rows, predictions=replace(rows.predictions, model=name))
    split = rows.predictions.splits[0]
    card = score_rows(settings.scoring, rows.predictions)
    trials = _trials(settings, card)
    verdict = judge(
        card,
        rows.predictions.model,
        trials,
        split,
        rows.predictions.horizon,
        synthetic=rows.predictions.truth is not None,
    )
    return Judgement(rows, split, card, verdict, trials, sha256(find_file(what, key)))


def score_rows(scoring: ScoringSettings, predictions: Predictions, resamples: int | None = None) -> Scorecard:
    """Score predictions of one split, as those of a run are.

    Args:
        scoring: settings.
        predictions: of one split.
        resamples: of the bootstrap, instead of those of the settings.
    """
    return score(
        predictions,
        rules=TradingRules.from_settings(scoring),
        blocks=scoring.blocks,
        resamples=scoring.resamples if resamples is None else resamples,
    )


def _rows_of(what: str, settings: JudgeSettings, key: str, *, baselines: bool) -> JudgedRows:
    path = find_file(what, key)
    return _of_run(path) if is_run_file(path) else read_judged_rows(what, settings, key, baselines=baselines)


def _of_run(path: Path) -> JudgedRows:
    """Read the predictions of a run of STE: its test split, or validation without one."""
    predictions = Predictions.read(path)
    split = next((name for name in ("test", "validation") if name in predictions.splits), None)
    if split is None:
        raise DataError(f"{path}: has no rows of validation or test. Expected a predictions.parquet of a run.")
    note = f"predictions of a run of STE, its {split} split, with the baselines of the run"
    return JudgedRows(predictions.slice_split(split), str(path), "a run of STE", [note])


def _trials(settings: JudgeSettings, card: Scorecard) -> Trials:
    """Return the trials: their number, or those of files with the portfolios on the same dates."""
    if isinstance(settings.trials, int):
        return Trials(settings.trials)
    others = [
        score_rows(settings.scoring, _rows_of(what, settings, "trials", baselines=False).predictions, _PORTFOLIO_ONLY)
        for what in settings.trials
    ]
    count = 1 + len(others)
    if card.portfolio is None or "portfolio_sharpe" not in card.figures:
        return Trials(count)
    cards = [card, *_on_same_dates(card, others)]
    sharpes = tuple(one.figures["portfolio_sharpe"].value for one in cards if "portfolio_sharpe" in one.figures)
    returns = [one.portfolio.returns for one in cards if one.portfolio is not None]
    return Trials(count, 0, sharpes, np.array(returns).T if len(returns) > 1 else None)


def _on_same_dates(card: Scorecard, others: Sequence[Scorecard]) -> list[Scorecard]:
    assert card.portfolio is not None
    return [one for one in others if one.portfolio is not None and one.portfolio.dates == card.portfolio.dates]
