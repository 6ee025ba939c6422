"""STE beside Qlib on the same machine: training and the way from daily bars to windows (`make bench-peers`).

Qlib lives in a virtual environment of its own, `.venv-peers`, and is called as its users call it: `qlib_side.py` runs
there and imports nothing of STE. Both sides are processes that answer over pipes, in turns.
"""

from collections.abc import Iterator

from benchmarks.figures import Figure


def figures(quick: bool) -> Iterator[Figure]:
    """Figures of both comparisons, each as soon as it is known.

    Raises:
        ConfigError: the peers' environment is missing.
    """
    from benchmarks.peers.bars import bars
    from benchmarks.peers.fits import fits
    from benchmarks.peers.sides import qlib_python

    qlib_python()
    yield from bars(quick)
    yield from fits(quick)
