"""Pass requests and predictions to the drift monitor in the background."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ste.errors import SteError
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.monitoring.drift import DriftReport
from ste.monitoring.saved_monitor import SavedDriftMonitor

log = logging.getLogger(__name__)

INTERVAL = 0.2
"""Seconds between two counts of the queued examples."""

_Batch = tuple[np.ndarray, np.ndarray, np.ndarray | None]

MonitorFactory = Callable[[ModelCard], SavedDriftMonitor | None]
"""Creates the monitor of a model; None if it is not monitored."""


class RequestObserver(Collector):
    """Queue examples and pass them to the model's monitor in a thread, at intervals.

    Args:
        factory: creates the monitor of a model.
        model: deployed model.

    Attributes:
        monitor: monitor of the deployed model, or None.
    """

    def __init__(self, factory: MonitorFactory, model: ServedModel) -> None:
        self._factory = factory
        self._queue: list[_Batch] = []
        self._set_model(model)

    def put(
        self, model: ServedModel, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray | None
    ) -> None:
        """Queue examples; those of a replaced model are dropped, and those without dates count for today."""
        if self.monitor is not None and model is self._model:
            self._queue.append((features, probabilities, dates))

    def change_model(self, model: ServedModel) -> None:
        """Finish the monitor of the replaced model and create the new model's."""
        self.close()
        self._set_model(model)

    async def run(self) -> None:
        """Count the queued examples at intervals until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await asyncio.to_thread(_count, self.monitor, self._take())

    def report(self) -> DriftReport | None:
        """Compute the drift of the requests; None if it is not monitored."""
        return None if self.monitor is None else self.monitor.report()

    def collect(self) -> Iterator[Metric]:
        """Yield the Prometheus metrics of the monitor."""
        if self.monitor is not None:
            yield from self.monitor.collect()

    def close(self) -> None:
        """Count the queued examples and save the counts."""
        _count(self.monitor, self._take())
        if self.monitor is not None:
            self.monitor.save()

    def _set_model(self, model: ServedModel) -> None:
        self._model, self.monitor = model, None
        try:
            self.monitor = self._factory(model.card)
        except SteError as error:
            log.warning("drift is not monitored: %s", error)

    def _take(self) -> list[_Batch]:
        taken, self._queue = self._queue, []
        return taken


def _count(monitor: SavedDriftMonitor | None, batches: list[_Batch]) -> None:
    if monitor is None or not batches:
        return
    today = np.datetime64(datetime.now(UTC).date())
    try:
        features, probs = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1))
        known = [np.full(len(x), today) if dates is None else dates for x, _, dates in batches]
        dates = np.concatenate(known).astype("datetime64[D]")
        finite = np.isfinite(probs).all(axis=1)
        monitor.observe(features[finite], probs[finite], dates[finite])
    except Exception:  # an error of the monitor must not stop the service
        log.exception("examples were not counted")
