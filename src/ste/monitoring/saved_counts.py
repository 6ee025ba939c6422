"""A monitor whose counts outlive the process."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ste.data.storage.files import whole_file
from ste.errors import RunError
from ste.inference.model_card import ModelCard
from ste.monitoring.input_counts import WINDOW, Monitor

log = logging.getLogger(__name__)

SECONDS = 5.0
"""Between two writes: what a kill may lose of the counts."""


class KeptMonitor(Monitor):
    """A monitor that goes on from its file, and writes it while it counts.

    Args:
        card: of the model.
        path: of the file.
        window: periods that are kept.
        seconds: between two writes at least.
    """

    def __init__(self, card: ModelCard, path: Path, window: int = WINDOW, seconds: float = SECONDS) -> None:
        super().__init__(card, window)
        self.path, self._seconds, self._written, self._told = path, seconds, -seconds, False
        if path.is_file():
            try:
                if not self.resume(json.loads(path.read_text(encoding="utf-8"))):
                    log.warning("%s: counts of another model; they begin anew", path)
            except (ValueError, RunError, OSError) as error:
                log.warning("%s: cannot be gone on from (%s); counts begin anew", path, error)

    def seen(self, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray | None = None) -> None:
        """Count examples, and write the counts where it is time."""
        super().seen(features, probabilities, dates)
        now = time.monotonic()
        if now - self._written >= self._seconds:
            self._written = now
            self.write()

    def write(self) -> None:
        """Write the counts, whole or not at all; where that fails they are kept in memory and it is told once."""
        try:
            with whole_file(self.path) as partial:
                partial.write_text(json.dumps(self.state), encoding="utf-8")
            self._told = False
        except OSError as error:
            if not self._told:
                log.warning("%s: the counts of drift cannot be written (%s)", self.path, error.strerror)
            self._told = True

    def close(self) -> None:
        """Write the counts a last time."""
        self.write()

    @classmethod
    def maker(cls, folder: Path, port: int) -> "Callable[[ModelCard], KeptMonitor | None]":
        """Makes the monitor of a model: `RUN_ID-PORT.json` in a folder; None of a card without a reference.

        Args:
            folder: of the files.
            port: that the service listens on, so that two services do not share a file.
        """

        def make(card: ModelCard) -> KeptMonitor | None:
            if not card.reference:
                log.info("the model's card has no reference distributions: drift is not counted")
                return None
            return cls(card, folder / f"{card.run_id}-{port}.json")

        return make
