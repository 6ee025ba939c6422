"""Training at batch 800: STE's tracked fit against Qlib's LSTM trainer on the same rows, windows and sizes."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.measurement import Measurement, compare, in_turns
from benchmarks.peers.qlib_process import qlib_worker
from benchmarks.training import fit_worker
from benchmarks.worker_process import JsonObject, WorkerProcess

BATCH = 800
LOADER_PROCESSES = (0, 1, 2)
"""Values of Qlib's `n_jobs` (processes that gather windows), of which the warm-up finds the fastest; the 10 of its code
and the 20 of its examples are for more cores."""

MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2146435072"}
"""The setting of glibc that STE makes during a fit, for a process that does not make it."""

OVERRIDES = (
    *("model=lstm", "model.hidden_size=64", "model.num_layers=2", "data=world", "data.frequency=daily"),
    *("data.format=parquet", "data.tickers=20", "data.start=2015-01-01", "data.end=2020-08-31"),
    *("data.split.validation_start=2019-11-15", "data.split.test_start=null", "data.sequence_length=20"),
    *(f"data.batch_size={BATCH}", "callbacks.early_stopping=null"),
)
"""Some 24,000 training windows of 20 days by 21 features and 4,000 for validation."""


def measure_fits(quick: bool) -> Iterator[Measurement]:
    """Measure training samples a second over whole fits, each epoch with the evaluation of its own trainer."""
    for threads in (2,) if quick else (1, 2):
        if threads <= len(os.sched_getaffinity(0)):
            yield from _measure_threads(threads, rounds=1 if quick else 3, epochs=1 if quick else 2)


def _measure_threads(threads: int, rounds: int, epochs: int) -> Iterator[Measurement]:
    overrides = [*OVERRIDES, f"trainer.threads={threads}"]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        ours = stack.enter_context(fit_worker("ours", folder))
        described = ours.request(overrides=overrides, describe=True)
        ours.request(overrides=overrides)
        fits: list[Callable[[], JsonObject]] = [partial(ours.request, overrides=overrides, epochs=epochs)]
        processes = []
        for number, environment in enumerate(({}, MALLOC)):
            variables = {"OMP_NUM_THREADS": str(threads), **environment}
            worker = stack.enter_context(qlib_worker(folder / f"qlib-{number}.log", variables))
            processes.append(_warm_up(worker, described, folder, threads))
            fits.append(partial(worker.request, job="fit", epochs=epochs, n_jobs=processes[-1]))
        ste, qlib, qlib_malloc = in_turns(fits, rounds, warm_up=0)
    rates = [answer["examples"]["train"] * epochs / answer["seconds"] for answer in ste]
    case = f"lstm, batch {BATCH}, {threads} thread{'s' if threads > 1 else ''}"
    default = f"peers: n_jobs={processes[0]}, each epoch also evaluates the training rows; STE tracks, Qlib does not"
    for answers, seconds, reference, target, note in (
        (qlib, "seconds", "Qlib's LSTM trainer", 1.4, default),
        (qlib_malloc, "seconds", "the same with STE's setting of malloc", None, f"peers: n_jobs={processes[1]}"),
        (qlib, "learning", "its training passes only", None, "peers: STE's whole fit, Qlib without evaluation"),
    ):
        theirs = [_full_batches(answer) * epochs / answer[seconds] for answer in answers]
        yield compare("peers", case, "samples/s", rates, theirs, reference, "more", target, note)


def _warm_up(worker: WorkerProcess, described: JsonObject, folder: Path, threads: int) -> int:
    """Open the tables and return the value of `n_jobs` with the fastest epoch."""
    tables = {key: value for key, value in described.items() if key != "examples"}
    worker.request(job="open", folder=str(folder), threads=threads, **tables)
    seconds = {}
    for processes in LOADER_PROCESSES:
        answer = worker.request(job="fit", epochs=1, n_jobs=processes)
        if answer["examples"] != described["examples"]:
            raise RuntimeError(f"not the same windows: STE {described['examples']}, Qlib {answer['examples']}")
        seconds[processes] = answer["seconds"]
    return min(seconds, key=lambda processes: seconds[processes])


def _full_batches(answer: JsonObject) -> int:
    """Return the training examples of an epoch: Qlib omits an incomplete batch."""
    return int(answer["examples"]["train"]) // BATCH * BATCH
