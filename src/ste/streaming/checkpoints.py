"""Checkpoints of a pipeline.

A folder holds `checkpoint.npz` (JSON and arrays, replaced atomically) and `closes.bin` (every close used so far,
append-only); the checkpoint records how many closes are valid. On restore the indicator streams are rebuilt from them.
"""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from filelock import FileLock, Timeout

from ste.data.storage.files import atomic_file
from ste.errors import RunError
from ste.streaming.running_features import CLOSES
from ste.streaming.sinks import write_all

FORMAT = 3
"""Version of the checkpoint's layout; raise it with every incompatible change."""
_META = "meta"


@dataclass(frozen=True)
class Checkpoint:
    """State of a pipeline at one source position.

    Attributes:
        meta: JSON content.
        arrays: arrays by name.
        closes: every close used so far, `running_features.CLOSES` `[M]`.
    """

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]
    closes: np.ndarray


class Checkpoints:
    """Checkpoint folder of one pipeline, locked by it.

    Args:
        folder: created if it does not exist.

    Raises:
        RunError: another process holds the lock.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / "checkpoint.npz"
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"paths.state={folder}: another live pipeline uses this folder. Stop it, or choose another folder."
            ) from None
        self._closes = (folder / "closes.bin").open("ab", buffering=0)
        self._length = 0

    def load(self) -> Checkpoint | None:
        """Load the latest checkpoint; None if there is none.

        Raises:
            RunError: the checkpoint is damaged or has another format.
        """
        if not self._path.exists():
            self._closes.truncate(0)
            return None
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            meta = orjson.loads(arrays.pop(_META).tobytes())
            if meta["format"] != FORMAT:
                raise ValueError(f"format {meta['format']}")
            self._length = int(meta["closes"])
            closes = np.fromfile(self.folder / "closes.bin", dtype=CLOSES, count=self._length)
            if len(closes) < self._length:
                raise ValueError(f"closes.bin holds {len(closes)} closes of {self._length}")
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{self._path}: cannot resume from this checkpoint ({str(error)[:120]}). Start with another "
                "paths.state and another sink."
            ) from None
        self._closes.truncate(self._length * CLOSES.itemsize)
        return Checkpoint(meta, arrays, closes)

    def save(self, meta: dict[str, Any], arrays: dict[str, np.ndarray], closes: np.ndarray) -> None:
        """Replace the latest checkpoint atomically.

        Args:
            meta: JSON content.
            arrays: arrays by name.
            closes: closes used since the last checkpoint.
        """
        if len(closes):
            write_all(self._closes, closes.tobytes())
            os.fsync(self._closes.fileno())
        length = self._length + len(closes)
        text = orjson.dumps({**meta, "format": FORMAT, "closes": length})
        with atomic_file(self._path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays, **{_META: np.frombuffer(text, dtype=np.uint8)})
            file.flush()
            os.fsync(file.fileno())
        self._length = length

    def close(self) -> None:
        """Release the folder."""
        self._closes.close()
        self._lock.release()
