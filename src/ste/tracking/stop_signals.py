"""Convert SIGINT and SIGTERM to exceptions, outside of sections that must not be interrupted."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_REPEAT_AFTER = 0.05
"""Seconds after which a signal that a finalizer swallowed is sent again."""


class Stopped(SystemExit):
    """The process received SIGTERM."""


@dataclass
class _State:
    """Of the process, whose signal handlers are global.

    Attributes:
        sections: number of nested sections that hold signals.
        received: signal that arrived in them.
    """

    sections: int = 0
    received: int | None = None


_state = _State()


@contextmanager
def stop_signals() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at SIGINT and `Stopped` at SIGTERM in this block; an ignored signal stays ignored."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    hook = sys.unraisablehook

    def repeat_signal(unraisable: "sys.UnraisableHookArgs") -> None:
        """Send the signal again: in a finalizer or a weak reference's callback Python only prints its exception."""
        error = unraisable.exc_value
        if isinstance(error, (KeyboardInterrupt, Stopped)):
            number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
            threading.Timer(_REPEAT_AFTER, signal.pthread_kill, [threading.main_thread().ident, number]).start()
        else:
            hook(unraisable)

    sys.unraisablehook = repeat_signal
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


@contextmanager
def signals_held() -> Iterator[None]:
    """Raise a signal that arrives in this block at its end; only those of `stop_signals` are held."""
    if threading.current_thread() is not threading.main_thread():  # the main thread handles signals
        yield
        return
    _state.sections += 1
    try:
        yield
    finally:
        _state.sections -= 1
        if _state.sections == 0 and _state.received is not None:
            received, _state.received = _state.received, None
            _raise(received)


def _handle(number: int, _frame: FrameType | None) -> None:
    if not _state.sections:
        _raise(number)
    _state.received = number


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Stopped(128 + number)
