"""Training throughput: a complete fit against the bare loop of `benchmarks.reference_loop`.

Training examples a second over whole fits by wall time, from prepared tables to the weights of the best epoch. Both
validate after each epoch on the same examples, a fifth of the training examples. STE's fit also clips gradients,
computes ten figures an epoch, writes checkpoints, stops early and sends curves to a SQLite store. On a machine with an
NVIDIA GPU `GPU_CASES` is added.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.measurement import Measurement, compare, in_turns
from benchmarks.worker_process import JsonObject, WorkerProcess

NAMES = {"lstm": "SimpleLSTM", "dual_tower": "Dual Tower"}
NOTE = (
    "training: windows of 20 by 21 features (Dual Tower: rows of 21); whole fits with validation, ours with clipping, "
    "figures, checkpoints, early stopping and curves to a SQLite store"
)
TABLES = (
    *("data=world", "data.start=1961-01-01", "data.end=2015-12-31", "data.format=parquet"),
    *("data.split.validation_start=2001-01-01", "data.split.test_start=2008-07-01", "data.sequence_length=20"),
)
"""Overrides of the tables; a ticker has 2,067 training windows of 20 weeks, 390 for validation and 392 for test."""


class Case(NamedTuple):
    """One fit: `tickers` and `epochs` are chosen so that it takes one to four seconds on one thread."""

    model: str
    batch: int
    tickers: int
    epochs: int
    target: float
    threads: int = 1
    accelerator: str = "cpu"

    @property
    def title(self) -> str:
        """Name of the case in the table."""
        device = f"{self.threads} thread{'s' if self.threads > 1 else ''}" if self.accelerator == "cpu" else "GPU"
        return f"{NAMES[self.model]}, batch {self.batch}, {device}"

    @property
    def overrides(self) -> list[str]:
        """Overrides of the training command."""
        return [
            *(f"model={self.model}", f"trainer={self.accelerator}", *TABLES, f"data.tickers={self.tickers}"),
            *(f"data.batch_size={self.batch}", f"trainer.threads={self.threads}"),
        ]


CPU_CASES = (
    *(Case("lstm", 8, 2, 1, 0.8), Case("lstm", 64, 8, 2, 0.95), Case("lstm", 256, 16, 2, 1.0)),
    *(Case("lstm", 800, 8, 1, 1.0), Case("lstm", 4096, 8, 1, 1.0)),
    *(Case("dual_tower", 8, 6, 1, 0.6), Case("dual_tower", 64, 50, 1, 0.7), Case("dual_tower", 800, 50, 8, 0.9)),
)
GPU_CASES = (Case("lstm", 4096, 200, 6, 0.95, accelerator="gpu"),)
QUICK_CASES = (Case("lstm", 64, 4, 1, 0.95), Case("dual_tower", 800, 16, 8, 0.9))


def measure(quick: bool) -> Iterator[Measurement]:
    """Measure every case; quick: two cases on one thread, in two rounds."""
    cases, rounds = list(QUICK_CASES), 2
    if not quick:
        cases, rounds = [case._replace(threads=threads) for case in CPU_CASES for threads in (1, 2)], 3
        cases += GPU_CASES if shutil.which("nvidia-smi") else ()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ours, bare = (stack.enter_context(fit_worker(kind, Path(name))) for kind in ("ours", "bare"))
        for case in cases:
            yield against_bare_loop(case, ours, bare, rounds)


def fit_worker(kind: str, folder: Path) -> WorkerProcess:
    """Start a worker of `benchmarks.fit_worker`."""
    command = [sys.executable, "-m", "benchmarks.fit_worker", kind, str(folder)]
    return WorkerProcess(command, folder / f"{kind}.log")


def against_bare_loop(case: Case, ours: WorkerProcess, bare: WorkerProcess, rounds: int) -> Measurement:
    """Compare the two workers in one case."""
    answers = in_turns(
        [partial(worker.request, overrides=case.overrides, epochs=case.epochs) for worker in (ours, bare)], rounds
    )
    rates = [[throughput(answer, case.epochs) for answer in each] for each in answers]
    reference = "bare float32 loop" if case.accelerator == "cpu" else "bare float32 loop on the device"
    return compare("training", case.title, "samples/s", rates[0], rates[1], reference, "more", case.target, NOTE)


def throughput(answer: JsonObject, epochs: int) -> float:
    """Return training examples a second."""
    return float(answer["examples"]["train"] * epochs / answer["seconds"])
