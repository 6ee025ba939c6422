"""Where predictions go: a file of a known length, or standard output."""

import csv
import fcntl
import io
import os
import sys
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

import orjson

from ste.errors import RunError
from ste.schema import probability_names
from ste.streaming.engine import Prediction


class Sink(Protocol):
    """What a pipeline writes to; nothing is seen before it is committed.

    Attributes:
        name: that tells it from other sinks, kept with a checkpoint.
    """

    name: str

    def open(self, committed: Any) -> Any:
        """Begin after what the checkpoint knows of, and take back the rest; None is the beginning.

        Gives what is committed now, as `commit` does.
        """

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Take predictions."""

    def commit(self) -> Any:
        """Make them last; what `open` must be given to go on from there, as JSON has it."""

    def close(self) -> None:
        """Let go of it."""


class Tail:
    """The end of a file that grows by whole commits.

    Args:
        path: of the file.
        key: setting that names it, for errors.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key
        self._waiting: list[bytes] = []
        self._file: FileIO | None = None

    def open(self, length: int | None) -> int:
        """Cut the file to its committed bytes; None is a new file. Gives its length.

        Raises:
            RunError: a file that no checkpoint knows is in the way, or it has lost committed bytes.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = self._path.open("ab", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{self._key}={self._path}: another pipeline writes to it. Choose another file.") from None
        found = file.seek(0, os.SEEK_END)
        if length is None and found:
            raise RunError(
                f"{self._key}={self._path}: this file was not written by this pipeline (no checkpoint knows it). "
                "Choose another one, or move it away."
            )
        if found < (length or 0):
            raise RunError(
                f"{self._key}={self._path}: {found} bytes long, and {length} were written before. Put the file back, "
                "or begin anew with another paths.state and another file."
            )
        file.truncate(length or 0)
        return length or 0

    def write(self, content: bytes) -> None:
        """Keep bytes for the next commit."""
        self._waiting.append(content)

    def commit(self) -> int:
        """Write and sync what waits; the file's length in bytes."""
        assert self._file is not None
        if self._waiting:
            write_all(self._file, b"".join(self._waiting))
            self._waiting = []
            os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file; what waits is dropped."""
        if self._file is not None:
            self._file.close()


def write_all(file: FileIO, content: bytes) -> None:
    """Write to an unbuffered file, which may take less than it is given."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


class FileSink:
    """A file of JSON lines, or CSV if its name ends so.

    Args:
        path: of the file.
        classes: names, in the order of the probabilities.
    """

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self.name = f"file {path.resolve()}"
        self._format = Format(classes, path.suffix == ".csv")
        self._tail = Tail(path, "sink")

    def open(self, committed: Any) -> int:
        """Begin after so many bytes."""
        length = self._tail.open(committed)
        if length == 0:
            self._tail.write(self._format.head())
        return length

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Take predictions."""
        for prediction in predictions:
            self._tail.write(self._format.line(prediction))

    def commit(self) -> int:
        """Write them; the file's length in bytes."""
        return self._tail.commit()

    def close(self) -> None:
        """Close the file."""
        self._tail.close()


class StandardOutput:
    """JSON lines on standard output. What was read from it cannot be taken back: a repeat is possible after a crash."""

    name = "standard output"

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._format = Format(classes, commas=False)
        self._waiting: list[bytes] = []

    def open(self, committed: Any) -> None:
        """Nothing to take back."""

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Take predictions."""
        self._waiting += [self._format.line(prediction) for prediction in predictions]

    def commit(self) -> None:
        """Print them."""
        try:
            sys.stdout.buffer.write(b"".join(self._waiting))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
            raise RunError("sink=stdout: whoever read it has gone. The same command goes on.") from None
        self._waiting = []

    def close(self) -> None:
        """It stays open."""


class Format:
    """Predictions as lines: date, ticker, class, a probability of each class, model, provisional.

    Args:
        classes: names, in the order of the probabilities.
        commas: CSV instead of JSON.
    """

    def __init__(self, classes: tuple[str, ...], commas: bool) -> None:
        self.names = ("date", "ticker", "class", *probability_names(classes), "model_version", "provisional")
        self._commas = commas

    def head(self) -> bytes:
        """What a file begins with."""
        return (",".join(self.names) + "\n").encode() if self._commas else b""

    def line(self, prediction: Prediction) -> bytes:
        """With its line break."""
        values = (
            *(prediction.date, prediction.ticker, prediction.label),
            *prediction.probabilities,
            *(prediction.model, prediction.provisional),
        )
        if not self._commas:
            return orjson.dumps(dict(zip(self.names, values, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([*values[:-1], str(values[-1]).lower()])
        return text.getvalue().encode()
