"""Convert SIGINT and SIGTERM to exceptions, outside of sections that must not be interrupted."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """The process received SIGTERM."""


class StopSignals:
    """Raise `KeyboardInterrupt` at SIGINT and `Stopped` at SIGTERM while the context is open.

    A signal that the process ignored before is still ignored.
    """

    def __init__(self) -> None:
        self._held = False
        self._received: int | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number, handler in self._before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raise a signal that arrives within the block at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._received is not None:
            _raise(self._received)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self._held:
            _raise(number)
        self._received = number


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Stopped(128 + number)
