"""The two routes that predict, as ASGI applications of their own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import orjson

from ste.config.serve_settings import LimitSettings
from ste.inference.onnx_model import ServedModel
from ste.serving.bars_request import examples_of_bars
from ste.serving.batcher import Batcher
from ste.serving.model_swap import Current
from ste.serving.problems import Problem
from ste.serving.request_body import Receive, Scope, Send, read_json, send_json

BARS_WAITING = 8
"""Requests with bars that may wait; their features are computed one request at a time."""


class Predict:
    """`POST /v1/predict`."""

    def __init__(self, current: Current, batcher: Batcher, limits: LimitSettings) -> None:
        self.current, self.batcher, self.limits = current, batcher, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, run, answer."""
        body = await read_json(scope, receive, self.limits.body_bytes)
        now = self.current.now
        probabilities = await self.batcher.probabilities(now.model, now.reader.read(body))
        await send_json(_encoded({**about(now.model), "predictions": _said(now.model, probabilities)}), send)


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
        content = {**about(model), "predictions": predictions, "without": asked.without, "notes": asked.notes}
        await send_json(_encoded(content), send)


def about(model: ServedModel) -> dict[str, str]:
    """Which model answers."""
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
