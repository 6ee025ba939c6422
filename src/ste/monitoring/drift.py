"""Drift reports: compare binned counts with the reference distributions of a model card."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ste.inference.reference import ReferenceDistributions
from ste.inference.stability import CHANGED, WATCH, effective_periods, expected_rows, largest_window_psi, p_value, psi
from ste.inference.watched_columns import watched_description

SIGNIFICANCE = 0.01
"""Nominal probability of an alarm without drift, for all columns together; `studies.drift` measures it."""
LEVELS = ("steady", "within chance", "watch", "changed")
"""PSI below 0.1; above 0.1 but not significant; significant and above 0.1; significant and above 0.25."""
ALARM_LEVELS = LEVELS[2:]


@dataclass(frozen=True)
class ColumnDrift:
    """Drift of one watched column.

    Attributes:
        name: feature or class, or `predicted class`.
        kind: `feature`, `probability` or `predicted`.
        psi: population stability index.
        p: probability of a PSI at least this large without drift.
        outside: fraction of the examples below or above the reference's range.
        level: one of `LEVELS`.
        watched_as: description of the transform that is watched.
        constant: whether the column has a single value in the reference.
    """

    name: str
    kind: str
    psi: float
    p: float
    outside: float
    level: str
    watched_as: str
    constant: bool = False

    @property
    def title(self) -> str:
        """Name for display; `P(class)` for a class probability."""
        return f"P({self.name})" if self.kind == "probability" else self.name


@dataclass(frozen=True)
class DriftReport:
    """Drift of inputs and predictions.

    Attributes:
        examples: number of examples.
        periods: number of distinct periods of the examples.
        unit: unit of a period, `week`, `day` or `month`.
        effective_periods: number of equally filled periods with the same information (Kish 1965).
        columns: drift of every watched column, sorted by level, then PSI, largest first.
        class_fractions: fraction of each class among the predicted classes.
        alarm: whether a column is at one of `ALARM_LEVELS`.
        summary: the result as text.
    """

    examples: int
    periods: int
    unit: str
    effective_periods: float
    columns: tuple[ColumnDrift, ...]
    class_fractions: dict[str, float]
    alarm: bool
    summary: str

    def at_level(self, *levels: str) -> tuple[ColumnDrift, ...]:
        """Select the columns at one of these levels."""
        return tuple(column for column in self.columns if column.level in levels)

    def to_dict(self) -> dict[str, Any]:
        """Convert to nested dicts of plain values."""
        return asdict(self)


def drift_report(
    reference: ReferenceDistributions, counts: np.ndarray, rows: np.ndarray, unit: str = "week"
) -> DriftReport:
    """Compare counted examples with the reference.

    Args:
        reference: reference distributions of the model.
        counts: examples in each bin, int `[K, D]` (`ReferenceDistributions.counts`).
        rows: number of examples of each period, `[P]`.
        unit: unit of a period.
    """
    examples, periods = int(np.sum(rows)), int(np.count_nonzero(rows))
    effective = effective_periods(rows)
    columns = [_column_drift(reference, counts[k], k, effective) for k in range(len(reference.columns))]
    columns = sorted(columns, key=lambda one: (-LEVELS.index(one.level), -one.psi)) if examples else []
    predicted = counts[-1][1 : 1 + len(reference.classes)] / max(examples, 1)
    return DriftReport(
        examples=examples,
        periods=periods,
        unit=unit,
        effective_periods=effective,
        columns=tuple(columns),
        class_fractions=dict(zip(reference.classes, predicted.tolist(), strict=True)),
        alarm=any(one.level in ALARM_LEVELS for one in columns),
        summary=_summary(columns, examples, periods, unit),
    )


def _column_drift(reference: ReferenceDistributions, counts: np.ndarray, k: int, periods: float) -> ColumnDrift:
    column = reference.columns[k]
    observed, expected = reference.folded(counts, k)
    n, m = int(observed.sum()), int(expected.sum())
    # A week that was requested a thousand times has no more information than the reference's rows of a week.
    counted = min(n, expected_rows(column.window_psi, periods))
    value = float(psi(expected, observed * (counted / max(n, 1))))
    p = p_value(value, column.window_psi, len(observed), m, n, periods)
    significant = p <= SIGNIFICANCE / len(reference.columns) and value > largest_window_psi(column.window_psi, periods)
    if value < WATCH:
        level = LEVELS[0]
    elif not significant:
        level = LEVELS[1]
    else:
        level = LEVELS[3] if value >= CHANGED else LEVELS[2]
    size = len(column.counts)
    outside = float(counts[0] + counts[size + 1 :].sum()) / max(n, 1)
    watched_as = ""
    if column.kind == "feature":
        watched_as = watched_description(column.name, reference.forms, flat=not reference.windowed)
    return ColumnDrift(column.name, column.kind, value, p, outside, level, watched_as, column.constant)


def _summary(columns: list[ColumnDrift], examples: int, periods: int, unit: str) -> str:
    if not examples:
        return "No predictions yet, so there is nothing to compare."
    scope = f"{count_of(examples, 'example')} of {count_of(periods, unit)}"
    drifted = [one for one in columns if one.level in ALARM_LEVELS]
    by_chance = [one for one in columns if one.level == LEVELS[1]]
    if drifted:
        text = f"{scope}: {_list(drifted)} drifted from the training data by more than chance."
    else:
        text = f"{scope}: no column drifted by more than chance."
    if by_chance:
        text += f" {_list(by_chance)}: the index is above {WATCH:g}, as for parts of the training data of this length."
    return text


def _list(columns: list[ColumnDrift], maximum: int = 4) -> str:
    names = [f"{one.title} (PSI {one.psi:.2f})" for one in columns[:maximum]]
    more = len(columns) - maximum
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def count_of(number: int, unit: str) -> str:
    """Format a number with its unit, `1 week` or `1,024 weeks`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
