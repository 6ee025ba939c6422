"""The service as a FastAPI application: its routes, and what lives beside them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from ste import __version__
from ste.deploy.model import ServedModel
from ste.serving.bars import examples_of_bars
from ste.serving.batching import Batcher
from ste.serving.body import Receive, Scope, Send, read_json, send_json
from ste.serving.docs import add_docs
from ste.serving.document import openapi
from ste.serving.door import Door, told
from ste.serving.keys import Keys
from ste.serving.metrics import Metrics
from ste.serving.observed import MakeMonitor, Observed
from ste.serving.problems import MEDIA_TYPE, Fault, Problem
from ste.serving.swap import Current, loaded
from ste.settings.serve import LimitSettings, ServeSettings

BARS_WAITING = 8
"""Requests with bars that may wait; their features are computed one request at a time."""


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
        document.cache_clear()
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
    def document() -> bytes:
        now = current.now.model
        return orjson.dumps(openapi(now.card, now.version, limits, bool(keys)))

    for path, endpoint in direct.items():
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))  # other methods are refused there

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
        about = _about(now.model)
        return _json({"status": "ready", **about, "since": now.since, "warning": current.warning})

    @app.get("/metrics")
    async def figures() -> Response:
        content = await asyncio.to_thread(generate_latest, metrics.registry)
        return Response(content, headers={"content-type": CONTENT_TYPE_LATEST})

    @app.get("/openapi.json")
    async def schema() -> Response:
        return Response(document(), media_type="application/json")

    add_docs(app)
    app.openapi = lambda: orjson.loads(document())  # type: ignore[method-assign]
    app.state.current, app.state.metrics, app.state.observed, app.state.stopping = current, metrics, observed, False
    if observed:
        metrics.add(observed.collect)
    if page:
        page(app)
    for kind, handler in ((HTTPException, _routing), (RequestValidationError, _parameters), (Problem, _problem)):
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, _fault)
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


class Predict:
    """`POST /v1/predict`."""

    def __init__(self, current: Current, batcher: Batcher, limits: LimitSettings) -> None:
        self.current, self.batcher, self.limits = current, batcher, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, run, answer."""
        body = await read_json(scope, receive, self.limits.body_bytes)
        now = self.current.now
        probabilities = await self.batcher.probabilities(now.model, now.reader.read(body))
        await send_json(_encoded({**_about(now.model), "predictions": _said(now.model, probabilities)}), send)


class PredictBars:
    """`POST /v1/predict/bars`: features are computed in a thread of their own, one request at a time."""

    def __init__(self, current: Current, batcher: Batcher, limits: LimitSettings) -> None:
        self.current, self.batcher, self.limits = current, batcher, limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bars")
        self._waiting = 0

    def close(self) -> None:
        """Wait for what is being computed, and end the thread."""
        self._thread.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, compute the features, run, answer."""
        body = await read_json(scope, receive, self.limits.body_bytes)
        if self._waiting >= BARS_WAITING:
            detail = f"{self._waiting} requests with bars wait. Try again."
            raise Problem("busy", detail, headers={"retry-after": "1"})
        self._waiting += 1
        try:
            model = self.current.now.model
            loop = asyncio.get_running_loop()
            asked = await loop.run_in_executor(self._thread, examples_of_bars, body, model.card)
        finally:
            self._waiting -= 1
        probabilities = await self.batcher.probabilities(model, asked.features, asked.dates)
        dates = np.datetime_as_string(asked.dates, unit="D").tolist()
        predictions = [
            {"ticker": ticker, "date": date, **said}
            for ticker, date, said in zip(asked.tickers, dates, _said(model, probabilities), strict=True)
        ]
        content = {**_about(model), "predictions": predictions, "without": asked.without, "notes": asked.notes}
        await send_json(_encoded(content), send)


def _about(model: ServedModel) -> dict[str, str]:
    return {"model": model.card.name, "version": model.version, "run_id": model.card.run_id}


def _said(model: ServedModel, probabilities: np.ndarray) -> list[dict[str, object]]:
    """Class and probabilities of each example; float32 as they are, which JSON writes in their shortest form."""
    if not np.isfinite(probabilities).all():
        at = np.flatnonzero(~np.isfinite(probabilities).all(axis=1)).tolist()
        raise Problem(
            "invalid-request",
            f"The model has no probabilities for example {at[0]} ({len(at)} such examples): its features are so far "
            "from those it learnt from that its sums overflow.",
        )
    names = model.card.classes
    best = probabilities.argmax(axis=1).tolist()
    return [
        {"class": names[i], "probabilities": dict(zip(names, row, strict=True))}
        for i, row in zip(best, probabilities, strict=True)
    ]


def _encoded(content: object) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")


def _answer(problem: Problem) -> Response:
    headers = {**problem.headers, "content-type": MEDIA_TYPE}
    return Response(problem.body(), problem.status, headers)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(error)


async def _routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(told(error, request.scope))


async def _parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [Fault(tuple(one["loc"]), one["msg"]) for one in error.errors()]
    return _answer(Problem("invalid-request", "A parameter is not what is taken here.", faults))


async def _fault(request: Request, error: Exception) -> Response:
    return _answer(Problem("internal", "It has been logged."))
