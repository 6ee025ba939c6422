"""Two processes against one: training samples a second, and rows predicted a second; Ray where it is installed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure
from ste.config.fast_imports import set_before


def figures(quick: bool) -> Iterator[Figure]:
    """Two processes of a thread each against one: about a minute, and nothing of it where it must be `quick`."""
    if quick:
        return
    set_before()  # as our commands do, before torch is imported
    from benchmarks.processes import prediction, training

    with tempfile.TemporaryDirectory() as name:
        yield training(Path(name), batch=256)
        yield from prediction(Path(name))
