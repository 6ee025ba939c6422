"""Commands in a pseudo-terminal: what they print, and when."""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROWS, COLUMNS = 24, 80


@dataclass(frozen=True)
class Recording:
    """What a command printed.

    Attributes:
        code: exit code; negative if a signal ended the process.
        output: with control sequences.
        times: seconds after the start of each part of the output, then of the exit.
    """

    code: int
    output: str
    times: tuple[float, ...]

    @property
    def longest_silence(self) -> float:
        """Seconds of the longest time without output, from the start to the exit."""
        return max(later - earlier for earlier, later in pairwise((0.0, *self.times)))


def record(folder: Path, *arguments: str, only_first: bool = False) -> Recording:
    """Run the Python interpreter in a pseudo-terminal of 80 columns.

    Args:
        folder: working folder.
        arguments: of the interpreter.
        only_first: stop the process after the first part of its output.
    """
    start = time.perf_counter()
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, "TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    parts, times = [], []
    while part := _read(terminal):
        parts.append(part)
        times.append(time.perf_counter() - start)
        if only_first:
            os.kill(process, signal.SIGKILL)
            break
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.close(terminal)
    return Recording(code, b"".join(parts).decode(errors="replace"), (*times, time.perf_counter() - start))


def _read(terminal: int) -> bytes:
    """Return the next part of the output, empty at its end."""
    try:
        return os.read(terminal, 65536)
    except OSError:  # the process has closed the terminal
        return b""
