"""Routes of the dashboard: static files, which need no API key, and its data as JSON, which does."""

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
from ste.monitoring.drift import DriftReport
from ste.monitoring.drift_monitor import DriftMonitor
from ste.serving.dashboard import Dashboard

FILES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
}
HEADERS = {
    "cache-control": "no-cache",  # cached, and revalidated by its ETag
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_FOLDER = Path(__file__).parent / "page"


def add_dashboard(app: FastAPI, dashboard: Dashboard) -> None:
    """Add the dashboard's routes to an application and start the computation of its data.

    Args:
        app: application of the service.
        dashboard: content of the dashboard.
    """
    files = {name: (_FOLDER / name).read_bytes() for name in FILES}
    dashboard.refresh()

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return _respond(request, files["index.html"], FILES["index.html"])

    @app.get("/v1/page/summary", include_in_schema=False)
    async def summary(request: Request) -> Response:
        return _respond(request, await run_in_threadpool(dashboard.summary))

    @app.get("/v1/page/tickers", include_in_schema=False)
    async def tickers(request: Request) -> Response:
        return _respond(request, await run_in_threadpool(dashboard.tickers))

    @app.get("/v1/page/ticker/{name}", include_in_schema=False)
    async def ticker(request: Request, name: str) -> Response:
        content = await run_in_threadpool(dashboard.ticker, name)
        if content is None:
            raise HTTPException(404, f"{name[:40]}: no such ticker")
        return _respond(request, content)

    @app.get("/page/{name}", include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        if name not in files or name == "index.html":
            raise HTTPException(404)
        return _respond(request, files[name], FILES[name])


def dashboard_of(settings: ServeSettings) -> Callable[[FastAPI], None]:
    """Return a function that adds the dashboard of an application's deployed model and its drift monitor.

    Args:
        settings: settings of the service, with or without market files.
    """

    def add(app: FastAPI) -> None:
        def model() -> ServedModel:
            return app.state.deployed.current.model

        def drift() -> DriftReport | None:
            monitor = app.state.observer.monitor if app.state.observer else None
            return monitor.report() if isinstance(monitor, DriftMonitor) else None

        add_dashboard(app, Dashboard(settings, model, drift))

    return add


def _respond(request: Request, content: bytes, media_type: str = "application/json") -> Response:
    """Return the content, or 304 if the browser has it."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    headers = {**HEADERS, "etag": tag}
    cached = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if tag in cached:
        return Response(status_code=304, headers=headers)
    return Response(content, headers={**headers, "content-type": media_type})
