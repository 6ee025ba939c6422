"""What a check hands back: what it saw, and what it takes for a leak."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Alarm:
    """One suspected leak.

    Attributes:
        check: name of the check.
        where: the column, file or setting at fault.
        seen: what was seen, in numbers.
        expected: what a clean table shows.
        fix: what to type or change next.
    """

    check: str
    where: str
    seen: str
    expected: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.seen}. Expected {self.expected}. {self.fix}"


@dataclass(frozen=True)
class CheckResult:
    """The end of one check.

    Attributes:
        check: its name.
        seen: one line for a clean table: what was looked at and the largest figure.
        alarms: suspected leaks; any of them is an alarm.
        notes: what a person should know and is no alarm.
        ran: False where the check had nothing to work on; `seen` then says why.
    """

    check: str
    seen: str
    alarms: tuple[Alarm, ...] = ()
    notes: tuple[str, ...] = ()
    ran: bool = True


def skipped(check: str, why: str) -> CheckResult:
    """A check that had nothing to work on."""
    return CheckResult(check, why, ran=False)
