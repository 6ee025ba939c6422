"""The FastAPI application of the service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import orjson
from fastapi import FastAPI
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import Route
from starlette.types import ASGIApp

from ste import __version__
from ste.config.serve_settings import ServeSettings
from ste.inference.onnx_model import ServedModel
from ste.serving.api_keys import ApiKeys
from ste.serving.batcher import Batcher
from ste.serving.dashboard import Dashboard
from ste.serving.dashboard_routes import add_dashboard
from ste.serving.deployed_model import DeployedModel, validate_model
from ste.serving.docs_routes import add_docs
from ste.serving.endpoints import Predict, PredictBars, model_info
from ste.serving.error_handlers import add_error_handler
from ste.serving.middleware import RequestMiddleware
from ste.serving.openapi import openapi
from ste.serving.prometheus import ServiceMetrics
from ste.serving.read_routes import read_route
from ste.serving.request_observer import RequestObserver

_ONLY_IN_FILE = ("reference", "training_sample")
"""Parts of the card that `/v1/model` leaves out: large, and of no use without the file."""


def create_app(
    model: ServedModel,
    settings: ServeSettings,
    counts_file: Callable[[str], Path] | None = None,
    keys: ApiKeys | None = None,
    newest_file: Callable[[], Path] | None = None,
) -> FastAPI:
    """Create the application.

    Its `state` has `deployed` (`deployed.current.model` is the deployed model), `metrics`, `observer` (with the
    monitor) and `dashboard`.

    Args:
        model: first model to deploy.
        settings: settings of the service.
        counts_file: returns the file of the drift counts of a run; None counts no drift.
        keys: valid API keys; None needs no key.
        newest_file: returns the file of the newest model version; None never reloads.

    Raises:
        RunError: the model does not run as its card describes.
    """
    keys, limits = keys or ApiKeys(), settings.limits
    deployed = DeployedModel(validate_model(model, limits.max_examples), limits.max_examples, settings.threads)
    observer = RequestObserver(model, counts_file)
    metrics = ServiceMetrics(deployed, lambda: batcher.queued)
    batcher = Batcher(
        settings.max_batch,
        limits.max_queued_examples,
        limits.queue_timeout,
        observer.put,
        metrics.observe_batch,
    )
    bars = PredictBars(deployed, batcher, limits)

    def on_swap() -> None:
        observer.change_model(deployed.current.model)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(observer.run())]
        if newest_file and settings.reload_interval:
            tasks.append(asyncio.create_task(deployed.watch(newest_file, settings.reload_interval, on_swap)))
        yield
        for task in tasks:
            task.cancel()
        batcher.close()
        bars.close()
        observer.close()

    app = FastAPI(
        title="Stock Trend Estimator",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )

    @lru_cache(maxsize=1)
    def document(model: ServedModel) -> bytes:
        return orjson.dumps(openapi(model.card, model.version, limits, bool(keys)))

    direct: dict[str, ASGIApp] = {"/v1/predict": Predict(deployed, batcher, limits), "/v1/predict/bars": bars}
    for path, endpoint in direct.items():
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))  # rejects other methods with 405

    app.state.deployed, app.state.metrics, app.state.observer = deployed, metrics, observer
    _add_status_routes(app, deployed, metrics)

    @read_route(app, "/openapi.json")
    async def openapi_document() -> Response:
        content = await asyncio.to_thread(document, deployed.current.model)
        return Response(content, media_type="application/json")

    add_docs(app)
    metrics.registry.register(observer)
    app.state.dashboard = Dashboard(settings, lambda: deployed.current.model, observer.report)
    add_dashboard(app, app.state.dashboard)
    add_error_handler(app)
    paths = frozenset(getattr(route, "path", "") for route in app.routes)
    app.add_middleware(RequestMiddleware, direct=direct, keys=keys, on_response=metrics.observe_request, paths=paths)
    return app


def _add_status_routes(app: FastAPI, deployed: DeployedModel, metrics: ServiceMetrics) -> None:
    """Add the routes of the model card, health, readiness and metrics."""

    @read_route(app, "/v1/model")
    async def model_card() -> Response:
        current = deployed.current
        card = {key: value for key, value in asdict(current.model.card).items() if key not in _ONLY_IN_FILE}
        card["features"] = current.model.card.features
        return _json({**card, "version": current.model.version, "since": current.since})

    @read_route(app, "/healthz")
    async def health() -> Response:
        return _json({"status": "ok"})

    @read_route(app, "/readyz")
    async def ready() -> Response:
        current = deployed.current
        return _json(
            {"status": "ready", **model_info(current.model), "since": current.since, "warning": deployed.warning}
        )

    @read_route(app, "/metrics")
    async def prometheus_metrics() -> Response:
        content = await asyncio.to_thread(generate_latest, metrics.registry)
        return Response(content, headers={"content-type": CONTENT_TYPE_LATEST})


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
