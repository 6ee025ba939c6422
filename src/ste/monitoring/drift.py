"""From counts to what has moved, in figures and in words."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ste.inference.reference import ReferenceDistributions
from ste.inference.stability import CHANGED, WATCH, effective_periods, expected_rows, largest_window_psi, p_value, psi
from ste.inference.watched_columns import watched_description

LEVEL = 0.01
"""Nominal share of looks at data without drift that alarm, all columns together; `studies.drift` counts them."""
LEVELS = ("steady", "within chance", "watch", "changed")
"""PSI below 0.1; above, as chance gives it; above 0.1 and beyond chance; above 0.25 and beyond chance."""


@dataclass(frozen=True)
class Moved:
    """How far one distribution has moved.

    Attributes:
        name: of the feature or class, or `predicted class`.
        kind: `feature`, `probability` or `predicted`.
        psi: population stability index.
        p: probability of one as large by chance alone.
        outside: share of the examples below or above everything in the reference.
        level: one of `LEVELS`.
        watched: the figure that is watched, in words.
        constant: it never varied in the reference.
    """

    name: str
    kind: str
    psi: float
    p: float
    outside: float
    level: str
    watched: str
    constant: bool = False


@dataclass(frozen=True)
class Drift:
    """What has moved of inputs and predictions.

    Attributes:
        examples: looked at.
        periods: that they are of; `unit` of one: `week` or `day`.
        worth: periods that they are worth, unequally filled as they are.
        moved: worst first: by level, then by PSI.
        shares: of each class among the predicted ones, and `expected`: in the reference.
        alarm: something is beyond chance and beyond the first threshold.
        told: in words.
    """

    examples: int
    periods: int
    unit: str
    worth: float
    moved: tuple[Moved, ...]
    shares: dict[str, float]
    expected: dict[str, float]
    alarm: bool
    told: str

    def at_level(self, *levels: str) -> tuple[Moved, ...]:
        """What is at one of these levels."""
        return tuple(one for one in self.moved if one.level in levels)

    def plain(self) -> dict[str, Any]:
        """As nested dicts of plain numbers."""
        return asdict(self)


def drift_of(reference: ReferenceDistributions, counts: np.ndarray, rows: np.ndarray, unit: str = "week") -> Drift:
    """Compare what was seen with the reference.

    Args:
        reference: of the model.
        counts: examples in each bin, int `[K, D]` (`ReferenceDistributions.counts`).
        rows: examples of each period `[P]`.
        unit: of a period, in words.
    """
    examples, seen = int(np.sum(rows)), int(np.count_nonzero(rows))
    value = effective_periods(rows)
    moved = [_moved(reference, counts[k], k, value) for k in range(len(reference.columns))] if examples else []
    moved.sort(key=lambda one: (-LEVELS.index(one.level), -one.psi))
    alarm = any(one.level in LEVELS[2:] for one in moved)
    last = reference.columns[-1]
    expected = np.array(last.counts) / max(sum(last.counts), 1)
    shares = counts[-1][1 : 1 + len(reference.classes)] / max(examples, 1)
    return Drift(
        examples=examples,
        periods=seen,
        unit=unit,
        worth=value,
        moved=tuple(moved),
        shares={name: float(share) for name, share in zip(reference.classes, shares, strict=True)},
        expected={name: float(share) for name, share in zip(reference.classes, expected, strict=True)},
        alarm=alarm,
        told=_told(moved, examples, seen, unit, reference),
    )


def _moved(reference: ReferenceDistributions, counts: np.ndarray, k: int, periods: float) -> Moved:
    column = reference.columns[k]
    found, expected = reference.folded(counts, k)
    n, m = int(found.sum()), int(expected.sum())
    counted = min(n, expected_rows(column.window_psi, periods))
    value = float(psi(expected, found * (counted / max(n, 1))))
    p = p_value(value, column.window_psi, len(found), m, n, periods)
    level = LEVELS[0] if value < WATCH else LEVELS[1]
    if (
        value >= WATCH
        and p <= LEVEL / len(reference.columns)
        and value > largest_window_psi(column.window_psi, periods)
    ):
        level = LEVELS[3] if value >= CHANGED else LEVELS[2]
    size = len(column.counts)
    outside = float(counts[0] + counts[size + 1 :].sum()) / max(n, 1)
    how = (
        watched_description(column.name, reference.features, flat=not reference.windowed)
        if column.kind == "feature"
        else ""
    )
    return Moved(column.name, column.kind, value, p, outside, level, how, column.constant)


def _told(moved: list[Moved], examples: int, periods: int, unit: str, reference: ReferenceDistributions) -> str:
    """What a person should know of it."""
    if not examples:
        return "Nothing was predicted yet, so there is nothing to compare."
    base = f"{_count(examples, 'example')} of {_count(periods, unit)}"
    beyond = [one for one in moved if one.level in LEVELS[2:]]
    apart = [one for one in moved if one.level == LEVELS[1]]
    if beyond:
        text = f"{base}: {_listed(beyond)} moved away from the training data, by more than chance gives."
    else:
        text = f"{base}: nothing has moved by more than chance gives."
    if apart:
        names = _listed(apart)
        text += f" {names}: the index is above {WATCH:g}, as parts of the training data of this length were too."
    if reference.periods is None:
        text += f" The reference does not know its {unit}s, so rows count as independent: an alarm comes too easily."
    return text


def _listed(moved: list[Moved], most: int = 4) -> str:
    names = [
        f"{one.name} (PSI {one.psi:.2f})" if one.kind != "probability" else f"P({one.name}) (PSI {one.psi:.2f})"
        for one in moved[:most]
    ]
    more = len(moved) - most
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
