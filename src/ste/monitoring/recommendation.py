"""Recommend an action from drift and track record: none, watch, or retrain."""

from collections.abc import Sequence
from dataclasses import dataclass

from ste.monitoring.drift import ALARM_LEVELS, ColumnDrift, DriftReport, count_of
from ste.monitoring.track_record import BETTER, SAME, TrackRecord

NO_CHANGE, WATCH, RETRAIN = "no change", "watch", "retrain"


@dataclass(frozen=True)
class Recommendation:
    """Recommended action for a deployed model.

    Attributes:
        action: `no change`, `watch` or `retrain`.
        reason: explanation as text.
    """

    action: str
    reason: str

    @property
    def alarm(self) -> bool:
        """Whether the action is not `no change`."""
        return self.action != NO_CHANGE


def recommend(drift: DriftReport, record: TrackRecord | None) -> Recommendation:
    """Recommend an action.

    Retrain if a metric is worse than in the test, or if both inputs and predictions changed. Watch if anything else
    drifted beyond chance: drifted inputs alone do not show that a model is wrong, outcomes do.

    Args:
        drift: drift of inputs and predictions.
        record: out-of-sample scores; None without outcomes.
    """
    inputs = [one for one in drift.at_level("changed") if one.kind == "feature"]
    outputs = [one for one in drift.at_level("changed") if one.kind != "feature"]
    drifted = drift.at_level(*ALARM_LEVELS)
    if record is not None and record.worse:
        metrics = " and ".join(one.name.replace("_", "-") for one in record.worse)
        verb = "is" if len(record.worse) == 1 else "are"
        reason = f"{metrics[0].upper()}{metrics[1:]} {verb} worse than in the {record.split} beyond the intervals."
        return Recommendation(
            RETRAIN, reason + (f" Also beyond chance: drift of {_names(drifted)}." if drifted else "")
        )
    if inputs and outputs:
        unknown = "" if record is not None else "; no outcome is known yet"
        return Recommendation(
            RETRAIN,
            f"The inputs {_names(inputs)} and the predictions ({_names(outputs)}) changed{unknown}. Check the data "
            "source first: fix a broken feed before you retrain.",
        )
    if drifted:
        same = record is not None and record.comparisons and all(c.result in (SAME, BETTER) for c in record.comparisons)
        scores = f" The out-of-sample scores are as in the {record.split}." if record is not None and same else ""
        return Recommendation(WATCH, f"{_names(drifted)} drifted beyond chance.{scores} {_advice(drifted)}")
    if not drift.examples:
        return Recommendation(NO_CHANGE, "No predictions yet.")
    scope = f"{count_of(drift.examples, 'example')} of {count_of(drift.periods, drift.unit)}"
    return Recommendation(NO_CHANGE, f"No drift beyond chance in {scope}.")


def _advice(drifted: Sequence[ColumnDrift]) -> str:
    constant = [one for one in drifted if one.constant]
    if constant:
        return f"{_names(constant)} never varied in training, so the model cannot interpret the new values."
    outside = [one for one in drifted if one.outside > 0.5]
    if outside:
        return f"Most values of {_names(outside)} lie outside the range of training: check the data source first."
    return "Check the data source first, then the market."


def _names(columns: Sequence[ColumnDrift], maximum: int = 3) -> str:
    names = [one.title for one in columns]
    more = len(names) - maximum
    return ", ".join(names[:maximum]) + (f" and {more} more" if more > 0 else "")
