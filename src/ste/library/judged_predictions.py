"""What `ste.judge` gives: verdict, scores and page of predictions that any tool made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from ste.config.judge_settings import JudgeSettings
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.verdict import Verdict
from ste.judging.judgement import Judgement
from ste.library.notebook_html import html_list, html_table
from ste.reporting.formatting import cell, who

if TYPE_CHECKING:
    from ste.judging.paired_scores import PairedScores
    from ste.library.report_document import ReportDocument


@dataclass(frozen=True, eq=False)
class JudgedPredictions:
    """Predictions that were scored and judged.

    Attributes:
        judgement: as `python -m ste.judge` has it.
        settings: of it.
        where: the file, or what the table is called in messages.
    """

    judgement: Judgement = field(repr=False)
    settings: JudgeSettings = field(repr=False)
    where: str

    @property
    def verdict(self) -> Verdict:
        """The verdict: `word`, `headline`, `points`, `details`; `str()` is its text."""
        return self.judgement.verdict

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, found or assumed, a sentence each."""
        return tuple(self.judgement.rows.notes)

    @property
    def scorecard(self) -> Scorecard:
        """Every metric with its interval, baselines, gains and portfolio."""
        return self.judgement.card

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The scored rows with their outcomes and baselines, as `RunResult.predictions`."""
        return self.judgement.predictions.frame.copy()

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every metric of the model and the baselines: `value`, `low` and `high`, a row for each model and metric."""
        card = self.judgement.card
        rows = {
            (name, metric): {"value": one.value, "low": one.low, "high": one.high}
            for name, figures in [(self.judgement.model, card.figures), *card.baselines.items()]
            for metric, one in figures.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["model", "metric"])

    def report(self) -> "ReportDocument":
        """Return the page, which loads nothing; `.save(path)` writes it."""
        from ste.judging.judgement_page import judgement_page
        from ste.library.report_document import ReportDocument

        return ReportDocument(judgement_page(self.judgement, self.settings, f"ste.judge({self.where!r}, ...)"))

    def compare(self, other: "JudgedPredictions") -> "PairedScores":
        """Compare with other predictions on the common rows; `.differences` is the table.

        Args:
            other: judged with the same outcomes.

        Raises:
            DataError: other classes or outcomes, or no common row.
        """
        from ste.judging.paired_scores import pair

        return pair(self.judgement, other.judgement, self.settings.scoring)

    def __repr__(self) -> str:
        return f"{self.judgement.model}: {self.verdict}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdict, the scores next to the baselines, and the notes."""
        card, model = self.judgement.card, self.judgement.model
        everyone: Mapping[str, Mapping[str, Estimate]] = {model: card.figures, **card.baselines}
        shown = pd.DataFrame({who(name, model): _cells(figures) for name, figures in everyone.items()}).T
        caption = f"{card.examples:,} predictions, {card.periods:,} {card.unit}s"
        table = html_table(shown, caption)
        headline = f"<p><b>{escape(self.verdict.headline)}</b></p>"
        return f"{headline}{html_list(self.verdict.points)}{table}{html_list(self.notes)}"


def _cells(figures: Mapping[str, Estimate]) -> dict[str, str]:
    accuracy = cell(figures.get("accuracy"), "accuracy")
    names = {"mcc": "MCC", "auroc": "AUROC", "log_loss": "log-loss"}
    others = {title: cell(figures.get(name), name).text for name, title in names.items()}
    return {"accuracy": accuracy.text, "95 % interval": accuracy.interval, **others}
