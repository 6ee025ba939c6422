"""Which run of an experiment is the best one, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from ste.evaluation.verdict_levels import LEVELS

SHORT_ID = 8
"""Characters of a run ID that tables and sentences show; `run=` accepts them."""


@dataclass(frozen=True)
class RunChoice:
    """A run that can be selected.

    Attributes:
        run_id: MLflow's ID.
        model: name to print.
        word: of its verdict, one of `LEVELS`, or empty.
    """

    run_id: str
    model: str
    word: str

    @property
    def level(self) -> int:
        """Position of the verdict, 0 is the best; a run without one comes last."""
        return LEVELS.index(self.word) if self.word in LEVELS else len(LEVELS)

    def __str__(self) -> str:
        return f"{self.run_id[:SHORT_ID]} ({self.model})"


def choice_text(ranked: Sequence[RunChoice]) -> str:
    """State which run is the best one, by what, and whether another run has a better verdict.

    Args:
        ranked: runs on the same rows, lowest validation log-loss first; at least one.
    """
    first = ranked[0]
    verdict = f'verdict "{first.word}"' if first.word else "without a verdict"
    text = f"Best by validation log-loss: {first}, {verdict}."
    other = min(ranked, key=lambda run: run.level)
    if other.level >= first.level:
        return text
    return (
        f'{text} {other} has the better verdict "{other.word}". Validation decides: a choice by the scores that the '
        "verdict tests selects the luckiest run, and its scores are too high."
    )
