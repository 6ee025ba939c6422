"""HTTP connections with timeouts and limits, so that slow or idle clients cannot block others.

uvicorn has settings for idle connections and for concurrency, but waits for headers and bodies without a limit. This
subclass of its httptools protocol, given to `uvicorn.Config(http=...)`, adds timers that run only while a request is
incomplete: a request that arrives at once costs no timer.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ste.config.serve_settings import LimitSettings
from ste.serving.problems import Problem

MAX_HEADER_BYTES = 65_536
"""Request line and headers together."""
LINGER_SECONDS = 0.5
"""Seconds that a closing connection still accepts data in transit."""

_IDLE, _HEADERS, _BODY, _COMPLETE = range(4)
"""Progress of the current request."""


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits; `protocol_class` sets them.

    Attributes:
        limits: limits of connections and requests.
        on_refusal: called with the kind of each problem sent below the application.
    """

    limits: LimitSettings
    on_refusal: Callable[[str], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._progress = _IDLE
        self._started_at = 0.0
        self._header_bytes = 0
        self._ended = self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse the connection if there are too many; otherwise start the timer of its first request."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            detail = f"{self.limits.max_connections} connections are open. Try again."
            self._refuse(Problem("busy", detail, headers={"retry-after": "1"}))
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        self._cancel_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data and keep a timer running while a request is incomplete."""
        if self._ended:
            return
        super().data_received(data)
        if self._ended or self.transport.is_closing():
            return
        if self._progress == _HEADERS:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(Problem("head-too-large", f"More than {MAX_HEADER_BYTES} bytes of headers."))
                return
        if self._progress in (_HEADERS, _BODY):
            if self._timer is None or self._started_at == 0.0:
                self._start_timer(self.loop.time())
        elif self._responding:
            self._cancel_timer()
        elif self._timer is None:  # line ends between requests: no request, but uvicorn stopped its idle timer
            self._start_timer(self.loop.time())

    def on_message_begin(self) -> None:
        """Handle the first byte of a request."""
        self._progress, self._header_bytes = _HEADERS, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Handle the end of the headers, where the application starts."""
        self._progress = _BODY
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Handle the end of the body."""
        self._progress = _COMPLETE
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP."""
        self._refuse(Problem("invalid-http", msg))

    def shutdown(self) -> None:
        """Close the connection; an idle one stays open for a moment, for a request that is in transit."""
        self._stopping = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_SECONDS, self._close_idle)
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """Abort the connection if the client does not read its response within the body's timeout."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.body_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the timer of `pause_writing`."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def _close_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _start_timer(self, started_at: float = 0.0) -> None:
        """Start the timer of the current request.

        Args:
            started_at: loop time of its first byte; 0 before it.
        """
        self._cancel_timer()
        self._started_at = started_at
        self._timer = self.loop.call_later(self.limits.header_timeout, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if self._started_at == 0.0:  # not a single byte
            self.transport.close()
            return
        body = self._progress == _BODY
        timeout = self.limits.body_timeout if body else self.limits.header_timeout
        left = self._started_at + timeout - self.loop.time()
        if not body and self._responding:
            left = max(left, 1.0)  # a pipelined request waits for the previous response
        if left > 0.0:
            self._timer = self.loop.call_later(left, self._on_timeout)
            return
        part = "body" if body else "headers"
        self._refuse(Problem("too-slow", f"The {part} did not arrive within {timeout:g} s of the first byte."))

    @property
    def _responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, problem: Problem) -> None:
        """Send a problem and close the connection.

        Data that the client still sends is discarded for a moment: if the socket was closed at once, the client's
        system would discard the response.
        """
        self._ended = True
        self._cancel_timer()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        self.on_refusal(problem.kind)
        self.connections.discard(self)
        if self._progress == _BODY:
            expects_response = self._responding and not self.cycle.response_started
        else:
            expects_response = not self._responding
        if expects_response:  # otherwise the client would take it for the response to another request
            self.transport.write(problem.message())
        if self._responding:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


def protocol_class(limits: LimitSettings, on_refusal: Callable[[str], None]) -> type[DeadlineProtocol]:
    """Create a protocol class with these limits.

    Args:
        limits: limits of connections and requests.
        on_refusal: called with the kind of each problem sent below the application.
    """
    return type("LimitedProtocol", (DeadlineProtocol,), {"limits": limits, "on_refusal": staticmethod(on_refusal)})
