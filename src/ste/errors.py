"""Errors that a user can fix; each has one message.

A message names the place of the error, what was found, what was expected and what to type next. The commands print it
and exit with code 2; `STE_DEBUG=1` shows the traceback as well.
"""

import difflib
import traceback
from collections.abc import Collection
from pathlib import Path


class SteError(Exception):
    """Base of every error that a user can fix."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook prints: the message alone."""
        return [f"{type(self).__name__}: {self}"]


class ConfigError(SteError):
    """A setting or override that cannot be used."""


class DataError(SteError):
    """A file, row or column that violates the rules of a table or of a market file."""


class RunError(SteError):
    """A tracked run that is missing, unfinished or of the wrong kind."""


def check_name(key: str, name: object, known: Collection[str]) -> None:
    """Check that a setting names one of several things.

    Raises:
        ConfigError: it does not; the message lists the names and the nearest one.
    """
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
        hint = f" Try {key}={near[0]}." if near else ""
        raise ConfigError(f"{key}={name}: expected one of {', '.join(sorted(known))}.{hint}")


def described(error: Exception) -> str:
    """Return an error of the user's code in a line: its type, first line, file and line number."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    first = (str(error).strip().splitlines() or [""])[0].removesuffix(".")
    return f"{type(error).__name__}: {first} ({Path(last.filename).name}, line {last.lineno})"


class Pruned(Exception):  # noqa: N818 - not an error: a decision of the search
    """A trial of a search that was stopped because other trials were better at the same epoch.

    Args:
        epoch: last trained epoch, from 0.

    Attributes:
        run_id: MLflow run ID of the trial, if it is tracked.
    """

    run_id: str | None = None

    def __init__(self, epoch: int) -> None:
        super().__init__(epoch)
        self.epoch = epoch

    def __str__(self) -> str:
        return f"pruned after epoch {self.epoch}: other trials were better at that epoch"
