"""What a pipeline goes on from after it was stopped, in whatever way.

A folder holds `checkpoint.npz` (JSON and arrays, replaced whole) and `closes.bin` (every close that was used, appended
to), of which the checkpoint says how much counts. The indicators' streams are opened on those closes again.
"""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from filelock import FileLock, Timeout

from ste.errors import RunError
from ste.streaming.running_features import CLOSES
from ste.streaming.sinks import write_all

FORMAT = 1
"""Raised when a reader of today could not use a checkpoint of tomorrow."""
_META = "meta"


@dataclass(frozen=True)
class Checkpoint:
    """Of a stream at one place.

    Attributes:
        meta: JSON.
        arrays: by name.
        closes: every close that was used, `features.CLOSES` `[M]`.
    """

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]
    closes: np.ndarray


class Checkpoints:
    """The folder of one pipeline, which holds it alone.

    Args:
        folder: made if there is none.

    Raises:
        RunError: another process holds it.
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
                f"paths.state={folder}: another live pipeline is at work there. Stop it, or choose another folder."
            ) from None
        self._closes = (folder / "closes.bin").open("ab", buffering=0)
        self._length = 0

    def load(self) -> Checkpoint | None:
        """The latest one; None where there is none.

        Raises:
            RunError: it is damaged or of another format.
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
                f"{self._path}: cannot be gone on from ({str(error)[:120]}). Begin anew with another paths.state and "
                "another sink."
            ) from None
        self._closes.truncate(self._length * CLOSES.itemsize)
        return Checkpoint(meta, arrays, closes)

    def save(self, meta: dict[str, Any], arrays: dict[str, np.ndarray], closes: np.ndarray) -> None:
        """Replace the latest one, whole or not at all.

        Args:
            meta: JSON.
            arrays: by name.
            closes: those used since the last one.
        """
        if len(closes):
            write_all(self._closes, closes.tobytes())
            os.fsync(self._closes.fileno())
        length = self._length + len(closes)
        text = orjson.dumps({**meta, "format": FORMAT, "closes": length})
        partial = self._path.with_name("checkpoint.partial")
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays, **{_META: np.frombuffer(text, dtype=np.uint8)})
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self._path)
        _sync_folder(self.folder)
        self._length = length

    def close(self) -> None:
        """Let others have the folder."""
        self._closes.close()
        self._lock.release()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
