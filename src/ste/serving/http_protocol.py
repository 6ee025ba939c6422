"""HTTP connections with deadlines: a slow, a stuck or one client too many costs the others nothing.

uvicorn waits for headers and bodies without end. This subclass of its httptools protocol adds timers that
run only while a request is incomplete, so that a request that arrives whole pays nothing for them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ste.config.serve_settings import LimitSettings
from ste.serving.problems import Problem

HEAD_BYTES = 65_536
"""Of a request's line and headers together."""
LAST_SECONDS = 0.5
"""That a connection which ends stays open for what is on its way."""

_NOTHING, _HEAD, _BODY, _WHOLE = range(4)
"""How much of a request has arrived."""


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's, with limits. `protocol_class` gives it theirs."""

    limits: LimitSettings
    refused: Callable[[str], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._part = _NOTHING
        self._began = 0.0
        self._head_bytes = 0
        self._ended = self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse one too many, give the others time for their first request."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            detail = f"{self.limits.connections} connections are open. Try again."
            self._end(Problem("busy", detail, headers={"retry-after": "1"}))
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and see that what has begun to arrive arrives."""
        if self._ended:
            return
        super().data_received(data)
        if self._ended or self.transport.is_closing():
            return
        if self._part == _HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._end(Problem("head-too-large", f"More than {HEAD_BYTES} bytes of headers."))
                return
        if self._part in (_HEAD, _BODY):
            if self._timer is None or self._began == 0.0:
                self._wait(self.loop.time())
        elif self._answering:
            self._stop_waiting()
        elif self._timer is None:  # line ends between requests begin none, but have ended the idle time
            self._wait(self.loop.time())

    def on_message_begin(self) -> None:
        """The parser found a request's first byte."""
        self._part, self._head_bytes = _HEAD, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser found the end of the headers; the application begins."""
        self._part = _BODY
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The parser found the end of the body."""
        self._part = _WHOLE
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._end(Problem("invalid-http", msg))

    def shutdown(self) -> None:
        """An idle connection may still bring the request that is on its way."""
        self._stopping = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_SECONDS, self._close_idle)
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The client does not read its answers: it has as long as a body may take."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def _close_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _wait(self, began: float = 0.0) -> None:
        """Give the rest its time.

        Args:
            began: when its first byte came; 0 where none has.
        """
        self._stop_waiting()
        self._began = began
        self._timer = self.loop.call_later(self.limits.head_seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._began == 0.0:  # not a byte
            self.transport.close()
            return
        body = self._part == _BODY
        allowed = self.limits.body_seconds if body else self.limits.head_seconds
        left = self._began + allowed - self.loop.time()
        if not body and self._answering:
            left = max(left, 1.0)  # the request before it is answered first
        if left > 0.0:
            self._timer = self.loop.call_later(left, self._late)
            return
        what = "body" if body else "headers"
        self._end(Problem("too-slow", f"The {what} did not arrive within {allowed:g} s of the first byte."))

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _end(self, problem: Problem) -> None:
        """Refuse, and end the connection.

        What the client still sends is taken and dropped for a moment: closed at once, its system would throw the
        answer away with what it could not send.
        """
        self._ended = True
        self._stop_waiting()
        self._unset_keepalive_if_required()
        self.refused(problem.kind)
        self.connections.discard(self)
        asked = self._answering and not self.cycle.response_started if self._part == _BODY else not self._answering
        if asked:  # else the answer would be taken for that of another request
            self.transport.write(problem.message())
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LAST_SECONDS, self.transport.close)


def protocol_class(limits: LimitSettings, refused: Callable[[str], None]) -> type[DeadlineProtocol]:
    """The protocol with these limits.

    Args:
        limits: of connections and seconds.
        refused: told the kind of each refusal.
    """
    return type("LimitedProtocol", (DeadlineProtocol,), {"limits": limits, "refused": staticmethod(refused)})
