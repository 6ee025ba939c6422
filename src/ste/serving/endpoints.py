"""The two prediction routes, as ASGI applications."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import orjson
from starlette.types import Receive, Scope, Send

from ste.config.serve_settings import LimitSettings
from ste.inference.onnx_model import ServedModel
from ste.inference.training_data import synthetic_warning
from ste.serving.bars_request import examples_of_bars
from ste.serving.batcher import Batcher
from ste.serving.deployed_model import DeployedModel
from ste.serving.problems import Problem
from ste.serving.request_body import read_json, send_json

MAX_QUEUED_BARS = 8
"""Requests with bars in the queue; their features are computed one request at a time."""


class Predict:
    """`POST /v1/predict`."""

    def __init__(self, deployed: DeployedModel, batcher: Batcher, limits: LimitSettings) -> None:
        self.deployed, self.batcher, self.limits = deployed, batcher, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Parse the body, run the model, send the response."""
        body = await read_json(scope, receive, self.limits)
        current = self.deployed.current
        features, groups = current.reader.read_with_groups(body)
        probabilities = await self.batcher.probabilities(current.model, features, groups=groups)
        content = {**model_info(current.model), "predictions": _predictions(current.model, probabilities)}
        await send_json(_encode(content), send)


class PredictBars:
    """`POST /v1/predict/bars`: features are computed in a thread, one request at a time."""

    def __init__(self, deployed: DeployedModel, batcher: Batcher, limits: LimitSettings) -> None:
        self.deployed, self.batcher, self.limits = deployed, batcher, limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bars")
        self._queued = 0

    def close(self) -> None:
        """Wait for the current computation and stop the thread."""
        self._thread.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Parse the body, compute the features, run the model, send the response."""
        body = await read_json(scope, receive, self.limits)
        if self._queued >= MAX_QUEUED_BARS:
            detail = f"{self._queued} requests with bars are queued. Try again."
            raise Problem("busy", detail, headers={"retry-after": "1"})
        self._queued += 1
        try:
            model = self.deployed.current.model
            loop = asyncio.get_running_loop()
            examples = await loop.run_in_executor(self._thread, examples_of_bars, body, model.card)
        finally:
            self._queued -= 1
        probabilities = await self.batcher.probabilities(model, examples.features, examples.dates, examples.periods)
        dates = np.datetime_as_string(examples.dates, unit="D").tolist()
        predictions = [
            {"ticker": ticker, "date": date, **prediction}
            for ticker, date, prediction in zip(
                examples.tickers, dates, _predictions(model, probabilities), strict=True
            )
        ]
        content = {
            **model_info(model),
            "predictions": predictions,
            "without": examples.without,
            "notes": [warning, *examples.notes] if (warning := synthetic_warning(model.card)) else examples.notes,
        }
        await send_json(_encode(content), send)


def model_info(model: ServedModel) -> dict[str, str]:
    """Identify the model of a response: name, version and run ID."""
    return {"model": model.card.name, "version": model.version, "run_id": model.card.run_id}


def _predictions(model: ServedModel, probabilities: np.ndarray) -> list[dict[str, object]]:
    """Return class and probabilities of each example, as float32, which JSON writes in its shortest form."""
    if not np.isfinite(probabilities).all():
        invalid = np.flatnonzero(~np.isfinite(probabilities).all(axis=1)).tolist()
        raise Problem(
            "invalid-request",
            f"The model returned no finite probabilities for example {invalid[0]} ({len(invalid)} such examples): its "
            "features are so far from the training data that the computation overflows.",
        )
    names = model.card.classes
    best = probabilities.argmax(axis=1).tolist()
    return [
        {"class": names[i], "probabilities": dict(zip(names, row, strict=True))}
        for i, row in zip(best, probabilities, strict=True)
    ]


def _encode(content: object) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
