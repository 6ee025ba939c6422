"""Qlib's feature sets from daily bars on disk, STE against Qlib, each in new processes, and the values of both.

A relative difference is that of the two values over the larger of STE's value and the column's mean size, so that a
correlation near 0 does not decide it. Both read the same float32 bars; Qlib computes in float32 where it does not say
otherwise, STE in float64.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measurement import Measurement, absolute, compare
from benchmarks.peers.market import MarketFiles, write_market
from benchmarks.peers.qlib_process import qlib_python, qlib_worker
from benchmarks.worker_process import JsonObject, WorkerProcess
from ste.config.fast_imports import VARIABLES
from ste.config.feature_sets import load_feature_set
from ste.features.feature_rows import look_back

SETS = ("alpha158", "alpha360")
TARGET = 1 / 3
"""Of Qlib's wall time with the number of processes that it takes by itself."""

EQUAL = 1e-5
"""Relative difference from which a column is listed."""

OURS, THEIRS = "ste.f8", "qlib.f4"


def measure(quick: bool) -> Iterator[Measurement]:
    """Measure each set once: one round of Qlib takes minutes.

    Raises:
        ConfigError: the peers' environment is missing.
    """
    qlib_python()
    tickers, sessions = (20, 300) if quick else (500, 2500)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        market = write_market(folder, tickers, sessions)
        for chosen in SETS:
            yield from _measure_set(chosen, f"{chosen}, {tickers} tickers x {sessions:,} sessions", folder, market)


def _measure_set(name: str, case: str, folder: Path, market: MarketFiles) -> Iterator[Measurement]:
    ours = _ours(name, folder, market)
    default = _qlib(name, folder, market, output=str(folder / THEIRS))
    differences = column_differences(name, ours, default, folder)
    cores = len(os.sched_getaffinity(0))
    answers: list[tuple[JsonObject, str, float | None]] = [
        (default, f"Qlib, {_kernels(default)}, its default here", TARGET)
    ]
    if cores > default["kernels"]:
        every = _qlib(name, folder, market, kernels=cores)
        answers.append((every, f"Qlib, {_kernels(every)}", None))
    part, note = "peers.features", "peers.features: from files of bars to all values of the set, one process of STE"
    for theirs, reference, target in answers:
        seconds = [ours["seconds"]], [theirs["seconds"]]
        yield compare(part, case, "s", *seconds, reference, "less", target, note)
    yield compare(part, case, "CPU s", [ours["cpu"]], [default["cpu"]], "Qlib", "less")
    memory = [ours["memory"] / 2**20], [default["memory"] / 2**20]
    yield compare(part, case, "MiB more resident", *memory, "Qlib, its largest process", "less")
    yield absolute(
        *(part, f"{name}: largest relative difference of a value", "of the value"),
        [max(one.relative for one in differences.values())],
        note=f"peers.features: {name}: {describe(differences)}",
    )


def _ours(name: str, folder: Path, market: MarketFiles) -> JsonObject:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers.ste_features"]
    with WorkerProcess(command, folder / "ste.log", VARIABLES) as worker:
        return worker.request(bars=str(market.bars), set=name, output=str(folder / OURS))


def _qlib(name: str, folder: Path, market: MarketFiles, **options: object) -> JsonObject:
    with qlib_worker(folder / "qlib.log") as worker:
        return worker.request(job="features", set=name, folder=str(market.qlib), **options)


def _kernels(answer: JsonObject) -> str:
    return f"{answer['kernels']} kernel{'s' * (answer['kernels'] > 1)}"


@dataclass(frozen=True)
class ColumnDifference:
    """The difference of a column between STE and Qlib.

    Attributes:
        relative: largest difference where both have a value, over the larger of STE's value and the column's mean size.
        undefined: number of values that Qlib does not define.
    """

    relative: float
    undefined: int


def column_differences(name: str, ours: JsonObject, theirs: JsonObject, folder: Path) -> dict[str, ColumnDifference]:
    """Compare the written values of a set, column by column.

    Args:
        name: of the set.
        ours: STE's answer: `shape`, a row for each ticker and session with the set's look-back before it.
        theirs: Qlib's, a row for each ticker and session.
        folder: of the files `OURS`, float64 `[F, N]`, and `THEIRS`, float32 `[F, M]`, by ticker and date.

    Raises:
        RuntimeError: they did not compute the same columns and rows.
    """
    features = load_feature_set(name)
    sessions, tickers = theirs["sessions"], theirs["shape"][0] // theirs["sessions"]
    first = look_back(features, 1) - 1
    expected = [[tickers * (sessions - first), len(features.names)], [tickers * sessions, len(features.names)]]
    if [ours["shape"], theirs["shape"]] != expected:
        raise RuntimeError(f"{name}: STE made {ours['shape']} values, Qlib {theirs['shape']}, expected {expected}")
    own = np.memmap(folder / OURS, "<f8", "r", shape=(len(features.names), tickers, sessions - first))
    qlib = np.memmap(folder / THEIRS, "<f4", "r", shape=(len(features.names), tickers, sessions))
    return {column: column_difference(a, b[:, first:]) for column, a, b in zip(features.names, own, qlib, strict=True)}


def column_difference(own: np.ndarray, qlib: np.ndarray) -> ColumnDifference:
    """Compare two arrays of one shape."""
    defined = np.isfinite(qlib)
    a, b = own[defined], qlib[defined].astype(np.float64)
    size = np.maximum(np.abs(a), np.abs(a).mean()) if len(a) else a
    relative = np.divide(np.abs(a - b), size, out=np.zeros(len(a)), where=a != b)
    return ColumnDifference(float(relative.max(initial=0.0)), int((~defined).sum()))


def describe(differences: Mapping[str, ColumnDifference]) -> str:
    """Return the columns above `EQUAL` by their name without the window, and the values that Qlib does not define."""
    families: dict[str, list[ColumnDifference]] = {}
    for name, one in differences.items():
        families.setdefault(name.rstrip("0123456789"), []).append(one)
    parts = []
    above = {name: [one.relative for one in own if one.relative > EQUAL] for name, own in families.items()}
    listed = [f"{name} ({len(own)} of {len(families[name])}) {max(own):.0e}" for name, own in above.items() if own]
    parts.append(f"above {EQUAL:.0e}: {', '.join(listed) or 'none'}")
    undefined = {name: sum(one.undefined for one in own) for name, own in families.items()}
    if any(undefined.values()):
        parts.append(
            f"undefined in Qlib: {', '.join(f'{name} {count:,}' for name, count in undefined.items() if count)}"
        )
    return "; ".join(parts)
