"""HTTP connections with deadlines: a slow, a stuck or one client too many costs the others nothing.

uvicorn waits for headers and bodies without end. This subclass of its httptools protocol adds timers that
run only while a request is incomplete, so that a request that arrives whole pays nothing for them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ste.serving.problems import Problem
from ste.settings.serve import LimitSettings

HEAD_BYTES = 65_536
"""Of a request's line and headers together."""


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's, with limits. `protocol_class` gives it theirs."""

    limits: LimitSettings
    refused: Callable[[str], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._in_head, self._in_body, self._head_bytes = True, False, 0
        self._began = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(Problem("busy", f"{self.limits.connections} connections are open. Try again.", headers={"retry-after": "1"}))
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self._refuse(Problem("head-too-large", f"More than {HEAD_BYTES} bytes of headers."))
        elif self._in_head or self._in_body:
            if self._timer is None:
                self._wait()
        elif self._timer is not None:
            self._stop_waiting()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem("invalid-http", msg))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def _wait(self) -> None:
        """Give what has begun to arrive its time."""
        self._began = self.loop.time()
        self._timer = self.loop.call_later(self.limits.head_seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        ...

    def _refuse(self, problem: Problem) -> None:
        """Answer and end the connection; what was answered before is not disturbed."""
        self._stop_waiting()
        self.refused(problem.kind)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(problem.message())
        self.transport.close()


def protocol_class(limits: LimitSettings, refused: Callable[[str], None]) -> type[DeadlineProtocol]:
    """The protocol with these limits.

    Args:
        limits: of connections and seconds.
        refused: told the kind of each refusal.
    """
    return type("LimitedProtocol", (DeadlineProtocol,), {"limits": limits, "refused": staticmethod(refused)})
