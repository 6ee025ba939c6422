"""Processes that answer requests over pipes, one line of JSON each way.

Each side of a comparison has its own process, because a fit changes settings of its whole process (malloc,
how threads wait) that must not affect the reference.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

JsonObject = dict[str, Any]


class WorkerProcess:
    """A process that answers requests.

    Args:
        command: starts it.
        log: file for everything else that it prints.
        environment: variables added to this process's own.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = " ".join(Path(part).name for part in command)
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                text=True,
            )

    def request(self, **request: Any) -> JsonObject:
        """Send a request and return the answer.

        Raises:
            RuntimeError: the process ended; the message has the last lines of its log.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # the reason is raised below
            print(json.dumps(request), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries print too
                answer: JsonObject = json.loads(line)
                return answer
        code = self._process.wait()
        raise RuntimeError(f"{self.name} ended with code {code}:\n{self._log.read_text()[-3000:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its input, which ends it, and wait for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        if kind is not None:
            self._process.terminate()
        self._process.wait(60)
        self._process.stdout.close()


def answer_requests(answer: Callable[[JsonObject], JsonObject]) -> None:
    """Answer each line of the standard input by a line on the standard output; print everything else as an error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)
