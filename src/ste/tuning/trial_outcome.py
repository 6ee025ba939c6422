"""A trial and what came of it, in plain values that travel between processes."""

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

FINISHED, PRUNED, FAILED, LOST = "finished", "pruned", "failed", "lost"
SHOWN = ("accuracy", "mcc", "log_loss")
"""Figures of the table, each with its interval where it has one."""

Interval = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class Trial:
    """One trial to make.

    Attributes:
        number: from 0; a search's own.
        values: override key to value, both as they are typed.
    """

    number: int
    values: dict[str, str]

    @property
    def name(self) -> str:
        """The values in brief: `optimizer=sgd lr=0.00123`."""
        return " ".join(brief(key, value) for key, value in self.values.items()) or "(no values)"


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        status: `finished`, `pruned`, `failed`, or `lost` where its process died without a word.
        value: of the monitored figure at the kept epoch; None unless finished.
        run_id: MLflow's, where tracked.
        figures: `accuracy`, `mcc`, `log_loss` of the test split, or of validation where there is none, as value
            and interval.
        split: that they are of.
        rows: digest of the tables and number of validation examples: values on different rows do not compare.
        seconds: of the fit.
        checkpoint: whether the run holds a single best checkpoint.
        error: in one line; `mistake` says that a person can mend it.
        mistake: see above.
    """

    status: str
    value: float | None = None
    run_id: str | None = None
    figures: dict[str, Interval] = field(default_factory=dict)
    split: str = "test"
    rows: str = ""
    seconds: float | None = None
    checkpoint: bool = True
    error: str = ""
    mistake: bool = False

    def plain(self) -> dict[str, Any]:
        """As a dict of plain values, for JSON."""
        return asdict(self)

    @classmethod
    def read(cls, values: dict[str, Any]) -> "Outcome":
        """Back from `plain`, also by way of JSON."""
        return cls(**{**values, "figures": {key: tuple(value) for key, value in values["figures"].items()}})


@dataclass(frozen=True)
class Row:
    """A line of a sweep's table."""

    trial: Trial
    outcome: Outcome


def best(rows: list[Row], mode: str) -> Row | None:
    """The finished trial with the best value; the earliest of equals."""
    finished = [row for row in rows if row.outcome.status == FINISHED and row.outcome.value is not None]
    return ranked(finished, mode)[0] if finished else None


def ranked(rows: list[Row], mode: str) -> list[Row]:
    """Best first; what has no value last, in the order of trials.

    Args:
        rows: of a sweep.
        mode: whether the value is better `min` or `max`.
    """
    sign = 1.0 if mode == "min" else -1.0

    def place(row: Row) -> tuple[bool, float, int]:
        value = row.outcome.value
        return value is None, 0.0 if value is None else sign * value, row.trial.number

    return sorted(rows, key=place)


def counts(rows: list[Row]) -> dict[str, int]:
    """Trials by status; lost ones count as failed."""
    statuses = [row.outcome.status for row in rows]
    failed = statuses.count(FAILED) + statuses.count(LOST)
    return {FINISHED: statuses.count(FINISHED), FAILED: failed, PRUNED: statuses.count(PRUNED)}


def exit_code(rows: list[Row]) -> int:
    """0 where nothing failed, 2 where all that failed are mistakes a person can mend, else 1."""
    failed = [row.outcome for row in rows if row.outcome.status in (FAILED, LOST)]
    if not failed:
        return 0
    return 2 if all(outcome.mistake for outcome in failed) else 1


def brief(key: str, value: str) -> str:
    """`optimizer.lr`, `0.00123456` as `lr=0.00123`; a path as its last part."""
    short = value.rsplit("/", 1)[-1]
    with suppress(ValueError):
        short = short if short.lstrip("-").isdigit() else f"{float(short):.3g}"
    return f"{key.lstrip('+').rsplit('.', 1)[-1]}={short}"
