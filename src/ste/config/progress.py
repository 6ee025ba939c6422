"""What a command does and how far it is, on standard error.

On a terminal the current step is animated, with its time and, where its length is known, a bar; a step of a second or
more that is not part of another leaves a line. Elsewhere each step prints one line when it starts. Worker processes
print nothing: a sweep's send their steps to the process that started them (`send_steps`).
"""

import multiprocessing
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from ste.config.processes import environment_rank

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_MIN_SECONDS = 1.0  # of a step that leaves a line
_REFRESH = 5  # times a second
_MANY = 10_000  # parts, such as bytes; of more, percent are shown

_steps: list["ProgressStep"] = []
"""The steps that this process is in, the innermost last."""

_listener: Callable[[str], None] | None = None
_lines = True


class ProgressStep:
    """A step of a command; `step` makes and ends one.

    Args:
        text: what is done, such as `building the tables`.
        total: number of parts, or None where it is not known.
    """

    def __init__(self, text: str, total: int | None = None) -> None:
        self.text, self.total, self.note, self.done = text, total, "", 0
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def update(self, done: int, note: str = "") -> None:
        """Show how many parts are done.

        Args:
            done: parts.
            note: text behind the bar.
        """
        self.done, self.note = done, note
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=self.total, note=note)
        elif _listener is not None:
            _listener(f"{self.text} {done} of {self.total}")

    def show(self) -> None:
        """Draw the step, if the process has a terminal."""
        if _listener is not None:
            _listener(self.text)
        elif _draws():
            self._progress = _bar(self.total)
            self._task = self._progress.add_task(self.text, total=self.total, completed=self.done, note=self.note)
            self._progress.start()

    def hide(self) -> None:
        """Remove the drawing."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def end(self) -> None:
        """Remove the drawing and leave a line of an outermost step that took long."""
        drawn = self._progress is not None
        self.hide()
        seconds = time.monotonic() - self._started
        if drawn and not _steps and seconds >= _MIN_SECONDS:
            note = f"  {self.note}" if self.note else ""
            print(f"{self.text}{note}  {seconds:.1f} s", file=sys.stderr, flush=True)


@contextmanager
def step(text: str, total: int | None = None, *, quiet: bool = False) -> Iterator[ProgressStep]:
    """Show a step while the block runs; a step within it is shown instead of it.

    Args:
        text: what is done, such as `building the tables`.
        total: number of parts, for `ProgressStep.update`.
        quiet: print nothing where standard error is no terminal.
    """
    new = ProgressStep(text, total)
    if _steps:
        _steps[-1].hide()
    _steps.append(new)
    if not quiet and _prints():
        print(text, file=sys.stderr, flush=True)
    new.show()
    try:
        yield new
    finally:
        _steps.remove(new)
        new.end()
        if _steps:
            _steps[-1].show()


@contextmanager
def paused() -> Iterator[None]:
    """Remove the drawing while the block prints."""
    if _steps:
        _steps[-1].hide()
    try:
        yield
    finally:
        if _steps:
            _steps[-1].show()


def print_line(text: str) -> None:
    """Print a text on standard error; worker processes print nothing."""
    if _listener is None and _is_main():
        with paused():
            print(wrapped(text), file=sys.stderr, flush=True)


def wrapped(text: str, indent: int = 0) -> str:
    """Break a text at spaces so that it fits the terminal, or 80 columns.

    Args:
        text: one paragraph.
        indent: spaces before each line but the first.
    """
    width = get_terminal_size((80, 24)).columns
    return textwrap.fill(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def add_note(text: str) -> None:
    """Show a text behind the current step; nothing where there is none."""
    if _steps:
        _steps[-1].update(_steps[-1].done, text)


def send_steps(listener: Callable[[str], None]) -> None:
    """Send this process's steps to a function instead of printing them, at most a few a second."""
    sent = 0.0

    def limited(text: str) -> None:
        nonlocal sent
        now = time.monotonic()
        if now - sent >= 1 / _REFRESH:
            sent = now
            listener(text)

    global _listener  # noqa: PLW0603 - of the process, as standard error is
    _listener = limited


@contextmanager
def one_line() -> Iterator[None]:
    """Show the steps of the block as one line that is replaced and removed at the end; a terminal is drawn as ever.

    In a notebook the line is on standard error; elsewhere without a terminal nothing is printed.
    """
    global _lines, _listener  # noqa: PLW0603
    before = _lines, _listener
    if not _draws():
        _lines = False
        if _listener is None and "ipykernel" in sys.modules:
            send_steps(_replace_line)
    try:
        yield
    finally:
        if _listener is not before[1]:
            _replace_line("")
        _lines, _listener = before


def _replace_line(text: str) -> None:
    print(f"\r{text:.79}".ljust(80) + "\r" * (not text), end="", file=sys.stderr, flush=True)


def print_no_steps() -> None:
    """Print no line of a step where standard error is no terminal."""
    global _lines  # noqa: PLW0603
    _lines = False


def _is_main() -> bool:
    return multiprocessing.parent_process() is None and environment_rank() == 0


def _draws() -> bool:
    # The image of the service has no rich: it prints lines on a terminal too.
    return sys.stderr.isatty() and _is_main() and find_spec("rich") is not None


def _prints() -> bool:
    return _lines and _listener is None and _is_main() and not _draws()


def _bar(total: int | None) -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    text = TextColumn("{task.description}", markup=False)
    parts = TextColumn("{task.completed:,}/{task.total:,}") if (total or 0) < _MANY else TaskProgressColumn()
    known = (BarColumn(bar_width=16), parts) if total is not None else ()
    left = (TimeRemainingColumn(compact=True),) if total is not None else (TimeElapsedColumn(),)
    return Progress(
        SpinnerColumn(),
        text,
        *known,
        TextColumn("{task.fields[note]}", markup=False),
        *left,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        refresh_per_second=_REFRESH,
    )
