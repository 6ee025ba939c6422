"""From a file of daily bars to windows, in a process of its own: `python -m benchmarks.windows ours|plain BARS`.

Prints a line of JSON: seconds of each step, the growth of the process's peak memory over its level after imports, and
what the windows themselves take. A process of its own, because a peak cannot be taken back.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ste.config.fast_imports import set_before

LENGTH = 20
VALIDATION, TEST = "2021-07-01", "2023-04-01"
"""First days of the splits, for bars that end with 2024."""


def peak() -> int:
    """Largest resident memory of this process so far, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def level() -> int:
    """Let the peak begin anew at what is resident now, bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def ours(bars: Path) -> dict[str, Any]:
    """Prepare tables in parts, read them, make windows, fit the scaler, gather a batch."""
    set_before()  # as our commands do
    import exchange_calendars  # noqa: F401 - loaded where they are needed, which is no part of the work

    import ste.data.build.sharded_tables  # noqa: F401
    from ste.config import MarketSettings, SplitSettings
    from ste.data.build.prepare import prepare
    from ste.data.datamodule import TrendDataModule
    from ste.data.panel import Panel
    from ste.features.normalization import Representation

    settings = MarketSettings(
        source="market",
        bars=str(bars),
        frequency="daily",
        format="parts",
        sequence_length=LENGTH,
        split=SplitSettings(validation_start=VALIDATION, test_start=TEST),
    )
    with tempfile.TemporaryDirectory(dir=bars.parent) as folder:
        begin, before = time.perf_counter(), level()
        panel = Panel.read(prepare(settings, Path(folder)), settings)
        read = time.perf_counter()
        data = TrendDataModule(panel, "sequence")
        representation = Representation(list(panel.features), settings.representation)
        representation.fit(data.training_chunks)
        representation(next(iter(data.train_dataloader())).features)
        end, grown = time.perf_counter(), peak() - before
        dataset, rows = data.datasets["train"], len(panel.store)
        return {
            "seconds": end - begin,
            "first_batch": end - read,
            "grown": grown,
            "table": rows * len(panel.features) * 4,
            "windows": sum(value.nbytes for value in vars(dataset).values() if hasattr(value, "nbytes")),
            "copies": len(dataset) * LENGTH * len(panel.features) * 4,
        }


def plain(bars: Path) -> dict[str, Any]:
    """The same by pandas and copies."""
    from benchmarks.plain import windows

    begin, before = time.perf_counter(), level()
    x, y = windows(bars, LENGTH, VALIDATION)
    x[:64], y[:64]
    return {"seconds": time.perf_counter() - begin, "grown": peak() - before}


def main() -> None:
    """One side."""
    sides: dict[str, Callable[[Path], dict[str, Any]]] = {"ours": ours, "plain": plain}
    print(json.dumps(sides[sys.argv[1]](Path(sys.argv[2]))))


if __name__ == "__main__":
    main()
