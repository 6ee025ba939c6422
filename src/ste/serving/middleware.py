"""ASGI middleware of the service: API keys, request metrics, and errors as problem details."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Set

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ste.serving.api_keys import ApiKeys
from ste.serving.problems import Problem
from ste.serving.request_body import send_problem

log = logging.getLogger(__name__)

PUBLIC = ("/", "/favicon.ico", "/healthz", "/readyz", "/docs", "/openapi.json")
"""Paths that need no key: probes, documentation and the dashboard's page."""
PUBLIC_FILES = re.compile(r"/(docs|page)/[\w-]+\.(js|css|svg|png|ico)")
"""Static files of the pages need no key; the dashboard's data does."""

OnResponse = Callable[[str, str, int, float], None]
_METHODS = {"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}


class RequestMiddleware:
    """Check the API key, count each request, and route the prediction paths directly.

    Args:
        app: the next ASGI application.
        direct: ASGI applications by path, for POST. They bypass FastAPI's own layers, which are half of the CPU time
            of a small request.
        keys: valid API keys.
        on_response: called with route, method, status and seconds of each request.
        paths: routes that are counted by name; others are counted as `other`.
    """

    def __init__(
        self, app: ASGIApp, direct: Mapping[str, ASGIApp], keys: ApiKeys, on_response: OnResponse, paths: Set[str]
    ) -> None:
        self.app, self.direct, self.keys, self.on_response, self.paths = app, direct, keys, on_response, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; pass the lifespan messages on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self.keys:
                self._check_key(scope)
            endpoint = self.direct.get(scope["path"]) if scope["method"] == "POST" else None
            await (endpoint or self.app)(scope, receive, send_counted)
        except Problem as problem:
            await send_problem(problem, scope, receive, send_counted)
        except ClientDisconnect:
            status = 499  # nginx's status for a closed connection
        except Exception:
            if status:  # the response has started: uvicorn logs the error and closes the connection
                raise
            log.exception("%r %r", scope["method"], scope["path"])
            await send_problem(Problem("internal", "It has been logged."), scope, receive, send_counted)
        finally:
            route = scope["path"] if scope["path"] in self.paths else "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.on_response(route, method, status, time.perf_counter() - started)

    def _check_key(self, scope: Scope) -> None:
        path = scope["path"]
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        if path in PUBLIC or PUBLIC_FILES.fullmatch(path) or self.keys.accept(authorization):
            return
        raise Problem(
            "no-key",
            "Expected a header authorization: Bearer KEY with a key of this service.",
            headers={"www-authenticate": 'Bearer realm="ste"'},
            closes=scope["method"] not in ("GET", "HEAD"),
        )
