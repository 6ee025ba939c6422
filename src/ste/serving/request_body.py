"""Bodies read within their limits, and problems sent so that they arrive."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ste.serving.problems import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DROP_SECONDS = 2.0
"""That the rest of a refused body is taken and dropped."""


class Gone(Exception):  # noqa: N818 - no error of anybody's
    """The client has closed the connection."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def read_json(scope: Scope, receive: Receive, most: int) -> bytes:
    """The body of a request that is sent as JSON.

    Args:
        scope: of the request.
        receive: its messages.
        most: bytes.

    Raises:
        Problem: it is too large, or not sent as plain JSON.
        Gone: the client did not wait.
    """
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    if length and int(length) > most:
        raise Problem("body-too-large", f"The body has {int(length)} bytes, expected at most {most}.", closes=True)
    _check_type(headers)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        if len(message["body"]) > most:  # in pieces on the wire, with no length announced
            raise Problem("body-too-large", f"The body has more than {most} bytes.", closes=True)
        return bytes(message["body"])
    body = bytearray()
    while message["type"] == "http.request":
        body += message["body"]
        if len(body) > most:
            raise Problem("body-too-large", f"The body has more than {most} bytes.", closes=True)
        if not message.get("more_body"):
            return bytes(body)
        message = await receive()
    raise Gone


def _check_type(headers: dict[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"")
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        found = f"content-type {kind.decode('latin-1')[:80]}" if kind else "no content-type"
        raise Problem("not-json", f"Found {found}, expected content-type: application/json.", closes=True)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Problem("not-json", "The body is encoded; send it without content-encoding.", closes=True)


async def send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem.

    Where the body is not wanted, the answer goes out first and whole; then what still comes is dropped for a
    moment, so that a client which reads only after it has sent everything gets to the answer.
    """
    body = problem.body()
    await send({"type": "http.response.start", "status": problem.status, "headers": problem.raw_headers(len(body))})
    if not problem.closes or header(scope, b"expect"):
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.body", "body": body, "more_body": True})
    try:
        async with asyncio.timeout(DROP_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})


async def send_json(content: bytes, send: Send, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Answer 200 with JSON."""
    length = str(len(content)).encode()
    every = [(b"content-type", b"application/json"), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": 200, "headers": every})
    await send({"type": "http.response.body", "body": content})
