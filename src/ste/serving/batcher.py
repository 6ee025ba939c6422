"""Dynamic batching: requests that arrive while the model runs are combined in its next run."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ste.data.windows import date_chunks
from ste.inference.onnx_model import ServedModel
from ste.serving.problems import Problem

_Inputs = tuple[np.ndarray, np.ndarray | None]
"""Features `[B, …]` of a job, and the groups `[B]` of a model that reads them."""

OnExamples = Callable[[ServedModel, np.ndarray, np.ndarray, np.ndarray | None], None]
"""Callback with model, features `[B, …]`, probabilities `[B, C]`, and dates `[B]` if known."""


@dataclass(slots=True)
class _Job:
    """Examples in the queue, for one run of the model."""

    model: ServedModel
    features: np.ndarray
    dates: np.ndarray | None
    groups: np.ndarray | None
    result: "asyncio.Future[np.ndarray]"
    queued_at: float


class Batcher:
    """Run a model in a thread, one run at a time, on everything that is queued.

    A job runs on the model that its request was parsed for, also if another one is deployed meanwhile. Use it from one
    event loop.

    Args:
        max_batch: maximum number of examples in one run.
        max_queued: maximum number of examples in the queue; more are rejected.
        queue_timeout: seconds after which a queued job is rejected.
        on_examples: called with examples after their response.
        on_run: called with the number of examples of each run.
    """

    def __init__(
        self,
        max_batch: int,
        max_queued: int,
        queue_timeout: float,
        on_examples: OnExamples = lambda *_: None,
        on_run: Callable[[int], None] = lambda examples: None,
    ) -> None:
        self.max_batch, self.max_queued, self.queue_timeout = max_batch, max_queued, queue_timeout
        self._on_examples, self._on_run = on_examples, on_run
        self._jobs: deque[_Job] = deque()
        self._running = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.queued = 0

    async def probabilities(
        self,
        model: ServedModel,
        features: np.ndarray,
        dates: np.ndarray | None = None,
        groups: np.ndarray | None = None,
    ) -> np.ndarray:
        """Compute class probabilities, float32 `[B, C]`.

        Args:
            model: model to run.
            features: `[B, T, F]` or `[B, F]`, any B.
            dates: date of each example's last period, datetime64 `[B]`, if known.
            groups: integers `[B]`, equal for the examples of one date, for a model that predicts them together; None:
                all are of one date. Examples of different requests are of different markets.

        Raises:
            Problem: the queue is full, or the examples waited too long.
        """
        count = len(features)
        if self.queued + count > self.max_queued:
            raise Problem(
                "busy", f"{self.queued} examples are queued for the model. Try again.", headers={"retry-after": "1"}
            )
        if not model.card.sees_market:
            groups = None
        elif groups is None:
            groups = np.zeros(count, dtype=np.int64)
        if count <= self.max_batch:
            return await self._put(model, features, dates, groups)
        if groups is None:
            parts = np.split(np.arange(count), range(self.max_batch, count, self.max_batch))
        else:
            parts = date_chunks(groups, self.max_batch)
        jobs = [
            self._put(
                model,
                features[part],
                None if dates is None else dates[part],
                None if groups is None else groups[part],
            )
            for part in parts
        ]
        joined = np.concatenate(await asyncio.gather(*jobs))
        out = np.empty_like(joined)
        out[np.concatenate(parts)] = joined
        return out

    def close(self) -> None:
        """Wait for the current run and stop the thread."""
        self._thread.shutdown()

    def _put(
        self, model: ServedModel, features: np.ndarray, dates: np.ndarray | None, groups: np.ndarray | None
    ) -> "asyncio.Future[np.ndarray]":
        loop = asyncio.get_running_loop()
        job = _Job(model, features, dates, groups, loop.create_future(), time.monotonic())
        self._jobs.append(job)
        self.queued += len(features)
        if not self._running:
            self._running = True
            loop.call_soon(self._start_run, loop)  # after the other requests that this loop iteration reads
        return job.result

    def _start_run(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._take_batch()
        if not batch:
            self._running = False
            return
        run = self._thread.submit(_run, batch[0].model, [(job.features, job.groups) for job in batch])
        run.add_done_callback(lambda done: loop.call_soon_threadsafe(self._finish_run, loop, batch, done))

    def _take_batch(self) -> list[_Job]:
        """Take the jobs of the next run: of one model, at most `max_batch` examples or one job."""
        batch: list[_Job] = []
        size, oldest = 0, time.monotonic() - self.queue_timeout
        while self._jobs:
            job = self._jobs[0]
            if batch and (job.model is not batch[0].model or size + len(job.features) > self.max_batch):
                break
            self._jobs.popleft()
            self.queued -= len(job.features)
            if job.result.done():  # the request was cancelled
                continue
            if job.queued_at < oldest:
                detail = f"The request waited {self.queue_timeout:g} s for the model. Try again."
                job.result.set_exception(Problem("busy", detail, headers={"retry-after": "1"}))
                continue
            batch.append(job)
            size += len(job.features)
        return batch

    def _finish_run(
        self, loop: asyncio.AbstractEventLoop, batch: list[_Job], done: "Future[list[np.ndarray | Exception]]"
    ) -> None:
        results = done.result()
        for job, result in zip(batch, results, strict=True):
            if job.result.done():
                continue
            if isinstance(result, Exception):
                job.result.set_exception(result)
            else:
                job.result.set_result(result)
        self._start_run(loop)
        self._on_run(sum(len(job.features) for job in batch))
        for job, result in zip(batch, results, strict=True):
            if not isinstance(result, Exception):
                self._on_examples(job.model, job.features, result, job.dates)


def _run(model: ServedModel, parts: list[_Inputs]) -> list[np.ndarray | Exception]:
    """Compute the probabilities of each part; after a failure run each part alone, so that only bad parts fail."""
    if len(parts) > 1:
        try:
            features = [part for part, _ in parts]
            together = _predict(model, np.concatenate(features), _distinct([groups for _, groups in parts]))
            ends = np.cumsum([len(part) for part in features])
            return [*np.split(together, ends[:-1])]
        except Exception:  # reported below, for the failing part alone
            pass
    out: list[np.ndarray | Exception] = []
    for part in parts:
        try:
            out.append(_predict(model, *part))
        except Exception as error:
            out.append(error)
    return out


def _predict(model: ServedModel, features: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    return model.probabilities(features) if groups is None else model.probabilities(features, groups)


def _distinct(parts: list[np.ndarray | None]) -> np.ndarray | None:
    """Number the groups of several jobs so that no group of one is a group of another."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    codes = [np.unique(part, return_inverse=True)[1] for part in given]
    before = np.cumsum([0, *(int(code.max()) + 1 for code in codes[:-1])])
    return np.concatenate([code + offset for code, offset in zip(codes, before, strict=True)])
