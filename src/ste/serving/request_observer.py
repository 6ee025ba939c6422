"""Count requests and predictions for drift in the background, and save the counts."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ste.data.storage.files import atomic_file
from ste.errors import RunError, SteError
from ste.inference.onnx_model import ServedModel
from ste.monitoring.drift import DriftReport
from ste.monitoring.drift_monitor import DriftMonitor

log = logging.getLogger(__name__)

COUNT_INTERVAL, SAVE_INTERVAL = 0.2, 5.0
"""Seconds between two counts of the queued examples, and between two saves: what a kill may lose of the counts."""

_Batch = tuple[np.ndarray, np.ndarray, np.ndarray | None]


class RequestObserver(Collector):
    """Queue examples and count them in the model's monitor, in a thread, at intervals.

    Args:
        model: deployed model.
        counts_file: returns the file of the counts of a run, from which a restart resumes; None counts nothing.

    Attributes:
        monitor: monitor of the deployed model; None if drift is not counted.
    """

    def __init__(self, model: ServedModel, counts_file: Callable[[str], Path] | None) -> None:
        self._counts_file = counts_file
        self._queue: list[_Batch] = []
        self._saved_at = time.monotonic()
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
        """Count the queued examples and save the counts at intervals until cancelled."""
        while True:
            await asyncio.sleep(COUNT_INTERVAL)
            if self._queue:
                await asyncio.to_thread(_count, self.monitor, self._take())
                if time.monotonic() - self._saved_at >= SAVE_INTERVAL:
                    await asyncio.to_thread(self._save)

    def report(self) -> DriftReport | None:
        """Compute the drift of the requests; None if it is not counted."""
        return None if self.monitor is None else self.monitor.report()

    def collect(self) -> Iterator[Metric]:
        """Yield the Prometheus metrics of the monitor."""
        if self.monitor is not None:
            yield from self.monitor.collect()

    def close(self) -> None:
        """Count the queued examples and save the counts."""
        _count(self.monitor, self._take())
        self._save()

    def _set_model(self, model: ServedModel) -> None:
        """Create the monitor of a model and resume its counts."""
        self._model, self.monitor = model, None
        if self._counts_file is None:
            return
        try:
            self.monitor = DriftMonitor(model.card)
        except SteError as error:
            log.warning("drift is not counted: %s", error)
            return
        path = self._counts_file(model.card.run_id)
        if path.is_file():
            try:
                if not self.monitor.resume(json.loads(path.read_text(encoding="utf-8"))):
                    log.warning("%s: counts of another model; counting starts again", path)
            except (ValueError, RunError, OSError) as error:
                log.warning("%s: cannot resume from this file (%s); counting starts again", path, error)

    def _save(self) -> None:
        """Save the counts atomically; after a failure they stay in memory."""
        if self.monitor is None or self._counts_file is None:
            return
        self._saved_at = time.monotonic()
        path = self._counts_file(self._model.card.run_id)
        try:
            with atomic_file(path) as partial:
                partial.write_text(json.dumps(self.monitor.state), encoding="utf-8")
        except OSError as error:
            log.warning("%s: the drift counts cannot be saved (%s)", path, error.strerror)

    def _take(self) -> list[_Batch]:
        taken, self._queue = self._queue, []
        return taken


def _count(monitor: DriftMonitor | None, batches: list[_Batch]) -> None:
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
