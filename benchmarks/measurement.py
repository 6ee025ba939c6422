"""A measured ratio, and the way to measure alternatives in turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Measurement:
    """One row of the benchmark's table.

    Attributes:
        part: module of `benchmarks` that measured it.
        case: what was measured, such as `SimpleLSTM, batch 64, 1 thread`.
        unit: unit of `ours` and `reference`, such as `samples/s`.
        ours: STE's value, the median over rounds.
        reference: the reference's value, the median over rounds; None for an absolute measurement.
        reference_name: what the reference is.
        ratio: median over rounds of ours / reference; `ours` itself for an absolute measurement.
        better: whether `more` or `less` is better.
        target: the ratio to reach, or None.
        note: conditions that a reader has to know.
    """

    part: str
    case: str
    unit: str
    ours: float
    reference: float | None
    reference_name: str
    ratio: float
    better: Literal["more", "less"]
    target: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without a target."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.better == "more" else self.ratio <= self.target


def in_turns(functions: Sequence[Callable[[], T]], rounds: int, warm_up: int = 1) -> list[list[T]]:
    """Call each function once a round, starting with another one in each round.

    A slow spell of the machine then falls on all of them.

    Args:
        functions: what is measured.
        rounds: rounds that count.
        warm_up: rounds before, whose results are discarded.

    Returns:
        Results `[functions][rounds]`.
    """
    results: list[list[T]] = [[] for _ in functions]
    for number in range(warm_up + rounds):
        for position in range(len(functions)):
            index = (number + position) % len(functions)
            result = functions[index]()
            if number >= warm_up:
                results[index].append(result)
    return results


def compare(
    part: str,
    case: str,
    unit: str,
    ours: Sequence[float],
    reference: Sequence[float],
    reference_name: str,
    better: Literal["more", "less"],
    target: float | None = None,
    note: str = "",
) -> Measurement:
    """Return the measurement of values that were measured in the same rounds."""
    ratio = median(a / b for a, b in zip(ours, reference, strict=True))
    return Measurement(part, case, unit, median(ours), median(reference), reference_name, ratio, better, target, note)


def absolute(
    part: str, case: str, unit: str, values: Sequence[float], target: float | None = None, note: str = ""
) -> Measurement:
    """Return the measurement of values without a reference, of which less is better."""
    value = median(values)
    return Measurement(part, case, unit, value, None, "", value, "less", target, note)
