"""The outermost layer of the application: who may enter, what is counted, and how a refusal is told."""

import logging
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from ste.serving.body import Gone, Message, Receive, Scope, Send, header, send_problem
from ste.serving.keys import Keys
from ste.serving.problems import Problem

log = logging.getLogger(__name__)

OPEN = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""Routes that need no key: what a supervisor asks for, and what says how to ask."""

Count = Callable[[str, str, int, float], None]
_METHODS = {"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "QUERY"}


class Door:
    """ASGI middleware.

    Args:
        app: what is inside.
        keys: that open it.
        count: told route, method, status and seconds of each request.
        free: whether a path needs no key.
    """

    def __init__(self, app: ASGIApp, keys: Keys, count: Count, free: Callable[[str], bool]) -> None:
        self.app, self.keys, self.count, self.free = app, keys, count, free

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
            if self.keys and not self.keys.opens(header(scope, b"authorization")) and not self.free(scope["path"]):
                raise Problem(
                    "no-key",
                    "Expected a header authorization: Bearer KEY with a key of this service.",
                    headers={"www-authenticate": 'Bearer realm="ste"'},
                    closes=scope["method"] == "POST",
                )
            await self.app(scope, receive, counted)
        except Problem as problem:
            await send_problem(problem, scope, receive, counted)
        except HTTPException as error:
            await send_problem(_of_routing(error, scope), scope, receive, counted)
        except Gone:
            status = 499  # as web servers write it in their logs
        except Exception:
            log.exception("%s %s", scope["method"], scope["path"])
            if status:
                raise
            await send_problem(Problem("internal", "It has been logged."), scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.count(route, method, status, time.perf_counter() - began)


def _of_routing(error: HTTPException, scope: Scope) -> Problem:
    if error.status_code == 405:
        return Problem(
            "method-not-allowed",
            f"{scope['path'][:200]} does not take {scope['method'][:20]}.",
            headers={name.lower(): value for name, value in (error.headers or {}).items()},
        )
    return Problem("not-found", f"There is no {scope['path'][:200]}. GET /docs lists what there is.")
