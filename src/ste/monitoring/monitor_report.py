"""The complete report of `python -m ste.monitor`."""

from dataclasses import dataclass
from typing import Any

from ste.inference.model_card import ModelCard
from ste.inference.training_data import synthetic_warning
from ste.monitoring.drift import DriftReport
from ste.monitoring.recommendation import Recommendation
from ste.monitoring.track_record import TrackRecord


@dataclass(frozen=True)
class MonitorReport:
    """Drift, track record and recommendation of a deployed model.

    Attributes:
        card, version: model card and version of the model.
        drift: drift of inputs and predictions.
        record: out-of-sample scores; None without outcomes.
        recommendation: recommended action.
        since, until: first and last date covered, ISO.
        notes: what was left out, and why.
    """

    card: ModelCard
    version: str
    drift: DriftReport
    record: TrackRecord | None
    recommendation: Recommendation
    since: str
    until: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Convert to nested dicts of plain values."""
        return {
            "model": {"name": self.card.name, "run_id": self.card.run_id, "version": self.version},
            "trained_to": self.card.trained_to,
            "warning": synthetic_warning(self.card),
            "since": self.since,
            "until": self.until,
            "recommendation": {"action": self.recommendation.action, "reason": self.recommendation.reason},
            "drift": self.drift.to_dict(),
            "record": None if self.record is None else self.record.to_dict(),
            "notes": list(self.notes),
        }
