"""What a report tells of a run, as plain parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ste.evaluation.explain.integrated_gradients import Attribution
from ste.evaluation.explain.permutation_importance import Importance
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Estimate, Scorecard


@dataclass(frozen=True)
class MemberRow:
    """A member of an ensemble.

    Attributes:
        run_id, name, model: of its own run.
        weight: in the ensemble.
        figures: by split and name.
    """

    run_id: str
    name: str
    model: str
    weight: float
    figures: Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class ReportData:
    """What a page tells of a run; what is empty or None is left out, with a sentence that says so.

    Attributes:
        run_id, name, model: of the run; the model's is the one to print.
        created: ISO, when it began.
        verdict: paragraph of the verdict.
        word: its word.
        scores: by split. `test` is told first, the others as they come, `train` in the tables alone.
        tags: the verdict's figures, as text.
        predictions: out-of-sample rows, for the information coefficients.
        history: figures of each epoch, as `TrendModule.history` has them: `train/loss`, `val/loss` ...
        best_epoch: whose weights are kept, from 0.
        importance: on the held-out split.
        attribution: of a net.
        card: data card.
        config: nested settings.
        provenance: tags of code, versions and machine.
        commands: that repeat it, in order.
        members: of an ensemble, which has no curves and no importance of its own.
        members_told: how they were combined, in words.
    """

    run_id: str
    name: str
    model: str
    created: str
    verdict: str
    word: str
    scores: Mapping[str, Scorecard]
    tags: Mapping[str, str] = field(default_factory=dict)
    predictions: Predictions | None = None
    history: Sequence[Mapping[str, float]] = ()
    best_epoch: int | None = None
    importance: Sequence[Importance] = ()
    attribution: Attribution | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()
    members: Sequence[MemberRow] = ()
    members_told: str = ""

    @property
    def held_out(self) -> dict[str, Scorecard]:
        """Scores of the splits that were not trained on, the test first."""
        names = sorted((name for name in self.scores if name != "train"), key=lambda name: name != "test")
        return {name: self.scores[name] for name in names}

    @property
    def unit(self) -> str:
        """What one period is: `week` or `day`."""
        return next((score.unit for score in self.scores.values()), "week")
