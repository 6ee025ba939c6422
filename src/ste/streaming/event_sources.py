"""Event sources: a file of JSON lines, which may still grow, and standard input.

A source is read in batches. Its `position` after each batch is what a restart needs to continue there.
"""

import os
import select
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from ste.errors import DataError
from ste.streaming.events import EventError

MAX_EVENT_BYTES = 1 << 16
"""Longer lines are rejected."""
_CHUNK = 1 << 18


class SourceRecord(NamedTuple):
    """One record of a source.

    Attributes:
        where: location of the record, for messages.
        content: the event's JSON text, its parsed object, or the reason why it is neither.
    """

    where: str
    content: bytes | dict[str, Any] | EventError


class EventSource(ABC):
    """What a pipeline reads from.

    Attributes:
        name: identifies the source; saved in the checkpoint.
        finished: whether no more records will come.
        notes: what was understood of the source, in lines, after `open`.
    """

    name: str
    finished = False
    notes: Sequence[str] = ()

    @property
    @abstractmethod
    def position(self) -> Any:
        """Offset after the latest batch, as JSON; the argument of `open` on restart."""

    @abstractmethod
    def open(self, position: Any) -> None:
        """Start after `position`; None starts at the beginning."""

    @abstractmethod
    def read(self, timeout: float) -> list[SourceRecord]:
        """Read the next batch; empty if none arrived within `timeout` seconds."""

    def backlog(self) -> int | None:
        """Count the bytes or entries still to be read; None if unknown."""
        return None

    def close(self) -> None:  # noqa: B027 - most sources have nothing to close
        """Close the source."""


class FileSource(EventSource):
    """JSON lines of a file.

    Args:
        path: path of the file.
        follow: wait for more lines at the end of the file; otherwise its end is the end of the stream.
    """

    def __init__(self, path: Path, follow: bool = True) -> None:
        self.name = f"file {path.resolve()}"
        self._path = path
        self._follow = follow
        self._lines = _LineBuffer()
        self._read = 0
        self._file: FileIO | None = None

    @property
    def position(self) -> list[int]:
        """Number of bytes and lines that were returned."""
        return [self._read - len(self._lines.rest), self._lines.count]

    def open(self, position: Any) -> None:
        """Start after the given number of bytes and lines.

        Raises:
            DataError: the file does not exist, or is shorter than the position.
        """
        try:
            self._file = file = self._path.open("rb", buffering=0)
        except (FileNotFoundError, IsADirectoryError):
            raise DataError(
                f"source={self._path}: no such file. Expected JSON lines; touch {self._path} if events will come."
            ) from None
        self._read, count = position or (0, 0)
        self._lines = _LineBuffer(count)
        self._check_same_file(file)
        file.seek(self._read)

    def read(self, timeout: float) -> list[SourceRecord]:
        """Read complete lines; the last line of a file that is not followed may lack its line end."""
        assert self._file is not None
        chunk = self._file.read(_CHUNK)
        if chunk:
            self._read += len(chunk)
            return self._lines.take(chunk)
        self._check_same_file(self._file)
        if not self._follow:
            self.finished = True
            return self._lines.finish()
        time.sleep(timeout)
        return []

    def backlog(self) -> int:
        """Count the bytes still to be read."""
        assert self._file is not None
        return max(os.fstat(self._file.fileno()).st_size - self.position[0], 0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _check_same_file(self, file: FileIO) -> None:
        """Raise `DataError` if the file was truncated or replaced."""
        opened = os.fstat(file.fileno())
        if opened.st_size < self._read:
            raise DataError(
                f"source={self._path}: the file has {opened.st_size} bytes, {self._read} were read before. "
                "It was truncated or rewritten; a new file is a new stream: give it another paths.state."
            )
        if self._follow and (not self._path.exists() or not os.path.samestat(opened, self._path.stat())):
            raise DataError(
                f"source={self._path}: another file has replaced it, and the old one is read to its end. "
                "Start again with another paths.state, or append to one file."
            )


class StandardInput(EventSource):
    """JSON lines of standard input, which cannot be rewound.

    After a restart the sender may send any event again: repeated events count as duplicate or late.
    """

    name = "standard input"

    def __init__(self) -> None:
        self._lines = _LineBuffer()

    @property
    def position(self) -> int:
        """Number of lines that were returned."""
        return self._lines.count

    def open(self, position: Any) -> None:
        """Read what is sent from now on; the line count continues."""
        self._lines = _LineBuffer(position or 0)

    def read(self, timeout: float) -> list[SourceRecord]:
        """Read complete lines."""
        handle = sys.stdin.fileno()
        if not select.select([handle], [], [], timeout)[0]:
            return []
        chunk = os.read(handle, _CHUNK)
        if chunk:
            return self._lines.take(chunk)
        self.finished = True
        return self._lines.finish()


class _LineBuffer:
    """Split chunks of bytes into numbered lines, and reject those that are too long.

    Attributes:
        count: number of lines so far.
        rest: beginning of the next line.
    """

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self.rest = b""

    def take(self, chunk: bytes) -> list[SourceRecord]:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        records = []
        for line in lines:
            self.count += 1
            content: bytes | EventError = line
            if len(line) > MAX_EVENT_BYTES:
                content = EventError(f"a line of {len(line)} bytes; expected at most {MAX_EVENT_BYTES}")
            if line.strip():
                records.append(SourceRecord(f"line {self.count}", content))
        return records

    def finish(self) -> list[SourceRecord]:
        return self.take(b"\n") if self.rest else []
