"""The model that is served, and its replacement by a newer file while requests go on."""

import asyncio
import logging
import os
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


@dataclass(frozen=True)
class Loaded:
    """A model that answers requests.

    Attributes:
        model: warm.
        reader: of its requests.
        since: when it was taken into service, ISO 8601, UTC.
    """

    model: ServedModel
    reader: FeatureReader
    since: str


def loaded(model: ServedModel, examples: int) -> Loaded:
    """A model made ready: run once, and held against its own card.

    Args:
        model: just read.
        examples: of one request, at most.

    Raises:
        RunError: it cannot run what its card says, or gives something other than probabilities of its classes.
    """
    card = model.card
    try:
        typical = [[*row.values()] for row in rows(card, card.sequence_length)]
        found = model.probabilities(np.array([typical, typical], dtype=np.float32).reshape(2, *card.shape))
    except Exception as error:  # the runtime's errors have no common class of their own
        raise RunError(
            f"model {card.name}: does not run on features {card.shape} as its card says "
            f"({str(error).splitlines()[0][:200]}). Export the model again."
        ) from None
    sums = found.sum(axis=-1)
    known = sums[np.isfinite(sums)]
    if found.shape != (2, len(card.classes)) or not len(known) or not np.allclose(known, 1.0, atol=1e-3):
        raise RunError(
            f"model {card.name}: gives {found.shape} of sums {sums}, expected probabilities of "
            f"{', '.join(card.classes)}. Export the model again."
        )
    return Loaded(model, FeatureReader(card, examples), datetime.now(UTC).isoformat(timespec="seconds"))


_STAYS = "A newer model could not be used, and this one stays. The log says why."


class Current:
    """The model in service.

    Args:
        first: to begin with.
        path_of: where the newest version is; may change from call to call.
        examples: of one request, at most.
        threads: of the runtime within one run.

    Attributes:
        now: what answers the next request.
        swaps: that were made.
        failures: of new files that could not be served.
        warning: why the newest file is not served; empty where it is.
    """

    def __init__(self, first: Loaded, path_of: Callable[[], Path] | None, examples: int, threads: int) -> None:
        self.now = first
        self.swaps, self.failures, self.warning = 0, 0, ""
        self._path_of, self._examples, self._threads = path_of, examples, threads
        self._mark: tuple[object, ...] = ()  # the file is looked at once more: it may have changed since it was read

    async def watch(self, seconds: float, swapped: Callable[[], None]) -> None:
        """Look for a newer file for ever.

        Args:
            seconds: between two looks.
            swapped: called after each change of the model.
        """
        while True:
            await asyncio.sleep(seconds)
            mark = self._marked()
            if mark == self._mark:
                continue
            self._mark = mark  # a file that failed is not read again until it changes
            try:
                new = await asyncio.to_thread(self._read)
            except Exception as error:  # whatever is wrong with a file, the model in service goes on
                self.failures += 1
                self.warning = _STAYS  # anybody may ask; what is wrong, and where, is in the log
                log.warning("the model stays at version %s: %s", self.now.model.version, error)
                continue
            self.warning = ""
            if new.model.version != self.now.model.version:
                log.info("model version %s in place of %s", new.model.version, self.now.model.version)
                self.now = new
                self.swaps += 1
                swapped()

    def _read(self) -> Loaded:
        assert self._path_of is not None
        return loaded(ServedModel(self._path_of(), self._threads), self._examples)

    def _marked(self) -> tuple[object, ...]:
        """What changes when a file is replaced or written to."""
        if self._path_of is None:
            return ()
        try:
            path = self._path_of()
            found = os.stat(path)
        except (OSError, SteError) as error:
            return (str(error),)
        return str(path), found.st_ino, found.st_size, found.st_mtime_ns
