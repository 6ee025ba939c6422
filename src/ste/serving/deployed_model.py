"""The deployed model and its replacement by a newer file while requests are processed."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ste.errors import RunError, SteError
from ste.inference.onnx_model import ServedModel
from ste.serving.openapi_examples import rows
from ste.serving.request_features import FeatureReader

log = logging.getLogger(__name__)

_STALE = "A newer model could not be loaded, and this version stays deployed. See the service's log."


@dataclass(frozen=True)
class LoadedModel:
    """A validated model.

    Attributes:
        model: the model, warmed up.
        reader: parser of its requests.
        since: time of its deployment, ISO 8601, UTC.
    """

    model: ServedModel
    reader: FeatureReader
    since: str


def validate_model(model: ServedModel, max_examples: int) -> LoadedModel:
    """Run a model once and check its output against its card.

    Args:
        model: the model.
        max_examples: maximum number of examples in one request.

    Raises:
        RunError: the model fails, or does not return probabilities of its classes.
    """
    card = model.card
    try:
        typical = [[*row.values()] for row in rows(card, card.sequence_length)]
        probs = model.probabilities(np.array([typical, typical], dtype=np.float32).reshape(2, *card.shape))
    except Exception as error:  # the runtime's errors have no common base class
        raise RunError(
            f"model {card.name}: does not run on features {card.shape} of its card "
            f"({str(error).splitlines()[0][:200]}). Export the model again."
        ) from None
    sums = probs.sum(axis=-1)
    if probs.shape != (2, len(card.classes)) or not np.allclose(sums, 1.0, atol=1e-3):
        raise RunError(
            f"model {card.name}: returns {probs.shape} with sums {sums}, expected probabilities of "
            f"{', '.join(card.classes)}. Export the model again."
        )
    return LoadedModel(model, FeatureReader(card, max_examples), datetime.now(UTC).isoformat(timespec="seconds"))


class DeployedModel:
    """The model that answers requests.

    Args:
        first: first model.
        max_examples: maximum number of examples in one request.
        threads: threads of ONNX Runtime within one run.

    Attributes:
        current: model of the next request.
        swaps: number of replacements.
        failures: number of new files that could not be loaded.
        warning: reason why the newest file is not deployed; empty if it is.
    """

    def __init__(self, first: LoadedModel, max_examples: int, threads: int) -> None:
        self.current = first
        self.swaps, self.failures, self.warning = 0, 0, ""
        self._max_examples, self._threads = max_examples, threads

    async def watch(self, newest_file: Callable[[], Path], interval: float, on_swap: Callable[[], None]) -> None:
        """Check for a newer file until cancelled.

        Args:
            newest_file: returns the file of the newest version, which may change.
            interval: seconds between two checks.
            on_swap: called after each replacement.
        """
        loaded: tuple[object, ...] = ()  # empty: check the file once more, it may have changed since loading
        while True:
            await asyncio.sleep(interval)
            signature = _signature(newest_file)
            if signature == loaded:
                continue
            loaded = signature  # a file that failed is not loaded again until it changes
            try:
                new = await asyncio.to_thread(self._load, newest_file)
            except Exception as error:  # any error in a new file leaves the deployed model in place
                self.failures += 1
                self.warning = _STALE  # public; the reason with its paths is in the log only
                log.warning("the model stays at version %s: %s", self.current.model.version, error)
                continue
            self.warning = ""
            if new.model.version != self.current.model.version:
                log.info("model version %s replaces %s", new.model.version, self.current.model.version)
                self.current = new
                self.swaps += 1
                on_swap()

    def _load(self, newest_file: Callable[[], Path]) -> LoadedModel:
        return validate_model(ServedModel(newest_file(), self._threads), self._max_examples)


def _signature(newest_file: Callable[[], Path]) -> tuple[object, ...]:
    """Return values that change when the file is replaced or written."""
    try:
        path = newest_file()
        stat = path.stat()
    except (OSError, SteError) as error:
        return (str(error),)
    return path, stat.st_ino, stat.st_size, stat.st_mtime_ns
