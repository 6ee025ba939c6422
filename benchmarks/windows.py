"""From a file of daily bars to normalized windows: `python -m benchmarks.windows ours|pandas OVERRIDES`.

Prints a line of JSON: seconds of each stage, the growth of the process's peak memory since its imports, and sizes. A
process of its own, because a peak cannot be reset.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ste.config.fast_imports import set_before

LENGTH = 20


def run_windows(kind: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Run this module and return its measurements.

    Args:
        kind: `ours`, or `pandas`, which copies windows.
        overrides: of a training command on a file of daily bars.

    Raises:
        RuntimeError: the process failed.
    """
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.windows", kind, *overrides]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


class StageTimer:
    """Wall time, CPU time and the growth of the peak resident memory since it was made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        self._memory = self._peak()
        self._start, self._cpu = time.perf_counter(), self._cpu_seconds()
        self._last = self._start
        self.stages: dict[str, float] = {}

    def end(self, stage: str) -> None:
        """Note the end of a stage."""
        now = time.perf_counter()
        self.stages[stage] = now - self._last
        self._last = now

    def to_dict(self) -> dict[str, Any]:
        """Return seconds, CPU seconds, bytes of memory growth and seconds of each stage."""
        return {
            "seconds": self._last - self._start,
            "cpu": self._cpu_seconds() - self._cpu,
            "memory": self._peak() - self._memory,
            "stages": self.stages,
        }

    @staticmethod
    def _cpu_seconds() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    @staticmethod
    def _peak() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def ours(overrides: Sequence[str]) -> dict[str, Any]:
    """Build tables, open them, make windows, fit the scaler, gather and normalize the first batch."""
    set_before()  # before libraries are imported, as the commands do
    import exchange_calendars  # noqa: F401 - imported here so that its import is not timed

    import ste.data.build.sharded_tables  # noqa: F401
    from benchmarks.fits import settings_from
    from ste.data.build.prepare import prepare
    from ste.data.datamodule import TrendDataModule
    from ste.data.panel import Panel
    from ste.features.column_forms import ColumnForms
    from ste.features.normalization import Normalizer

    settings = settings_from(overrides)
    timer = StageTimer()
    prepared = prepare(settings.data, Path(settings.paths.data))
    timer.end("tables")
    panel = Panel.read(prepared, settings.data)
    timer.end("read")
    data = TrendDataModule(panel, "sequence")
    timer.end("windows")
    representation = Normalizer(
        ColumnForms.from_features(settings.data.feature_set).to_dict(), settings.data.representation
    )
    representation.fit(data.training_chunks)
    timer.end("scaler")
    batch = representation(next(iter(data.train_dataloader())).features)
    timer.end("first batch")
    train, features = data.datasets["train"], len(panel.features)
    return timer.to_dict() | {
        "windows": {name: len(dataset) for name, dataset in data.datasets.items()},
        "batch": list(batch.shape),
        "finite": bool(batch.isfinite().all()),
        "table_bytes": len(panel.store) * features * 4,
        "window_bytes": sum(value.nbytes for value in vars(train).values() if hasattr(value, "nbytes")),
        "copied_bytes": len(train) * LENGTH * features * 4,
    }


def pandas_copies(overrides: Sequence[str]) -> dict[str, Any]:
    """Do the same with pandas and copied windows."""
    from benchmarks.reference_data import windows

    values = dict(override.split("=", 1) for override in overrides)
    timer = StageTimer()
    x, y = windows(Path(values["data.bars"]), LENGTH, values["data.split.validation_start"])
    x[:64], y[:64]
    timer.end("windows")
    return timer.to_dict()


def main() -> None:
    """Print one measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("ours", "pandas"))
    parser.add_argument("overrides", nargs="+", help="of a training command on a file of daily bars")
    arguments = parser.parse_args()
    print(json.dumps({"ours": ours, "pandas": pandas_copies}[arguments.kind](arguments.overrides)))


if __name__ == "__main__":
    main()
