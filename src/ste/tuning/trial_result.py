"""A trial of a sweep and its result, in plain values that can be sent between processes."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ste.evaluation.scorecard import Estimate
from ste.reporting.formatting import Cell, cell

FINISHED, PRUNED, FAILED, LOST = "finished", "pruned", "failed", "lost"
SHOWN = ("accuracy", "mcc", "log_loss")
"""Metrics of the table, each with its confidence interval if it has one."""

Interval = tuple[float, float | None, float | None]
"""Value, lower and upper bound."""


@dataclass(frozen=True)
class SweepTrial:
    """One combination of values to train with.

    Attributes:
        number: from 0; of a search, Optuna's own.
        values: override key to value, both as typed.
    """

    number: int
    values: dict[str, str]

    @property
    def name(self) -> str:
        """The values in short: `optimizer=sgd lr=0.00123`."""
        return " ".join(brief(key, value) for key, value in self.values.items()) or "(no values)"


@dataclass(frozen=True)
class TrialResult:
    """Result of a trial.

    Attributes:
        status: `finished`, `pruned`, `failed`, or `lost` if its process died.
        value: monitored metric at the selected epoch; None unless finished.
        run_id: MLflow run, if tracked.
        figures: `accuracy`, `mcc`, `log_loss` with intervals, of the test split, or of validation without a test.
        split: split of the figures.
        rows: digest of the tables and number of validation examples: values on different rows are not comparable.
        seconds: duration of the fit.
        checkpoint: whether the run has a single best checkpoint.
        verdict: word of the verdict on that split.
        error: message in one line.
        mistake: whether the user can fix the error.
    """

    status: str
    value: float | None = None
    run_id: str | None = None
    figures: dict[str, Interval] = field(default_factory=dict)
    split: str = "test"
    rows: str = ""
    seconds: float | None = None
    checkpoint: bool = True
    verdict: str = ""
    error: str = ""
    mistake: bool = False

    def cell(self, name: str) -> Cell:
        """Return the table cell of a metric; `-` where it is missing."""
        return cell(Estimate(*self.figures[name]), name) if name in self.figures else Cell("-")

    def figure_text(self, name: str) -> str:
        """Format a metric with its confidence interval; `-` where it is missing."""
        shown = self.cell(name)
        return f"{shown.text} {shown.interval}".rstrip()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrialResult":
        """Create from its fields, also after JSON."""
        return cls(**{**values, "figures": {key: tuple(value) for key, value in values["figures"].items()}})


@dataclass(frozen=True)
class TrialRow:
    """A trial with its result: one row of a sweep's table."""

    trial: SweepTrial
    result: TrialResult


def best(rows: list[TrialRow], mode: str) -> TrialRow | None:
    """Return the finished trial with the best value; the first of equal ones.

    Args:
        rows: of a sweep.
        mode: whether the value is better `min` or `max`.
    """
    finished = [row for row in rows if row.result.status == FINISHED and row.result.value is not None]
    return ranked(finished, mode)[0] if finished else None


def ranked(rows: list[TrialRow], mode: str) -> list[TrialRow]:
    """Sort by value, best first; trials without a value come last in the order of their numbers.

    Args:
        rows: of a sweep.
        mode: whether the value is better `min` or `max`.
    """
    sign = 1.0 if mode == "min" else -1.0

    def sort_key(row: TrialRow) -> tuple[bool, float, int]:
        value = row.result.value
        return value is None, 0.0 if value is None else sign * value, row.trial.number

    return sorted(rows, key=sort_key)


def count_by_status(rows: list[TrialRow]) -> dict[str, int]:
    """Count trials by status; lost trials count as failed."""
    statuses = [row.result.status for row in rows]
    failed = statuses.count(FAILED) + statuses.count(LOST)
    return {FINISHED: statuses.count(FINISHED), FAILED: failed, PRUNED: statuses.count(PRUNED)}


def exit_code(rows: list[TrialRow]) -> int:
    """Exit code of a sweep: 0 if no trial failed, 2 if the user can fix all failures, else 1."""
    failed = [row.result for row in rows if row.result.status in (FAILED, LOST)]
    if not failed:
        return 0
    return 2 if all(result.mistake for result in failed) else 1


def brief(key: str, value: str) -> str:
    """Shorten an override: `optimizer.lr`, `0.00123456` to `lr=0.00123`; a path to its last part."""
    short = value.rsplit("/", 1)[-1]
    with suppress(ValueError):
        short = short if short.lstrip("-").isdigit() else f"{float(short):.3g}"
    return f"{key.lstrip('+').rsplit('.', 1)[-1]}={short}"
