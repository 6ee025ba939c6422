"""Worlds, tables and windows: what a row costs to make, and what it takes to have windows ready for training.

Yardsticks: a plain Python generator that goes row by row, and pandas with copied windows (`benchmarks.plain`). Qlib is
measured by the part `peers`, where it is installed.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure, compared, interleaved
from benchmarks.plain import generate
from benchmarks.windows import LENGTH, TEST, VALIDATION
from ste.config import SplitSettings, WorldSettings
from ste.data.build.prepare import prepare
from ste.synthetic.generator import draw

_START, _END = "2015-06-25", "2024-12-31"  # about 2,500 sessions with the look-back
_SESSIONS = 2500
_PART = "data"


def figures(quick: bool) -> Iterator[Figure]:
    """Generation against plain Python, then windows against pandas, with memory."""
    tickers, rounds = (200, 1) if quick else (500, 2)  # of fewer, scalers read every window
    world = WorldSettings(
        source="world",
        tickers=tickers,
        start=_START,
        end=_END,
        frequency="daily",
        format="parts",
        split=SplitSettings(validation_start=VALIDATION, test_start=TEST),
    )
    with tempfile.TemporaryDirectory() as folder:
        yield from _generation(world, Path(folder), rounds)
        bars = Path(folder) / "bars.parquet"
        draw(world).bars.to_parquet(bars, index=False)
        yield from _windows(bars, tickers, rounds)


def _generation(world: WorldSettings, folder: Path, rounds: int) -> Iterator[Figure]:
    digests = set()

    def ours() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            begin = time.perf_counter()
            prepared = prepare(world, Path(own))
            seconds = time.perf_counter() - begin
        digests.add(prepared.digest)
        return 1e6 * seconds / sum(entry["rows"] for entry in prepared.card["files"].values())

    def plain(lookback: int | None) -> float:
        begin = time.perf_counter()
        rows = generate(folder / "plain.csv", tickers=1, days=_SESSIONS, lookback=lookback)
        return 1e6 * (time.perf_counter() - begin) / rows

    cases = (
        (None, "indicators of all closes so far, as ours are", 0.01),
        (100, "indicators of the last 100 closes", None),
    )
    for lookback, what, target in cases:
        measured = interleaved(ours, partial(plain, lookback), rounds if target else 1)
        yield compared(
            _PART,
            f"world of {world.tickers} tickers, {_SESSIONS:,} sessions, daily table",
            "microseconds a row",
            measured,
            f"plain Python, row by row, {what}",
            "less",
            target,
            note=f"one ticker of {_SESSIONS:,} rows timed; ours writes parts and arrays",
        )
    if len(digests) != 1:
        raise AssertionError(f"the same world gave different bytes: {sorted(digests)}")


def _windows(bars: Path, tickers: int, rounds: int) -> Iterator[Figure]:
    told: list[dict[str, Any]] = []

    def side(name: str) -> float:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.windows", name, str(bars)],
            capture_output=True,
            text=True,
            check=True,
        )
        answer = json.loads(done.stdout)
        if name == "ours":
            told.append(answer)
        return float(answer["seconds"])

    measured = interleaved(partial(side, "ours"), partial(side, "plain"), rounds)
    case = f"bars of {tickers} tickers, {_SESSIONS:,} sessions, to windows of {LENGTH}"
    yield compared(
        _PART, case, "seconds", measured, "pandas, windows copied", "less", note="scaler and first batch too"
    )
    whole = 1.5 if tickers >= 500 else None  # of a small table, what the program itself takes is most
    alone = (
        ("peak memory over the table's own", "times", lambda one: one["grown"] / one["table"], whole),
        ("from the table to the first batch", "seconds", lambda one: one["first_batch"], 1.0),
        ("windows against copies of them", "bytes over bytes", lambda one: one["windows"] / one["copies"], 0.01),
    )
    for what, measure, value, target in alone:
        ours = median(value(one) for one in told[1:])
        yield Figure(_PART, f"{case}: {what}", measure, ours, None, "itself", ours, "less", target)
