"""The outermost layer of the application: who may enter, what is counted, and how a refusal is told."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Set

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from ste.serving.api_keys import Keys
from ste.serving.problems import Problem
from ste.serving.request_body import Gone, Message, Receive, Scope, Send, header, send_problem

log = logging.getLogger(__name__)

OPEN = ("/", "/favicon.ico", "/healthz", "/readyz", "/docs", "/openapi.json")
"""Paths that need no key: what a supervisor asks for, what says how to ask, and the page."""
OPEN_FILES = re.compile(r"/(docs|page)/[\w-]+\.(js|css|svg|png|ico)")
"""Nor do the files of the pages; what a page shows does."""

Count = Callable[[str, str, int, float], None]
_METHODS = {"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}


class Door:
    """ASGI middleware.

    Args:
        app: what is inside, unless it is asked for by one of the `direct` paths.
        direct: applications of single paths, to POST to. The framework's own layers are half of what a small
            request costs, and these do without.
        keys: that open it.
        count: told route, method, status and seconds of each request.
        paths: that are counted by name; others are `other`.
    """

    def __init__(self, app: ASGIApp, direct: Mapping[str, ASGIApp], keys: Keys, count: Count, paths: Set[str]) -> None:
        self.app, self.direct, self.keys, self.count, self.paths = app, direct, keys, count, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's own start and stop."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self.keys:
                self._check_key(scope)
            inside = self.direct.get(scope["path"]) if scope["method"] == "POST" else None
            await (inside or self.app)(scope, receive, counted)
        except Problem as problem:
            await send_problem(problem, scope, receive, counted)
        except Gone:
            status = 499  # as web servers write it in their logs
        except Exception:
            if status:  # begun: the server logs it, and ends the connection
                raise
            log.exception("%r %r", scope["method"], scope["path"])
            await send_problem(Problem("internal", "It has been logged."), scope, receive, counted)
        finally:
            route = scope["path"] if scope["path"] in self.paths else "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.count(route, method, status, time.perf_counter() - began)

    def _check_key(self, scope: Scope) -> None:
        path = scope["path"]
        if path in OPEN or OPEN_FILES.fullmatch(path) or self.keys.opens(header(scope, b"authorization")):
            return
        raise Problem(
            "no-key",
            "Expected a header authorization: Bearer KEY with a key of this service.",
            headers={"www-authenticate": 'Bearer realm="ste"'},
            closes=scope["method"] not in ("GET", "HEAD"),
        )


def told(error: HTTPException, scope: Scope) -> Problem:
    """What routing has to say, as a problem."""
    path = scope["path"][:200]
    if error.status_code == 405:
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        return Problem("method-not-allowed", f"{path} does not take {scope['method'][:20]}.", headers=headers)
    return Problem("not-found", f"There is no {path}. GET /docs lists what there is.")
