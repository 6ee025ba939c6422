"""Where events come from: a file that may be growing, or standard input.

A source is read in batches, and says after each what it must be told to go on from there.
"""

import os
import select
import sys
import time
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ste.errors import DataError
from ste.streaming.events import EventError

LONGEST = 1 << 16
"""Bytes of an event; a longer line is no event."""
_CHUNK = 1 << 18


class Item(NamedTuple):
    """What a source holds at one place: an event's JSON, its object, or why it is neither."""

    where: str
    content: bytes | dict[str, Any] | EventError


class Source(Protocol):
    """What a pipeline reads from.

    Attributes:
        name: that tells it from other sources, kept with a checkpoint.
        finished: nothing more is to come.
    """

    name: str
    finished: bool

    @property
    def position(self) -> Any:
        """What `open` must be given to go on after the latest batch, as JSON has it."""

    def open(self, position: Any) -> None:
        """Begin, after what `position` says was read; None is the beginning."""

    def read(self, timeout: float) -> list[Item]:
        """The next batch; empty where none came within `timeout` seconds."""

    def acknowledge(self) -> None:
        """All that was read is done with, and a checkpoint says so."""

    def backlog(self) -> int | None:
        """How much waits to be read, in bytes or entries; None where it cannot be known."""

    def close(self) -> None:
        """Let go of it."""


class FileSource:
    """JSON lines of a file.

    Args:
        path: of the file.
        follow: wait for more at its end; else the end of the file is the end of the stream.
    """

    def __init__(self, path: Path, follow: bool = True) -> None:
        self.name = f"file {path.resolve()}"
        self.finished = False
        self._path = path
        self._follow = follow
        self._lines = _Lines()
        self._read = 0
        self._file: FileIO | None = None

    @property
    def position(self) -> list[int]:
        """Bytes and lines that were given."""
        return [self._read - self._lines.held, self._lines.count]

    def open(self, position: Any) -> None:
        """Begin after so many bytes and lines.

        Raises:
            DataError: no such file, or it is shorter than what was read of it before.
        """
        try:
            self._file = file = self._path.open("rb", buffering=0)
        except (FileNotFoundError, IsADirectoryError):
            raise DataError(
                f"source={self._path}: no such file. Expected JSON lines; touch {self._path} if events are to come."
            ) from None
        self._read, count = position or (0, 0)
        self._lines = _Lines(count)
        self._check(file)
        file.seek(self._read)

    def read(self, timeout: float) -> list[Item]:
        """Lines that are whole; the last line of a file that is not followed need not be."""
        assert self._file is not None
        chunk = self._file.read(_CHUNK)
        if chunk:
            self._read += len(chunk)
            return self._lines.take(chunk)
        self._check(self._file)
        if not self._follow:
            self.finished = True
            return self._lines.rest()
        time.sleep(timeout)
        return []

    def acknowledge(self) -> None:
        """Nobody waits for it."""

    def backlog(self) -> int:
        """Bytes."""
        assert self._file is not None
        return max(os.fstat(self._file.fileno()).st_size - self.position[0], 0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _check(self, file: FileIO) -> None:
        """Raise where the file is no longer the one that was read."""
        held = os.fstat(file.fileno())
        if held.st_size < self._read:
            raise DataError(
                f"source={self._path}: {held.st_size} bytes long, and {self._read} were read of it. "
                "It was cut off or written anew; a new file is a new stream: give it another paths.state."
            )
        if self._follow and (not self._path.exists() or not os.path.samestat(held, self._path.stat())):
            raise DataError(
                f"source={self._path}: another file has taken its place, and all of the old one is read. "
                "Start again with another paths.state, or append to one file."
            )


class StandardInput:
    """JSON lines of standard input. It has no place to go back to: who starts again sends again.

    What comes twice does no harm: it is a duplicate, or late.
    """

    name = "standard input"

    def __init__(self) -> None:
        self.finished = False
        self._lines = _Lines()

    @property
    def position(self) -> int:
        """Lines that were given."""
        return self._lines.count

    def open(self, position: Any) -> None:
        """Begin with whatever is sent; lines are counted on."""
        self._lines = _Lines(position or 0)

    def read(self, timeout: float) -> list[Item]:
        """Lines that are whole."""
        handle = sys.stdin.fileno()
        if not select.select([handle], [], [], timeout)[0]:
            return []
        chunk = os.read(handle, _CHUNK)
        if chunk:
            return self._lines.take(chunk)
        self.finished = True
        return self._lines.rest()

    def acknowledge(self) -> None:
        """Nobody waits for it."""

    def backlog(self) -> None:
        """It cannot be known."""

    def close(self) -> None:
        """It stays open."""


class _Lines:
    """Bytes to numbered lines; what is too long for a line is thrown away and told of."""

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self._rest = b""
        self._skipped = 0  # bytes of a line that is too long

    @property
    def held(self) -> int:
        """Bytes that were taken and not given."""
        return len(self._rest) + self._skipped

    def take(self, chunk: bytes) -> list[Item]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        items = [item for line in lines if (item := self._item(line)) is not None]
        if len(self._rest) > LONGEST:
            self._skipped += len(self._rest)
            self._rest = b""
        return items

    def rest(self) -> list[Item]:
        line, self._rest = self._rest, b""
        if not line and not self._skipped:
            return []
        item = self._item(line)
        return [] if item is None else [item]

    def _item(self, line: bytes) -> Item | None:
        self.count += 1
        length, self._skipped = len(line) + self._skipped, 0
        where = f"line {self.count}"
        if length > LONGEST:
            return Item(where, EventError(f"a line of {length} bytes; expected at most {LONGEST}"))
        return Item(where, line) if line.strip() else None
