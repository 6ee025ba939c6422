"""The two sides of the comparison as processes that are asked over pipes, one JSON object a line each way."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ste.config.fast_imports import set_before
from ste.errors import ConfigError

T = TypeVar("T")
Answer = dict[str, Any]
ROOT = Path(__file__).parents[2]
"""The checkout."""

SAME_MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2146435072"}
"""What STE has glibc do while a fit goes on, for a process that does not do it by itself."""


class Side:
    """A process that answers.

    Args:
        command: that starts it; its first line says what it is.
        log: file for whatever else it prints.
        environment: added to this process's own.

    Attributes:
        versions: what its first line said, by library.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = " ".join(Path(part).name for part in command)
        self._log = log
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=log.parent,
                env={**os.environ, **(environment or {})},
                text=True,
            )
        self.versions = self._answer()

    def ask(self, **request: Any) -> Answer:
        """What it answers.

        Raises:
            RuntimeError: it ended instead; its last words are in the message.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # what it said is told below
            print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Answer:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # importing Qlib prints what it found no library for
                answer: Answer = json.loads(line)
                return answer
        code = self._process.wait()
        raise RuntimeError(f"{self.name} ended with code {code}:\n{self._log.read_text()[-3000:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it end: its input is closed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        if kind is not None:
            self._process.terminate()
        self._process.wait(60)
        self._process.stdout.close()


def qlib_python() -> Path:
    """Interpreter of the peers' environment.

    Raises:
        ConfigError: it is missing.
    """
    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        raise ConfigError(f"{python.parents[1]}: is not there, so Qlib cannot be measured. Type make bench-peers.")
    return python


def qlib_side(log: Path, environment: Mapping[str, str] | None = None) -> Side:
    """Qlib's process."""
    set_before()  # threads wait as in our commands: what serves us must serve Qlib
    return Side([str(qlib_python()), str(Path(__file__).with_name("qlib_side.py"))], log, environment)


def ste_side(log: Path) -> Side:
    """STE's process."""
    set_before()
    return Side([sys.executable, "-m", "benchmarks.peers.ste_side"], log)


def in_turns(sides: Sequence[Callable[[], T]], rounds: int) -> list[list[T]]:
    """What each side says in each round, `[sides][rounds]`; who begins changes from round to round."""
    out: list[list[T]] = [[] for _ in sides]
    for number in range(rounds):
        for place in range(len(sides)):
            at = (number + place) % len(sides)
            out[at].append(sides[at]())
    return out
