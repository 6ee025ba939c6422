"""A drift monitor whose counts survive a restart."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ste.data.storage.files import atomic_file
from ste.errors import RunError
from ste.inference.model_card import ModelCard
from ste.monitoring.drift_monitor import WINDOW, DriftMonitor

log = logging.getLogger(__name__)

SAVE_INTERVAL = 5.0
"""Seconds between two saves: what a kill may lose of the counts."""


class SavedDriftMonitor(DriftMonitor):
    """A drift monitor that resumes from its file and saves to it.

    Args:
        card: model card with reference distributions.
        path: path of the file.
        window: number of latest periods to count.
        save_interval: minimum seconds between two saves.
    """

    def __init__(self, card: ModelCard, path: Path, window: int = WINDOW, save_interval: float = SAVE_INTERVAL) -> None:
        super().__init__(card, window)
        self.path, self._interval, self._saved_at, self._save_failed = path, save_interval, -save_interval, False
        if path.is_file():
            try:
                if not self.resume(json.loads(path.read_text(encoding="utf-8"))):
                    log.warning("%s: counts of another model; counting starts again", path)
            except (ValueError, RunError, OSError) as error:
                log.warning("%s: cannot resume from this file (%s); counting starts again", path, error)

    def observe(self, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray) -> None:
        """Count examples, and save the counts if the interval has passed."""
        super().observe(features, probabilities, dates)
        now = time.monotonic()
        if now - self._saved_at >= self._interval:
            self._saved_at = now
            self.save()

    def save(self) -> None:
        """Save the counts atomically; after a failure they stay in memory, and one warning is logged."""
        try:
            with atomic_file(self.path) as partial:
                partial.write_text(json.dumps(self.state), encoding="utf-8")
            self._save_failed = False
        except OSError as error:
            if not self._save_failed:
                log.warning("%s: the drift counts cannot be saved (%s)", self.path, error.strerror)
            self._save_failed = True


def saved_monitor_factory(folder: Path, port: int) -> Callable[[ModelCard], SavedDriftMonitor | None]:
    """Return a function that creates the monitor of a model, saved to `RUN_ID-PORT.json`; None without a reference.

    Args:
        folder: folder of the files.
        port: port of the service, so that two services do not share a file.
    """

    def create(card: ModelCard) -> SavedDriftMonitor | None:
        if not card.reference:
            log.info("the model card has no reference distributions: drift is not counted")
            return None
        return SavedDriftMonitor(card, folder / f"{card.run_id}-{port}.json")

    return create
