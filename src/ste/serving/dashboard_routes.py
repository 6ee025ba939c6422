"""The page at `/`: its files, which need no key, and what they show as JSON, which needs one where there is one."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ste.config.serve_settings import ServeSettings
from ste.inference.onnx_model import ServedModel
from ste.monitoring.drift import Drift
from ste.monitoring.input_counts import Monitor
from ste.serving.dashboard import Book

FILES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
}
HEADERS = {
    "cache-control": "no-cache",  # kept, and asked about by its ETag
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_FOLDER = Path(__file__).parent / "page"


def add_page(app: FastAPI, book: Book) -> None:
    """Add the page and what it shows to an application, and begin to compute.

    Args:
        app: the service.
        book: what the page shows.
    """
    files = {name: (_FOLDER / name).read_bytes() for name in FILES}
    book.now  # noqa: B018 - the property begins the work

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return _answer(request, files["index.html"], FILES["index.html"])

    @app.get("/v1/page/summary", include_in_schema=False)
    async def summary(request: Request) -> Response:
        return _answer(request, await run_in_threadpool(book.summary))

    @app.get("/v1/page/tickers", include_in_schema=False)
    async def tickers(request: Request) -> Response:
        return _answer(request, await run_in_threadpool(book.tickers))

    @app.get("/v1/page/ticker/{name}", include_in_schema=False)
    async def ticker(request: Request, name: str) -> Response:
        content = await run_in_threadpool(book.ticker, name)
        if content is None:
            raise HTTPException(404, f"{name[:40]}: no such ticker")
        return _answer(request, content)

    @app.get("/page/{name}", include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        if name not in files or name == "index.html":
            raise HTTPException(404)
        return _answer(request, files[name], FILES[name])


def page_of(settings: ServeSettings) -> Callable[[FastAPI], None]:
    """What `create_app` calls with the application: its model in service and its monitor are what the page tells of.

    Args:
        settings: of the service, with the files of a market or none.
    """

    def add(app: FastAPI) -> None:
        def model() -> ServedModel:
            return app.state.current.now.model

        def drift() -> Drift | None:
            monitor = app.state.observed.monitor if app.state.observed else None
            return monitor.report() if isinstance(monitor, Monitor) else None

        add_page(app, Book(settings, model, drift))

    return add


def _answer(request: Request, content: bytes, kind: str = "application/json") -> Response:
    """The content, or 304 where the browser has it."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    headers = {**HEADERS, "etag": tag}
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if tag in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers={**headers, "content-type": kind})
