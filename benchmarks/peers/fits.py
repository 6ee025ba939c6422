"""Training at batch 800, STE's tracked fit beside Qlib's LSTM trainer: the same rows, windows and sizes."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, compared
from benchmarks.peers.sides import SAME_MEMORY, Answer, Side, in_turns, qlib_side, ste_side

BATCH, LENGTH = 800, 20
WORKERS = (0, 1, 2)
"""Settings of Qlib's `n_jobs` (processes that gather windows), of which the warm-up finds the fastest; the 10 of its
code and the 20 of its examples are for more cores."""


def fits(quick: bool) -> Iterator[Figure]:
    """Training samples a second over whole fits, each epoch with the evaluation that the side makes by itself."""
    for threads in (2,) if quick else (1, 2):
        if threads <= len(os.sched_getaffinity(0)):
            yield from _fits(threads, rounds=1 if quick else 3, epochs=1 if quick else 2)


def _fits(threads: int, rounds: int, epochs: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        ours = stack.enter_context(ste_side(folder / "ste.log"))
        described = ours.ask(job="training", threads=threads, overrides=_overrides(folder, threads))
        ours.ask(epochs=1)
        sides: list[Callable[[], Answer]] = [lambda: ours.ask(epochs=epochs)]
        workers = []
        for number, environment in enumerate(({}, SAME_MEMORY)):
            given = {"OMP_NUM_THREADS": str(threads), **environment}
            side = stack.enter_context(qlib_side(folder / f"qlib-{number}.log", given))
            workers.append(_warm(side, described, folder, threads))
            sides.append(_asked(side, epochs, workers[-1]))
        answers = in_turns(sides, rounds)
    rates = np.array([[_rate(answer, epochs) for answer in answers[0]], *map(_qlib_rates(epochs), answers[1:])]).T
    learning = np.array([_rate(answer, epochs, "learning") for answer in answers[1]])
    case = f"lstm, batch {BATCH}, {threads} thread{'s' if threads > 1 else ''}"
    as_it_is = f"n_jobs={workers[0]}, each epoch also evaluates the training rows; STE tracks, Qlib does not"
    for column, against, target, note in (
        (rates[:, 1], "Qlib's LSTM trainer", 1.4, as_it_is),
        (rates[:, 2], "the same with STE's setting of malloc", None, f"GLIBC_TUNABLES, n_jobs={workers[1]}"),
        (learning, "its passes that learn alone", None, "STE's whole fit against Qlib without any evaluation"),
    ):
        pairs = np.stack([rates[:, 0], column], axis=1)
        yield compared("peers", case, "samples/s", pairs, against, "more", target, note)


def _overrides(folder: Path, threads: int) -> list[str]:
    """A world of 20 tickers: some 24,000 training windows of 20 days by 21 features, 4,000 for validation."""
    return [
        "model=lstm",
        "model.hidden_size=64",
        "model.num_layers=2",
        "data=world",
        "data.frequency=daily",
        "data.format=parquet",
        "data.tickers=20",
        "data.start=2015-01-01",
        "data.end=2020-08-31",
        "data.split.validation_start=2019-11-15",
        "data.split.test_start=null",
        f"data.sequence_length={LENGTH}",
        f"data.batch_size={BATCH}",
        "fit.patience=null",
        f"trainer.threads={threads}",
        "trainer.progress=false",
        f"paths.data={folder / 'tables'}",
        f"paths.output={folder / 'outputs'}",
    ]


def _warm(side: Side, described: Answer, folder: Path, threads: int) -> int:
    """Make the side ready; gives the setting of `n_jobs` that its warm-up was fastest with."""
    first = {key: value for key, value in described.items() if key != "examples"}
    seconds = {}
    side.ask(job="training", folder=str(folder), threads=threads, **first)
    for workers in WORKERS:
        answer = side.ask(epochs=1, n_jobs=workers)
        if answer["examples"] != described["examples"]:
            raise RuntimeError(f"not the same windows: STE {described['examples']}, Qlib {answer['examples']}")
        seconds[workers] = answer["seconds"]
    return min(seconds, key=lambda workers: seconds[workers])


def _asked(side: Side, epochs: int, workers: int) -> Callable[[], Answer]:
    return lambda: side.ask(epochs=epochs, n_jobs=workers)


def _rate(answer: Answer, epochs: int, seconds: str = "seconds") -> float:
    """Training samples a second; Qlib leaves out what does not fill a batch."""
    seen = answer["examples"]["train"]
    if "learning" in answer:
        seen = seen // BATCH * BATCH
    return float(seen * epochs / answer[seconds])


def _qlib_rates(epochs: int) -> Callable[[list[Answer]], list[float]]:
    return lambda answers: [_rate(answer, epochs) for answer in answers]
