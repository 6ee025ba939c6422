"""From daily bars on disk to windows and a first batch of 800, STE against Qlib, each round in new processes."""

import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks.measurement import Measurement, compare, in_turns
from benchmarks.peers.market import GIVEN, MarketFiles, write_market
from benchmarks.peers.qlib_process import qlib_worker
from benchmarks.windows import LENGTH, run_windows
from benchmarks.worker_process import JsonObject

BATCH = 800
KERNELS = 2
"""Qlib's processes; its default here, cores less 2 and at least 1, takes 1.2 times as long on two cores."""


def measure_bars(quick: bool) -> Iterator[Measurement]:
    """Measure wall time, CPU time and the growth of the resident memory."""
    tickers, sessions, rounds = (100, 1000, 1) if quick else (500, 2500, 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        market = write_market(folder, tickers, sessions)
        ours, theirs = in_turns([partial(_ours, folder, market), partial(_qlib, folder, market)], rounds, warm_up=0)
    check_same_work(ours[0], theirs[0])
    case = f"{tickers} tickers x {sessions:,} sessions, bars to first batch"
    stages = f"peers: STE: {_stages(ours)}; Qlib, {KERNELS} kernels: {_stages(theirs)}"
    for key, unit, scale, target in (
        ("seconds", "s", 1, 0.5),
        ("cpu", "CPU s", 1, None),
        ("memory", "MiB more resident", 2**20, None),
    ):
        own, qlib = ([answer[key] / scale for answer in answers] for answers in (ours, theirs))
        yield compare("peers", case, unit, own, qlib, "Qlib's TSDatasetH", "less", target, stages)


def _ours(folder: Path, market: MarketFiles) -> JsonObject:
    from benchmarks.data import window_overrides

    shutil.rmtree(folder / "tables", ignore_errors=True)
    overrides = window_overrides(market.bars, market.validation, market.test, BATCH)
    return run_windows("ours", [*overrides, f"paths.data={folder / 'tables'}"])


def _qlib(folder: Path, market: MarketFiles) -> JsonObject:
    def day_before(date: str) -> str:
        return f"{pd.Timestamp(date) - pd.Timedelta(days=1):%Y-%m-%d}"

    segments = {
        "train": (market.first, day_before(market.validation)),
        "valid": (market.validation, day_before(market.test)),
        "test": (market.test, market.last),
    }
    with qlib_worker(folder / "qlib.log") as worker:
        return worker.request(
            job="windows",
            folder=str(market.qlib),
            given=GIVEN,
            start=market.first,
            end=market.last,
            segments=segments,
            length=LENGTH,
            batch_size=BATCH,
            kernels=KERNELS,
        )


def check_same_work(ours: JsonObject, theirs: JsonObject) -> None:
    """Check that both made as many windows, up to those that Qlib pads, of the same shape.

    Raises:
        RuntimeError: they did not.
    """
    counts = [sum(answer["windows"].values()) for answer in (ours, theirs)]
    shapes = (ours["batch"], [*theirs["batch"][:2], theirs["batch"][2] - 1])  # Qlib's last column is the label
    if shapes[0] != shapes[1] or not 0.9 <= counts[0] / counts[1] <= 1.0 or not (ours["finite"] and theirs["finite"]):
        raise RuntimeError(f"STE and Qlib did not do the same work: STE {ours}, Qlib {theirs}")


def _stages(answers: list[JsonObject]) -> str:
    names = answers[0]["stages"]
    return ", ".join(f"{name} {median(answer['stages'][name] for answer in answers):.2f} s" for name in names)
