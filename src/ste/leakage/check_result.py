"""What a check hands back: what it saw, and what it takes for a leak."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One suspected leak.

    Attributes:
        check: name of the check.
        where: the column, file or setting at fault.
        seen: what was seen, in numbers.
        expected: what a clean table shows.
        mend: what to type or change next.
    """

    check: str
    where: str
    seen: str
    expected: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.seen}. Expected {self.expected}. {self.mend}"


@dataclass(frozen=True)
class Outcome:
    """The end of one check.

    Attributes:
        check: its name.
        seen: one line for a clean table: what was looked at and the largest figure.
        findings: suspected leaks; any of them is an alarm.
        notes: what a person should know and is no alarm.
        ran: False where the check had nothing to work on; `seen` then says why.
    """

    check: str
    seen: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    ran: bool = True


def skipped(check: str, why: str) -> Outcome:
    """A check that had nothing to work on."""
    return Outcome(check, why, ran=False)
