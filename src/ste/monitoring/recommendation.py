"""What to do: nothing, watch, or retrain; and why, in words."""

from dataclasses import dataclass
from typing import Any

from ste.inference.model_card import ModelCard
from ste.monitoring.drift import Drift, Moved
from ste.monitoring.scoring import BETTER, SAME, Record

NOTHING, WATCH, RETRAIN = "nothing has changed", "watch", "retrain"


@dataclass(frozen=True)
class Verdict:
    """Of a model in use.

    Attributes:
        word: `nothing has changed`, `watch` or `retrain`.
        paragraph: why.
        alarm: it is not the first.
    """

    word: str
    paragraph: str

    @property
    def alarm(self) -> bool:
        """Something is to be done."""
        return self.word != NOTHING


@dataclass(frozen=True)
class Page:
    """Everything that `python -m ste.monitor` has to say.

    Attributes:
        card, version: of the model.
        drift: of inputs and predictions.
        record: scores so far, or None.
        verdict: the end of it.
        since, until: first and last date looked at, ISO.
        notes: what was left out, and why.
    """

    card: ModelCard
    version: str
    drift: Drift
    record: Record | None
    verdict: Verdict
    since: str
    until: str
    notes: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "model": {"name": self.card.name, "run_id": self.card.run_id, "version": self.version},
            "trained_to": self.card.trained_to,
            "since": self.since,
            "until": self.until,
            "verdict": {"word": self.verdict.word, "paragraph": self.verdict.paragraph},
            "drift": self.drift.plain(),
            "record": None if self.record is None else self.record.plain(),
            "notes": list(self.notes),
        }


def verdict_of(drift: Drift, record: Record | None) -> Verdict:
    """What follows from drift and scores.

    Retrain where scores are worse than in the test, or where both inputs and predictions have changed; watch
    where something else has moved beyond chance. Inputs that moved do not say that a model is wrong: labels do.

    Args:
        drift: of inputs and predictions.
        record: scores so far, or None where nothing has come.
    """
    inputs = [one for one in drift.at_level("changed") if one.kind == "feature"]
    said = [one for one in drift.at_level("changed") if one.kind != "feature"]
    moved = drift.at_level("watch", "changed")
    if record is not None and record.worse:
        figures = " and ".join(one.name.replace("_", "-") for one in record.worse)
        return Verdict(
            RETRAIN,
            f"Because {figures} is worse than in the {record.split} beyond the intervals. {_also(moved)}".strip(),
        )
    if inputs and said:
        text = f"Because {_names(inputs)} changed, and what the model says changed with it ({_names(said)})"
        unseen = "" if record is not None else "; no outcome is known yet"
        return Verdict(RETRAIN, f"{text}{unseen}. Look at the source first: a feed that broke is mended, not learnt.")
    if moved:
        held = record is not None and record.compared and all(one.word in (SAME, BETTER) for one in record.compared)
        scores = f" The scores so far are as in the {record.split}." if record is not None and held else ""
        return Verdict(WATCH, f"{_names(moved)} moved beyond chance.{scores} {_why(moved)}".strip())
    if not drift.examples:
        return Verdict(NOTHING, "Nothing was predicted yet.")
    periods = f"{drift.periods:,} {drift.unit}{'s' * (drift.periods != 1)}"
    return Verdict(NOTHING, f"Nothing has changed beyond chance in {drift.examples:,} examples of {periods}.")


def _also(moved: tuple[Moved, ...]) -> str:
    return f"Beyond chance moved also: {_names(moved)}." if moved else ""


def _why(moved: tuple[Moved, ...]) -> str:
    constant = [one for one in moved if one.constant]
    if constant:
        never = "never varied in training, so the model has not learnt what it means"
        return f"{_names(constant)} {never}."
    outside = [one for one in moved if one.outside > 0.5]
    if outside:
        return f"Most values of {_names(outside)} lie outside of everything in training: look at the source first."
    return "Look at the source first, then at the market."


def _names(moved: Any, most: int = 3) -> str:
    names = [f"P({one.name})" if one.kind == "probability" else one.name for one in moved]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
