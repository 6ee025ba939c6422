"""Pass requests and predictions to the drift monitor in the background."""

import asyncio
import logging
from collections.abc import Callable, Iterator

import numpy as np
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ste.errors import SteError
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.monitoring.saved_monitor import SavedDriftMonitor

log = logging.getLogger(__name__)

MAX_QUEUED = 65_536
"""Examples that may wait to be counted; more are dropped."""

_Batch = tuple[np.ndarray, np.ndarray, np.ndarray | None]


MonitorFactory = Callable[[ModelCard], SavedDriftMonitor | None]
"""Creates the monitor of a model; None if it cannot be monitored."""


class RequestObserver(Collector):
    """Queue examples and pass them to the model's monitor in a thread, at intervals.

    Args:
        factory: creates the monitor of a model.
        model: deployed model.

    Attributes:
        monitor: monitor of the deployed model, or None.
        dropped: number of examples that were not counted because the queue was full.
    """

    def __init__(self, factory: MonitorFactory, model: ServedModel) -> None:
        self._factory, self._model = factory, model
        self.monitor = self._create(model.card)
        self.dropped = 0
        self._queue: list[_Batch] = []
        self._count = 0

    def put(
        self, model: ServedModel, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray | None
    ) -> None:
        """Queue examples; those of a replaced model are dropped."""
        if self.monitor is None or model is not self._model:
            return
        if self._count + len(features) > MAX_QUEUED:
            self.dropped += len(features)
            return
        self._count += len(features)
        self._queue.append((features, probabilities, dates))

    def change_model(self, model: ServedModel) -> None:
        """Finish the monitor of the replaced model and create the new model's."""
        self.close()
        self._model, self.monitor = model, self._create(model.card)

    async def run(self, interval: float = 0.2) -> None:
        """Count the queued examples every `interval` seconds until cancelled."""
        while True:
            await asyncio.sleep(interval)
            if self._queue:
                await asyncio.to_thread(self._observe, self.monitor, self._take())

    def collect(self) -> Iterator[Metric]:
        """Yield the Prometheus metrics of the monitor."""
        if self.monitor is not None:
            yield from self.monitor.collect()

    def close(self) -> None:
        """Count the queued examples and save the counts."""
        self._observe(self.monitor, self._take())
        if self.monitor is not None:
            self.monitor.save()

    def _create(self, card: ModelCard) -> SavedDriftMonitor | None:
        try:
            return self._factory(card)
        except SteError as error:
            log.warning("drift is not monitored: %s", error)
            return None

    def _take(self) -> list[_Batch]:
        taken, self._queue, self._count = self._queue, [], 0
        return taken

    @staticmethod
    def _observe(monitor: SavedDriftMonitor | None, batches: list[_Batch]) -> None:
        if monitor is None:
            return
        try:
            undated = [(features, probs) for features, probs, dates in batches if dates is None]
            if undated:
                features, probs = (np.concatenate(parts) for parts in zip(*undated, strict=True))
                monitor.observe(*_finite(features, probs, None))
            for features, probs, dates in batches:
                if dates is not None:
                    monitor.observe(*_finite(features, probs, dates))
        except Exception:  # an error of the monitor must not stop the service
            log.exception("examples were not counted")


def _finite(features: np.ndarray, probs: np.ndarray, dates: np.ndarray | None) -> _Batch:
    """Select the examples with finite probabilities."""
    finite = np.isfinite(probs).all(axis=1)
    if finite.all():
        return features, probs, dates
    return features[finite], probs[finite], None if dates is None else dates[finite]
