"""Routes of the dashboard: static files, which need no API key, and its data as JSON, which does."""

from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ste.serving.dashboard import Dashboard
from ste.serving.read_routes import read_route
from ste.serving.static_files import HEADERS, add_static_files

_FOLDER = Path(__file__).parent / "page"


def add_dashboard(app: FastAPI, dashboard: Dashboard) -> None:
    """Add the dashboard's routes to an application and start the computation of its data.

    Args:
        app: application of the service.
        dashboard: content of the dashboard.
    """
    page = (_FOLDER / "index.html").read_bytes()
    add_static_files(app, "page", _FOLDER)
    dashboard.refresh()

    @read_route(app, "/")
    async def index() -> Response:
        return Response(page, media_type="text/html", headers=HEADERS)

    @read_route(app, "/v1/page/summary")
    async def summary() -> Response:
        return _json(await run_in_threadpool(dashboard.summary))

    @read_route(app, "/v1/page/tickers")
    async def tickers() -> Response:
        return _json(await run_in_threadpool(dashboard.tickers))

    @read_route(app, "/v1/page/ticker/{name}")
    async def ticker(name: str) -> Response:
        content = await run_in_threadpool(dashboard.ticker, name)
        if content is None:
            raise HTTPException(404)
        return _json(content)


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json", headers=HEADERS)
