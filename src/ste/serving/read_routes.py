"""Routes that only read."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import FastAPI
from fastapi.responses import Response

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])


def read_route(app: FastAPI, path: str) -> Callable[[Endpoint], Endpoint]:
    """Return the decorator of a route of GET and HEAD; the server sends the same headers for HEAD, and no body.

    Args:
        app: application of the service.
        path: of the route.
    """
    return app.api_route(path, methods=["GET", "HEAD"])
