"""The data of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.verdict import Verdict
from ste.schema import SYNTHETIC_SOURCES

if TYPE_CHECKING:  # they import torch
    from ste.evaluation.explain.group_value import GroupValue
    from ste.evaluation.explain.integrated_gradients import Attribution
    from ste.evaluation.explain.permutation_importance import Importance


@dataclass(frozen=True)
class MemberRow:
    """A member of an ensemble.

    Attributes:
        run_id, name, model: of its own run.
        weight: in the ensemble.
        figures: metrics by split and name.
    """

    run_id: str
    name: str
    model: str
    weight: float
    figures: Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class ReportData:
    """The data of a run's report; a section without data has a sentence instead.

    Attributes:
        run_id, name, model: of the run; the model's is the one to print.
        created: ISO, time of the start.
        verdict: on the first of the scores outside training.
        scores: by split. `test` comes first, `train` is in the tables only.
        predictions: out-of-sample rows, for the information coefficients.
        history: metrics of each epoch, as in `TrendModule.history`: `train/loss`, `val/loss` ...
        best_epoch: epoch of the weights, from 0.
        importance: on a held-out split.
        attribution: of a net.
        groups: what groups of columns are worth, as the run measured them.
        card: data card.
        config: nested settings.
        provenance: tags of code, versions and machine.
        commands: that repeat the run, in order.
        members: of an ensemble, which has no curves and no importance of its own.
        members_text: how the members were combined.
        judged: it is of predictions that another tool made, so that features and training are unknown.
    """

    run_id: str
    name: str
    model: str
    created: str
    verdict: Verdict
    scores: Mapping[str, Scorecard]
    card: Mapping[str, Any]
    config: Mapping[str, Any]
    commands: Sequence[str]
    predictions: Predictions | None = None
    history: Sequence[Mapping[str, float]] = ()
    best_epoch: int | None = None
    importance: "Sequence[Importance]" = ()
    attribution: "Attribution | None" = None
    groups: "Sequence[GroupValue]" = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    members: Sequence[MemberRow] = ()
    members_text: str = ""
    judged: bool = False

    @property
    def held_out(self) -> dict[str, Scorecard]:
        """Scores of the splits outside training, the test first."""
        names = sorted((name for name in self.scores if name != "train"), key=lambda name: name != "test")
        return {name: self.scores[name] for name in names}

    @property
    def synthetic(self) -> bool:
        """Whether the rows are of a synthetic market, whose portfolio is worth nothing."""
        return self.card["source"] in SYNTHETIC_SOURCES

    @property
    def unit(self) -> str:
        """Unit of a period: `week` or `day`."""
        return next(iter(self.scores.values())).unit
