"""Results of the checks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Alarm:
    """A suspected leak.

    Attributes:
        check: name of the check.
        where: the column, file or setting at fault.
        seen: what was found, in numbers.
        expected: what a clean table shows.
        fix: what to type or change next.
    """

    check: str
    where: str
    seen: str
    expected: str
    fix: str


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        check: name of the check.
        seen: one line for a clean table: what was examined, and the largest value.
        alarms: suspected leaks.
        notes: observations that are no alarm.
        ran: False where the check does not apply; `seen` then gives the reason.
    """

    check: str
    seen: str
    alarms: tuple[Alarm, ...] = ()
    notes: tuple[str, ...] = ()
    ran: bool = True


def skipped(check: str, why: str) -> CheckResult:
    """The result of a check that does not apply."""
    return CheckResult(check, why, ran=False)
