"""The trials on each data set, tracked or not: another experiment, or `tracking=off`, does not reset their number."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

FOLDER = ".trials"
_NOT_OF_THE_TRIAL = ("paths", "plugins", "resume", "scoring", "sweep", "tracking")


def trial_key(config: Mapping[str, Any]) -> str:
    """Identify a trial by what is fitted: model, data, training and seed; the same trial again is no further one.

    Args:
        config: settings of a run as plain data.
    """
    fitted = {name: value for name, value in config.items() if name not in _NOT_OF_THE_TRIAL}
    return hashlib.sha256(json.dumps(fitted, sort_keys=True, default=str).encode()).hexdigest()[:16]


class TrialLog(Protocol):
    """Keeps the keys of the trials on each data set."""

    def add(self, digest: str, key: str) -> None:
        """Add a trial on the data of a digest."""

    def keys(self, digest: str) -> frozenset[str]:
        """Return the trials on the data of a digest."""


class TrialFiles:
    """A file of keys for each digest, below the folder of outputs."""

    def __init__(self, output: Path):
        self._folder = output / FOLDER

    def add(self, digest: str, key: str) -> None:
        """Append a line in one write, so that processes at the same time lose none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self._folder / digest, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, f"{key}\n".encode())
        finally:
            os.close(file)

    def keys(self, digest: str) -> frozenset[str]:
        """Read the file; without one there was no trial."""
        path = self._folder / digest
        return frozenset(path.read_text(errors="replace").split()) if digest and path.is_file() else frozenset()


class TrialMemory:
    """The keys of this process's trials, which write no file."""

    def __init__(self) -> None:
        self._keys: dict[str, frozenset[str]] = {}

    def add(self, digest: str, key: str) -> None:
        """Add a trial on the data of a digest."""
        self._keys[digest] = self.keys(digest) | {key}

    def keys(self, digest: str) -> frozenset[str]:
        """Return the trials on the data of a digest."""
        return self._keys.get(digest, frozenset())
