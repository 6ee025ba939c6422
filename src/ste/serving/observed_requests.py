"""What the model saw and said, handed to a monitor beside the requests."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
from prometheus_client.core import Metric

from ste.errors import SteError
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel

log = logging.getLogger(__name__)

MOST = 65_536
"""Examples that wait to be counted; further ones are left out."""


class Monitor(Protocol):
    """What counts the examples of one model."""

    def seen(self, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray | None = None) -> None:
        """Count examples: raw features `[B, *shape]`, probabilities `[B, C]`, dates `[B]` of their last period."""

    def collect(self) -> Iterable[Metric]:
        """Figures for Prometheus."""

    def close(self) -> None:
        """Keep what was counted: the model goes, or the service."""


MakeMonitor = Callable[[ModelCard], Monitor | None]
"""A monitor of a model, or None where it cannot be watched."""


class Observed:
    """Gathers examples and gives them to the model's monitor, in a thread, once in a while.

    Args:
        make: a model's monitor.
        model: in service.
    """

    def __init__(self, make: MakeMonitor, model: ServedModel) -> None:
        self._make, self._model = make, model
        self.monitor = self._made(model.card)
        self.missed = 0
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []
        self._count = 0

    def put(
        self, model: ServedModel, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray | None
    ) -> None:
        """Take examples of a model; those of another one than is in service are left out."""
        if self.monitor is None or model is not self._model:
            return
        if self._count + len(features) > MOST:
            self.missed += len(features)
            return
        self._count += len(features)
        self._waiting.append((features, probabilities, dates))

    def change(self, model: ServedModel) -> None:
        """Another model is in service."""
        self.flush()
        self._model, self.monitor = model, self._made(model.card)

    async def run(self, seconds: float = 0.2) -> None:
        """Count what was gathered, every so often, for ever."""
        while True:
            await asyncio.sleep(seconds)
            if self._waiting:
                await asyncio.to_thread(self._flush, self.monitor, self._taken())

    def collect(self) -> Iterator[Metric]:
        """Figures of the monitor in service."""
        if self.monitor is not None:
            yield from self.monitor.collect()

    def flush(self) -> None:
        """Count what is left, and keep it."""
        self._flush(self.monitor, self._taken())
        if self.monitor is not None:
            self.monitor.close()

    def _made(self, card: ModelCard) -> Monitor | None:
        try:
            return self._make(card)
        except SteError as error:
            log.warning("requests are not watched: %s", error)
            return None

    def _taken(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        taken, self._waiting, self._count = self._waiting, [], 0
        return taken

    @staticmethod
    def _flush(monitor: Monitor | None, taken: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> None:
        if monitor is None:
            return
        try:
            undated = [(features, said) for features, said, dates in taken if dates is None]
            if undated:
                features, said = (np.concatenate(parts) for parts in zip(*undated, strict=True))
                monitor.seen(*_finite(features, said, None))
            for features, said, dates in taken:
                if dates is not None:
                    monitor.seen(*_finite(features, said, dates))
        except Exception:  # a fault of the monitor is no reason not to serve
            log.exception("examples were not counted")


def _finite(
    features: np.ndarray, said: np.ndarray, dates: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Without the examples that the model had no probabilities for."""
    known = np.isfinite(said).all(axis=1)
    if known.all():
        return features, said, dates
    return features[known], said[known], None if dates is None else dates[known]
