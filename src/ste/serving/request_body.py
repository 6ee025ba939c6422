"""Read request bodies within their limits, and send responses."""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from ste.config.serve_settings import LimitSettings
from ste.serving.problems import Problem

DRAIN_TIMEOUT = 2.0
"""Seconds that the rest of a rejected body is received and discarded."""


async def read_json(scope: Scope, receive: Receive, limits: LimitSettings) -> bytes:
    """Read a request body with content type JSON.

    Args:
        scope: scope of the request.
        receive: ASGI receive channel.
        limits: limits of the body's size and time.

    Raises:
        Problem: the body is too large or too slow, or its content type or encoding is not supported.
        ClientDisconnect: the client closed the connection.
    """
    headers, max_bytes = dict(scope["headers"]), limits.max_body_bytes
    length = headers.get(b"content-length", b"")
    if length and int(length) > max_bytes:
        raise Problem("body-too-large", f"The body has {int(length)} bytes, expected at most {max_bytes}.", closes=True)
    _check_content_type(headers)
    try:
        async with asyncio.timeout(limits.body_timeout):
            return await _receive(receive, max_bytes)
    except TimeoutError:
        detail = f"The body did not arrive within {limits.body_timeout:g} s."
        raise Problem("too-slow", detail, closes=True) from None


async def _receive(receive: Receive, max_bytes: int) -> bytes:
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if len(body) > max_bytes:  # without content-length
            raise Problem("body-too-large", f"The body has more than {max_bytes} bytes.", closes=True)
        if not message.get("more_body"):
            return bytes(body)
    raise ClientDisconnect


def _check_content_type(headers: dict[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"")
    if kind.partition(b";")[0].strip().lower() != b"application/json":
        found = f"content-type {kind.decode('latin-1')[:80]}" if kind else "no content-type"
        raise Problem("not-json", f"Found {found}, expected content-type: application/json.", closes=True)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Problem("not-json", "The body is encoded; send it without content-encoding.", closes=True)


async def send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Send problem details.

    If the body was rejected unread, send the response first, then discard the rest of the body for a moment, so that a
    client that reads only after sending everything still gets the response.
    """
    body = problem.body()
    await send({"type": "http.response.start", "status": problem.status, "headers": problem.raw_headers(len(body))})
    if not problem.closes or b"expect" in dict(scope["headers"]):
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.body", "body": body, "more_body": True})
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})


async def send_json(content: bytes, send: Send) -> None:
    """Send a response with status 200 and JSON content."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})
