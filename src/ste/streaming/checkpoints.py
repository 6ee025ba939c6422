"""Checkpoints of a pipeline.

A folder holds `checkpoint.npz` (JSON and arrays, replaced atomically) and a file of each kind of closed events, such as
`bars.bin` (append-only); the checkpoint records how many of their records are valid.
"""

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from filelock import FileLock, Timeout

from ste.data.storage.files import atomic_file
from ste.errors import RunError
from ste.streaming.closed_events import RECORDS
from ste.streaming.sinks import write_all

FORMAT = 5
"""Version of the checkpoint's layout; raise it with every incompatible change."""
_META = "meta"
_FILES = {"bar": "bars.bin", "news": "news.bin", "macro": "macro.bin", "policy": "policy.bin", "extra": "extra.bin"}


@dataclass(frozen=True)
class Checkpoint:
    """State of a pipeline at one source position.

    Attributes:
        meta: JSON content.
        arrays: arrays by name.
        records: the closed events of each kind, `closed_events.RECORDS`.
    """

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]
    records: dict[str, np.ndarray]


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
        self._files = {kind: (folder / name).open("ab", buffering=0) for kind, name in _FILES.items()}
        self._lengths = dict.fromkeys(_FILES, 0)

    def load(self) -> Checkpoint | None:
        """Load the latest checkpoint; None if there is none.

        Raises:
            RunError: the checkpoint is damaged or has another format.
        """
        if not self._path.exists():
            for file in self._files.values():
                file.truncate(0)
            return None
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            meta = orjson.loads(arrays.pop(_META).tobytes())
            if meta["format"] != FORMAT:
                raise ValueError(f"format {meta['format']}")
            lengths = {kind: int(meta["records"][kind]) for kind in _FILES}
            records = {kind: self._read(kind, length) for kind, length in lengths.items()}
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{self._path}: cannot resume from this checkpoint ({str(error)[:120]}). Start with another "
                "paths.state and another sink."
            ) from None
        self._lengths = lengths
        for kind, file in self._files.items():
            file.truncate(lengths[kind] * RECORDS[kind].itemsize)
        return Checkpoint(meta, arrays, records)

    def save(self, meta: dict[str, Any], arrays: dict[str, np.ndarray], records: Mapping[str, np.ndarray]) -> None:
        """Replace the latest checkpoint atomically.

        Args:
            meta: JSON content.
            arrays: arrays by name.
            records: events closed since the last checkpoint, by kind.
        """
        for kind, new in records.items():
            if len(new):
                write_all(self._files[kind], new.tobytes())
                os.fsync(self._files[kind].fileno())
        lengths = {kind: length + len(records[kind]) for kind, length in self._lengths.items()}
        text = orjson.dumps({**meta, "format": FORMAT, "records": lengths})
        with atomic_file(self._path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays, **{_META: np.frombuffer(text, dtype=np.uint8)})
            file.flush()
            os.fsync(file.fileno())
        self._lengths = lengths

    def close(self) -> None:
        """Release the folder."""
        for file in self._files.values():
            file.close()
        self._lock.release()

    def _read(self, kind: str, length: int) -> np.ndarray:
        records = np.fromfile(self.folder / _FILES[kind], dtype=RECORDS[kind], count=length)
        if len(records) < length:
            raise ValueError(f"{_FILES[kind]} holds {len(records)} records of {length}")
        return records
