"""Micro-batching: requests that arrive while the model runs go into its next run together."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ste.inference.onnx_model import ServedModel
from ste.serving.problems import Problem

Seen = Callable[[ServedModel, np.ndarray, np.ndarray, np.ndarray | None], None]
"""Model, features `[B, …]`, probabilities `[B, C]`, dates `[B]` where they are known."""


@dataclass(slots=True)
class _Piece:
    """Examples that wait for the model."""

    model: ServedModel
    features: np.ndarray
    dates: np.ndarray | None
    answer: "asyncio.Future[np.ndarray]"
    since: float


class Batcher:
    """Runs a model in a thread of its own, one run at a time, over all that waits by then.

    A piece runs on the model it was read for, so that a swap mixes nothing. To be used from one event loop.

    Args:
        most: examples in one run.
        waiting: examples that may wait; more are refused.
        seconds: that a piece may wait before it is refused.
        seen: told of examples after they are answered.
        ran: told the number of examples of each run.
    """

    def __init__(
        self,
        most: int,
        waiting: int,
        seconds: float,
        seen: Seen | None = None,
        ran: Callable[[int], None] | None = None,
    ) -> None:
        self.most, self.limit, self.seconds = most, waiting, seconds
        self._seen, self._ran = seen, ran
        self._pieces: deque[_Piece] = deque()
        self._busy = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.waiting = 0

    async def probabilities(
        self, model: ServedModel, features: np.ndarray, dates: np.ndarray | None = None
    ) -> np.ndarray:
        """Class probabilities, float32 `[B, C]`.

        Args:
            model: to run.
            features: `[B, T, F]` or `[B, F]`, any B.
            dates: of each example's last period, datetime64 `[B]`, where they are known.

        Raises:
            Problem: too much is waiting, or this waited too long.
        """
        count = len(features)
        if self.waiting + count > self.limit:
            raise Problem(
                "busy", f"{self.waiting} examples wait for the model. Try again.", headers={"retry-after": "1"}
            )
        if count <= self.most:
            return await self._put(model, features, dates)
        cuts = [slice(i, i + self.most) for i in range(0, count, self.most)]
        parts = [self._put(model, features[cut], None if dates is None else dates[cut]) for cut in cuts]
        return np.concatenate(await asyncio.gather(*parts))

    def close(self) -> None:
        """Wait for the run that is going on, and end the thread."""
        self._thread.shutdown()

    def _put(self, model: ServedModel, features: np.ndarray, dates: np.ndarray | None) -> "asyncio.Future[np.ndarray]":
        loop = asyncio.get_running_loop()
        piece = _Piece(model, features, dates, loop.create_future(), time.monotonic())
        self._pieces.append(piece)
        self.waiting += len(features)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._next, loop)  # after the requests that are being read in this turn
        return piece.answer

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start a run of what waits."""
        batch = self._take()
        if not batch:
            self._busy = False
            return
        run = self._thread.submit(_run, batch[0].model, [piece.features for piece in batch])
        run.add_done_callback(lambda done: loop.call_soon_threadsafe(self._answer, loop, batch, done))

    def _take(self) -> list[_Piece]:
        """The pieces of the next run: of one model, at most `most` examples or one piece."""
        batch: list[_Piece] = []
        size, oldest = 0, time.monotonic() - self.seconds
        while self._pieces:
            piece = self._pieces[0]
            if batch and (piece.model is not batch[0].model or size + len(piece.features) > self.most):
                break
            self._pieces.popleft()
            self.waiting -= len(piece.features)
            if piece.answer.done():  # its request has gone
                continue
            if piece.since < oldest:
                piece.answer.set_exception(
                    Problem("busy", f"No turn within {self.seconds:g} s. Try again.", headers={"retry-after": "1"})
                )
                continue
            batch.append(piece)
            size += len(piece.features)
        return batch

    def _answer(
        self, loop: asyncio.AbstractEventLoop, batch: list[_Piece], done: "Future[list[np.ndarray | Exception]]"
    ) -> None:
        answers = done.result()
        for piece, answer in zip(batch, answers, strict=True):
            if piece.answer.done():
                continue
            if isinstance(answer, Exception):
                piece.answer.set_exception(answer)
            else:
                piece.answer.set_result(answer)
        self._next(loop)
        if self._ran:
            self._ran(sum(len(piece.features) for piece in batch))
        if self._seen is None:
            return
        good = [(piece, said) for piece, said in zip(batch, answers, strict=True) if not isinstance(said, Exception)]
        undated = [(piece.features, said) for piece, said in good if piece.dates is None]
        if undated:  # together: as few objects as may be wait to be counted
            features, chances = (np.concatenate(parts) for parts in zip(*undated, strict=True))
            self._seen(batch[0].model, features, chances, None)
        for piece, said in good:
            if piece.dates is not None:
                self._seen(piece.model, piece.features, said, piece.dates)


def _run(model: ServedModel, parts: list[np.ndarray]) -> list[np.ndarray | Exception]:
    """Probabilities of each part; where a run of all fails, each part's own fault is its own."""
    if len(parts) > 1:
        try:
            together = model.probabilities(np.concatenate(parts))
            ends = np.cumsum([len(part) for part in parts])
            return [*np.split(together, ends[:-1])]
        except Exception:  # told below, of the part at fault alone
            pass
    out: list[np.ndarray | Exception] = []
    for part in parts:
        try:
            out.append(model.probabilities(part))
        except Exception as error:
            out.append(error)
    return out
