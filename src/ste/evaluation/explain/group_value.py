"""What a group of columns is worth to a run: by permutation, and by training again without it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ste.evaluation.scorecard import Estimate
from ste.evaluation.verdict import Verdict
from ste.evaluation.verdict_text import estimate, number

_RETRAINED = "retrained without them"
_NAMED = 3
"""Groups that a verdict describes one by one."""


@dataclass(frozen=True)
class ScoreChange:
    """What predictions lose without some columns, above 0 where the columns help.

    Attributes:
        log_loss: rise of the mean log-loss, nats.
        accuracy: drop of the accuracy.
    """

    log_loss: Estimate
    accuracy: Estimate


@dataclass(frozen=True)
class GroupValue:
    """The value of a group of columns.

    Attributes:
        name: of the group.
        columns: number of its columns.
        own: whether they are the user's, in no set of the package.
        split: where they are permuted.
        periods: number of the split's periods.
        permuted: loss when the group is permuted jointly; None where the model reads no features.
        retrained: loss of the same model trained without the group, by split; empty where it was not.
        why_not: why it was not retrained, where that was asked for.
    """

    name: str
    columns: int
    own: bool
    split: str
    periods: int
    permuted: ScoreChange | None = None
    retrained: Mapping[str, ScoreChange] = field(default_factory=dict)
    why_not: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "GroupValue":
        """Restore from `to_dict`."""
        retrained = {split: _loss(one) for split, one in values["retrained"].items()}
        permuted = None if values["permuted"] is None else _loss(values["permuted"])
        return cls(**{**values, "permuted": permuted, "retrained": retrained})

    @property
    def decisive(self) -> ScoreChange | None:
        """The change that the sentence states: retrained, else permuted."""
        return self.retrained.get(self.split) or self.permuted

    @property
    def sentence(self) -> str:
        """What the columns add, in words with figures; empty where nothing was measured."""
        permuted, retrained, decisive = self.permuted, self.retrained.get(self.split), self.decisive
        if decisive is None:
            return ""
        figures = [
            f"{how} {'+' * (loss.log_loss.value >= 0)}{estimate(loss.log_loss, number)}"
            for how, loss in (("permuted", permuted), (_RETRAINED, retrained))
            if loss is not None
        ]
        measured = f"log-loss on {self.split}, {', '.join(figures)}"
        many = self.columns > 1
        columns = f"The {self.columns} columns of {self.name}" if many else f"The column of {self.name}"
        nothing = f"{'add' if many else 'adds'} nothing measurable"
        side = _side(decisive.log_loss)
        if side == "above":
            return f"{columns} {'help' if many else 'helps'}: without, the predictions are worse ({measured})."
        if side == "below":
            return f"{columns} {'make' if many else 'makes'} the predictions worse ({measured})."
        if retrained is not None and permuted is not None and _side(permuted.log_loss) == "above":
            used = f"{'are' if many else 'is'} used, and {nothing}"
            return f"{columns} {used} that the other columns do not have ({measured})."
        return f"{columns} {nothing} ({measured})."


def with_columns(verdict: Verdict, values: Sequence[GroupValue]) -> Verdict:
    """Add what the user's columns are worth to the points of a verdict; its word and headline stay.

    Args:
        verdict: of a run; an inconclusive one is returned as it is.
        values: of its groups; the three that change the log-loss most are described, the others counted.
    """
    own = [(one, one.decisive) for one in values if one.own]
    measured = [(one, change.log_loss) for one, change in own if change is not None]
    if verdict.word == "inconclusive" or not measured:
        return verdict
    largest = sorted(measured, key=lambda pair: -abs(pair[1].value))
    sentences = [one.sentence for one, _ in largest[:_NAMED]]
    if others := [loss for _, loss in largest[_NAMED:]]:
        useful = sum(_side(loss) == "above" for loss in others)
        sentences.append(f"Groups of measurable use among the other {len(others)}: {useful}.")
    return replace(verdict, points=(*verdict.points, *sentences))


def _side(figure: Estimate) -> str:
    if figure.low is not None and figure.low > 0:
        return "above"
    return "below" if figure.high is not None and figure.high < 0 else "within"


def _loss(values: Mapping[str, Any]) -> ScoreChange:
    return ScoreChange(Estimate(**values["log_loss"]), Estimate(**values["accuracy"]))
