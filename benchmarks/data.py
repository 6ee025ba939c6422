"""Data: generating a daily synthetic table, and the way from daily bars to windows.

References: a plain Python generator that computes row by row, and pandas with copied windows
(`benchmarks.reference_data`). Part `peers` measures Qlib.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement, absolute, compare, in_turns
from benchmarks.reference_data import generate
from benchmarks.windows import LENGTH, run_windows
from ste.config import SplitSettings, SyntheticSettings
from ste.data.build.prepare import prepare
from ste.synthetic.generator import generate_market

START, END = "2015-06-25", "2024-12-31"
SESSIONS = 2500
"""Sessions between these dates, with the look-back of the features."""
VALIDATION_START, TEST_START = "2021-07-01", "2023-04-01"


def measure(quick: bool) -> Iterator[Measurement]:
    """Measure generation, then windows with their memory; quick: fewer tickers, one round."""
    tickers, rounds = (100, 1) if quick else (500, 2)
    world = SyntheticSettings(
        source="world",
        tickers=tickers,
        start=START,
        end=END,
        frequency="daily",
        format="parts",
        split=SplitSettings(validation_start=VALIDATION_START, test_start=TEST_START),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _generation(world, folder, rounds)
        bars = folder / "bars.parquet"
        generate_market(world).bars.to_parquet(bars, index=False)
        yield from _windows(bars, tickers, rounds)


def _generation(world: SyntheticSettings, folder: Path, rounds: int) -> Iterator[Measurement]:
    digests = set()

    def ours() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as output:
            start = time.perf_counter()
            prepared = prepare(world, Path(output))
            seconds = time.perf_counter() - start
        digests.add(prepared.digest)
        return 1e6 * seconds / sum(entry["rows"] for entry in prepared.card["files"].values())

    def reference() -> float:
        start = time.perf_counter()
        rows = generate(folder / "reference.csv", tickers=1, days=SESSIONS)
        return 1e6 * (time.perf_counter() - start) / rows

    costs, reference_costs = in_turns([ours, reference], rounds)
    yield compare(
        "data",
        f"synthetic market of {world.tickers} tickers, {SESSIONS:,} sessions, daily table",
        "microseconds a row",
        costs,
        reference_costs,
        "plain Python, row by row",
        "less",
        0.01,
        note=f"data: the reference is timed on one ticker of {SESSIONS:,} rows; ours writes parts and arrays",
    )
    if len(digests) != 1:
        raise AssertionError(f"the same settings gave different bytes: {sorted(digests)}")


def _windows(bars: Path, tickers: int, rounds: int) -> Iterator[Measurement]:
    def run(kind: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=bars.parent) as tables:
            overrides = window_overrides(bars, VALIDATION_START, TEST_START)
            return run_windows(kind, [*overrides, f"paths.data={tables}"])

    ours, pandas = in_turns([partial(run, "ours"), partial(run, "pandas")], rounds, warm_up=0 if rounds == 1 else 1)
    case = f"bars of {tickers} tickers, {SESSIONS:,} sessions, to windows of {LENGTH}"
    own, copied = ([answer["seconds"] for answer in answers] for answers in (ours, pandas))
    yield compare("data", case, "seconds", own, copied, "pandas, copied windows", "less")
    memory_target = 1.5 if tickers >= 500 else None  # the program itself is most of what a small table takes
    first_batch = [answer["seconds"] - answer["stages"]["tables"] for answer in ours]
    for what, values, target in (
        ("peak memory / table size", [answer["memory"] / answer["table_bytes"] for answer in ours], memory_target),
        ("window index / copied windows", [answer["window_bytes"] / answer["copied_bytes"] for answer in ours], 0.01),
    ):
        yield absolute("data", f"{case}: {what}", "ratio", values, target)
    yield absolute("data", f"{case}: from the table to the first batch", "seconds", first_batch, 1.0)


def window_overrides(bars: Path, validation_start: str, test_start: str, batch: int = 64) -> list[str]:
    """Return the overrides of a training command on windows of a file of daily bars."""
    return [
        *("model=lstm", "data=market", f"data.bars={bars}", "data.frequency=daily", "data.format=parts"),
        *(f"data.sequence_length={LENGTH}", f"data.batch_size={batch}"),
        *(f"data.split.validation_start={validation_start}", f"data.split.test_start={test_start}"),
    ]
