"""HTTP connections with limits, so that slow or silent clients cannot block others.

uvicorn closes idle connections between requests, but waits for headers without a limit. This subclass of its httptools
protocol, given to `uvicorn.Config(http=...)`, adds a timer that runs only while headers are incomplete: a request
whose headers arrive at once costs no timer. The time for a body is limited where it is read.
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
"""Seconds for which a refused connection still accepts data."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits.

    Args:
        args, kwargs: arguments of uvicorn's protocol.
        limits: limits of connections and requests.
        on_refusal: called with the kind of each problem sent below the application.
    """

    def __init__(self, *args: Any, limits: LimitSettings, on_refusal: Callable[[str], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits, self.on_refusal = limits, on_refusal
        self._timer: asyncio.TimerHandle | None = None
        self._in_headers = self._refused = False
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse the connection if there are too many; otherwise wait for its first request."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            detail = f"{self.limits.max_connections} connections are open. Try again."
            self._refuse(Problem("busy", detail, headers={"retry-after": "1"}))
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, and limit the size and the time of headers that are incomplete."""
        if self._refused:
            return
        super().data_received(data)
        if not self._in_headers or self._refused:
            return
        self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(Problem("head-too-large", f"More than {MAX_HEADER_BYTES} bytes of headers."))
        elif self._timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        """Handle the first byte of a request."""
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Handle the end of the headers, where the application starts."""
        self._in_headers = False
        self._cancel_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP."""
        self._refuse(Problem("invalid-http", msg))

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.limits.header_timeout, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        if self._in_headers:
            self._refuse(Problem("too-slow", f"The headers did not arrive within {self.limits.header_timeout:g} s."))
        else:  # no request on a new connection
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Send a problem and close the connection.

        Data that the client still sends is discarded for a moment: if the socket was closed at once, the client's
        system would discard the response.
        """
        self._refused = True
        self._cancel_timer()
        self.on_refusal(problem.kind)
        self.connections.discard(self)
        self.transport.write(problem.message())
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
