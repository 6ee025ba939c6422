"""Prediction sinks: a file with a committed length, and standard output."""

import csv
import io
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any

import orjson

from ste.errors import RunError
from ste.schema import probability_names
from ste.streaming.engine import Prediction


class Sink(ABC):
    """What a pipeline writes to. Predictions become visible when they are committed.

    Attributes:
        name: identifies the sink; saved in the checkpoint.
    """

    name: str

    @abstractmethod
    def open(self, committed: Any) -> Any:
        """Start after the committed output and truncate the rest.

        Args:
            committed: value of the last `commit` in the checkpoint; None starts a new sink.

        Returns:
            What is committed now, as `commit` returns it.
        """

    @abstractmethod
    def write(self, predictions: Iterable[Prediction]) -> None:
        """Buffer predictions for the next commit."""

    @abstractmethod
    def commit(self) -> Any:
        """Write the buffer durably; return the committed length, as JSON, for `open` after a restart."""

    def close(self) -> None:  # noqa: B027 - standard output stays open
        """Close the sink."""


class CommittedFile:
    """An append-only file that grows by whole commits.

    Args:
        path: path of the file.
        key: setting that names the file, for messages.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key
        self._buffer: list[bytes] = []
        self._file: FileIO | None = None

    def open(self, length: int | None) -> int:
        """Truncate the file to its committed length and return that length.

        Args:
            length: committed bytes; None expects a new or empty file.

        Raises:
            RunError: the file belongs to no checkpoint, or lacks committed bytes.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = self._path.open("ab", buffering=0)
        found = file.seek(0, os.SEEK_END)
        if length is None and found:
            raise RunError(
                f"{self._key}={self._path}: this file exists and no checkpoint of this pipeline lists it. "
                "Choose another one, or move it away."
            )
        if found < (length or 0):
            raise RunError(
                f"{self._key}={self._path}: the file has {found} bytes, {length} were written before. Restore the "
                "file, or start with another paths.state and another file."
            )
        file.truncate(length or 0)
        return length or 0

    def write(self, content: bytes) -> None:
        """Buffer bytes for the next commit."""
        self._buffer.append(content)

    def commit(self) -> int:
        """Write and sync the buffer; return the file's length in bytes."""
        assert self._file is not None
        if self._buffer:
            write_all(self._file, b"".join(self._buffer))
            self._buffer = []
            os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file and drop the buffer."""
        if self._file is not None:
            self._file.close()


def write_all(file: FileIO, content: bytes) -> None:
    """Write all bytes to an unbuffered file, whose `write` may be partial."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


class FileSink(Sink):
    """A file of JSON lines, or CSV if its name ends in `.csv`.

    Args:
        path: path of the file.
        classes: class names, in the order of the probabilities.
    """

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self.name = f"file {path.resolve()}"
        self._format = PredictionFormat(classes, csv=path.suffix == ".csv")
        self._file = CommittedFile(path, "sink")

    def open(self, committed: Any) -> int:
        """Start after the committed bytes."""
        length = self._file.open(committed)
        if length == 0:
            self._file.write(self._format.header())
        return length

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Buffer predictions for the next commit."""
        for prediction in predictions:
            self._file.write(self._format.line(prediction))

    def commit(self) -> int:
        """Write and sync the buffer; return the file's length in bytes."""
        return self._file.commit()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class StandardOutput(Sink):
    """JSON lines on standard output. It cannot be truncated: lines may repeat after a crash."""

    name = "standard output"

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._format = PredictionFormat(classes, csv=False)
        self._buffer: list[bytes] = []

    def open(self, committed: Any) -> None:
        """Do nothing: standard output cannot be truncated."""

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Buffer predictions for the next commit."""
        self._buffer += [self._format.line(prediction) for prediction in predictions]

    def commit(self) -> None:
        """Print and flush the buffer."""
        try:
            sys.stdout.buffer.write(b"".join(self._buffer))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports an error at its exit
            raise RunError("sink=stdout: the reader closed the pipe. The same command resumes.") from None
        self._buffer = []


class PredictionFormat:
    """Lines of predictions: date, ticker, class, a probability of each class, model version, provisional.

    Args:
        classes: class names, in the order of the probabilities.
        csv: write CSV instead of JSON.
    """

    def __init__(self, classes: tuple[str, ...], csv: bool) -> None:
        self.names = ("date", "ticker", "class", *probability_names(classes), "model_version", "provisional")
        self._csv = csv

    def header(self) -> bytes:
        """Return the CSV header; empty for JSON."""
        return (",".join(self.names) + "\n").encode() if self._csv else b""

    def line(self, prediction: Prediction) -> bytes:
        """Format a prediction, with its line break."""
        values = (
            *(prediction.date, prediction.ticker, prediction.label),
            *prediction.probabilities,
            *(prediction.model, prediction.provisional),
        )
        if not self._csv:
            return orjson.dumps(dict(zip(self.names, values, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([*values[:-1], str(values[-1]).lower()])
        return text.getvalue().encode()
