"""Run the checks of a component and collect their results."""

import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ste.registry import Registry

SUITES = Registry("kind", "ste.conformance.suites")
"""Function of each kind that returns the checks of a component by its name."""


class NotApplicable(Exception):  # noqa: N818 - no error: a check that a component need not pass
    """The component does not have what a check is about; the text says what that means for the user."""


class CheckFailure(Exception):  # noqa: N818 - the result of a check
    """A component does not do what a check expects; the text says what was found and what to change."""


@dataclass(frozen=True)
class Check:
    """A check of a component.

    Attributes:
        title: what holds, in a few words.
        run: returns a note on what was measured, or raises `CheckFailure` or `NotApplicable`; any other exception is
            a failure of the component's own code.
    """

    title: str
    run: Callable[[], str]


@dataclass(frozen=True)
class CheckOutcome:
    """Outcome of a check.

    Attributes:
        title: of the check.
        status: `passed`, `failed` or `n/a`.
        note: what was measured or found.
    """

    title: str
    status: str
    note: str


@dataclass(frozen=True)
class Conformance:
    """Outcomes of a component's checks.

    Attributes:
        kind: of the component.
        name: of the component.
        outcomes: in the order of the checks.
    """

    kind: str
    name: str
    outcomes: list[CheckOutcome]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(one.status != "failed" for one in self.outcomes)


def run_checks(kind: str, name: str) -> Conformance:
    """Run the checks of a component.

    Args:
        kind: one of `SUITES`.
        name: of the component, or the import path of an estimator.

    Raises:
        ConfigError: a kind without checks, or an unknown component.
    """
    checks: list[Check] = SUITES[kind](name)
    return Conformance(kind, name, [_outcome(check) for check in checks])


def _outcome(check: Check) -> CheckOutcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return CheckOutcome(check.title, "passed", check.run())
    except NotApplicable as reason:
        return CheckOutcome(check.title, "n/a", str(reason))
    except CheckFailure as failure:
        return CheckOutcome(check.title, "failed", str(failure))
    except Exception as error:  # of the user's code
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error).strip().splitlines()
        note = f"{type(error).__name__}: {text[0] if text else ''} ({Path(last.filename).name}, line {last.lineno})"
        return CheckOutcome(check.title, "failed", note)


def expect(ok: bool, otherwise: str) -> None:
    """Raise `CheckFailure` with a text unless something holds."""
    if not ok:
        raise CheckFailure(otherwise)
