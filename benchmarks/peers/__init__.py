"""STE compared with Qlib on the same machine: training, and the way from daily bars to windows (`make bench-peers`).

Qlib lives in its own virtual environment, `.venv-peers`, and is called as its users call it: `qlib_worker.py` runs
there and imports nothing of STE.
"""

from collections.abc import Iterator

from benchmarks.measurement import Measurement


def measure(quick: bool) -> Iterator[Measurement]:
    """Measure both comparisons.

    Raises:
        ConfigError: the peers' environment is missing.
    """
    from benchmarks.peers.bars import measure_bars
    from benchmarks.peers.fits import measure_fits
    from benchmarks.peers.qlib_process import qlib_python

    qlib_python()
    yield from measure_bars(quick)
    yield from measure_fits(quick)
