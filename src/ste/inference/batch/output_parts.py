"""Output folders of several workers: one part per shard, moved to the final path when all parts are complete."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "part-"


def part_name(index: int, ending: str) -> str:
    """Return the file name of a shard's part, such as `part-00003.parquet`."""
    return f"{_PREFIX}{index:05d}{ending}"


def is_parts_folder(path: Path) -> bool:
    """Whether a folder contains nothing but parts, so that it may be replaced."""
    return all(entry.name.startswith(_PREFIX) for entry in path.iterdir())


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a folder next to `path` to write to; at the end it replaces `path`, after an error it is removed."""
    partial = path.absolute().with_name(f".{path.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.is_dir():  # a folder cannot be replaced in one step
            shutil.rmtree(path)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
