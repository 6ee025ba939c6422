"""The result of combining tracked runs."""

from dataclasses import asdict, dataclass
from typing import Any

from ste.evaluation.cross_fit import BLOCKS
from ste.evaluation.scorecard import Gain, Scorecard
from ste.evaluation.significance import TESTED
from ste.evaluation.verdict_text import gain_text, number
from ste.experiment.train_result import Result

_METHOD_TEXT = {
    "average": "Mean of the members' probabilities",
    "validation": "Mean of the members' probabilities, weighted by their gain on majority's validation log-loss",
    "stacked": "Logistic regression on the members' log-probabilities",
}


@dataclass(frozen=True, kw_only=True)
class EnsembleResult(Result):
    """The result of combining tracked runs; its scores are compared with the reference baselines.

    Attributes:
        method: of combining.
        members: titles of the members, in order.
        weights: of each member, mean over folds; exponents for `stacked`.
        best_member: title of the member with the lowest validation log-loss.
        over_best: gains over that member on the test split (or validation), by figure.
        fitted_loss: log-loss on the validation rows that the combination was fitted on; None for `average`.
        member_scores: by split, compared with the members as well; not in the summary.
    """

    method: str
    members: list[str]
    weights: list[float]
    best_member: str
    over_best: dict[str, Gain]
    fitted_loss: float | None
    member_scores: dict[str, Scorecard]

    @property
    def description(self) -> str:
        """How the members are weighted, which rows that was fitted on, and the gain over the best member."""
        word = "exponents" if self.method == "stacked" else "weights"
        listed = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(self.members, self.weights, strict=True))
        out = [f"{_METHOD_TEXT[self.method]}, {word}: {listed}."]
        if self.fitted_loss is not None:
            validation = self.scores["validation"]
            out.append(
                f"They are fitted on the validation rows. The validation figures are cross-fitted over {BLOCKS} "
                f"blocks of {validation.unit}s: log-loss {validation.figures['log_loss'].value:.4f}; in sample it is "
                f"{self.fitted_loss:.4f}, which is too optimistic."
            )
        split = "test" if "test" in self.scores else "validation"
        gains = [
            f"{TESTED[name]} {gain_text(gain, number, '')}" for name, gain in self.over_best.items() if name in TESTED
        ]
        out.append("The members' epochs were selected on validation rows, and their temperatures fitted.")
        out.append(f"Gain over the best member by validation, {self.best_member}, on {split}: {', '.join(gains)}.")
        return " ".join(out)

    @property
    def lines(self) -> list[str]:
        """Facts of the run for the end of the command's output and for the log, one line each."""
        return [f"trial {self.trials} on this data, its members among them"]

    def summary(self, *without: str) -> dict[str, Any]:
        """Return the content of `summary.json`."""
        out = super().summary(*without, "member_scores")
        return out | {"over_best": {name: asdict(gain) for name, gain in self.over_best.items()}}
