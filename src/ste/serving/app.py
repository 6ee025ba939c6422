"""The service as a FastAPI application: its routes, and what lives beside them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import Route
from starlette.types import ASGIApp

from ste import __version__
from ste.config.serve_settings import ServeSettings
from ste.inference.onnx_model import ServedModel
from ste.serving.api_keys import Keys
from ste.serving.batcher import Batcher
from ste.serving.docs_routes import add_docs
from ste.serving.endpoints import Predict, PredictBars, about
from ste.serving.error_handlers import add_handlers
from ste.serving.middleware import Door
from ste.serving.model_swap import Current, loaded
from ste.serving.observed_requests import MakeMonitor, Observed
from ste.serving.openapi import openapi
from ste.serving.problems import Problem
from ste.serving.prometheus import Metrics


def create_app(
    model: ServedModel,
    settings: ServeSettings,
    monitor: MakeMonitor | None = None,
    page: Callable[[FastAPI], None] | None = None,
    keys: Keys | None = None,
    path_of: Callable[[], Path] | None = None,
) -> FastAPI:
    """The application.

    Its `state` has `current` (the model in service: `current.now.model`), `metrics`, `observed` (with the monitor) and
    `stopping`.

    Args:
        model: to begin with.
        settings: of the service.
        monitor: makes the monitor of a model; None watches nothing.
        page: called with the application to add routes of its own. Its files under `/page/` need no key, all else does.
        keys: that open it; None leaves it open.
        path_of: where the newest version of the model is; None never looks.

    Raises:
        RunError: a model that does not run as its card says.
    """
    keys, limits = keys or Keys(), settings.limits
    current = Current(loaded(model, limits.examples), path_of, limits.examples, settings.threads)
    observed = Observed(monitor, model) if monitor else None
    put = observed.put if observed else None
    metrics = Metrics(current, lambda: batcher.waiting)
    batcher = Batcher(settings.batch, limits.waiting, limits.answer_seconds, put, metrics.ran)

    def swapped() -> None:
        if observed:
            observed.change(current.now.model)

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(observed.run())] if observed else []
        if path_of and settings.watch_seconds:
            tasks.append(asyncio.create_task(current.watch(settings.watch_seconds, swapped)))
        yield
        for task in tasks:
            task.cancel()
        batcher.close()
        bars.close()
        if observed:
            observed.flush()

    bars = PredictBars(current, batcher, limits)
    direct: dict[str, ASGIApp] = {"/v1/predict": Predict(current, batcher, limits), "/v1/predict/bars": bars}
    app = Service(
        lambda inside: Door(inside, direct, keys, metrics.answered, paths),
        title="Stock Trend Estimator",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=living,
        redirect_slashes=False,
    )

    @lru_cache(maxsize=1)
    def document(now: ServedModel) -> bytes:
        return orjson.dumps(openapi(now.card, now.version, limits, bool(keys)))

    for path, endpoint in direct.items():
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))  # other methods are refused there

    app.state.current, app.state.metrics, app.state.observed, app.state.stopping = current, metrics, observed, False
    _add_state(app, current, metrics)

    @app.get("/openapi.json")
    async def schema() -> Response:
        return Response(await asyncio.to_thread(document, current.now.model), media_type="application/json")

    add_docs(app)
    app.openapi = lambda: orjson.loads(document(current.now.model))  # type: ignore[method-assign]
    if observed:
        metrics.add(observed.collect)
    if page:
        page(app)
    add_handlers(app)
    paths = frozenset(getattr(route, "path", "") for route in app.routes)
    return app


class Service(FastAPI):
    """FastAPI behind a door of ours.

    Args:
        door: puts it around the framework's own layers.
        settings: of FastAPI.
    """

    def __init__(self, door: Callable[[ASGIApp], ASGIApp], **settings: Any) -> None:
        super().__init__(**settings)
        self._door = door

    def build_middleware_stack(self) -> ASGIApp:
        """All layers, the outermost first."""
        return self._door(super().build_middleware_stack())


def _add_state(app: FastAPI, current: Current, metrics: Metrics) -> None:
    """Routes that tell of the model and of the service."""

    @app.get("/v1/model")
    async def about_model() -> Response:
        now = current.now
        card = {key: value for key, value in asdict(now.model.card).items() if key != "reference"}
        return _json({**card, "version": now.model.version, "since": now.since})

    @app.get("/healthz")
    async def health() -> Response:
        return _json({"status": "ok"})

    @app.get("/readyz")
    async def ready() -> Response:
        if app.state.stopping:
            raise Problem("busy", "The service is stopping.")
        now = current.now
        return _json({"status": "ready", **about(now.model), "since": now.since, "warning": current.warning})

    @app.get("/metrics")
    async def figures() -> Response:
        content = await asyncio.to_thread(generate_latest, metrics.registry)
        return Response(content, headers={"content-type": CONTENT_TYPE_LATEST})


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
