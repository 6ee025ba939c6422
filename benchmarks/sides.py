"""One side of the training benchmark in a process of its own: `python -m benchmarks.sides ours|bare|script FOLDER`.

Reads a request as a line of JSON, trains once, answers with a line. A process for each side, because a fit sets what
all of its process sees (how memory is kept, how threads wait), and no yardstick may gain or lose by it.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from ste.config.fast_imports import before

SIDES = ("ours", "bare", "script")
WORLD = (
    *("data=world", "data.start=1961-01-01", "data.end=2015-12-31", "data.format=parquet"),
    *("data.split.validation_start=2001-01-01", "data.split.test_start=2008-07-01", "data.sequence_length=20"),
)
"""A ticker has 2,067 training windows of 20 weeks, 390 for validation and 392 for test."""


@dataclass(frozen=True)
class Request:
    """What to train.

    Attributes:
        model: `lstm` or `dual_tower`.
        batch: examples in a batch.
        threads: torch's.
        tickers: of the world, 2,067 training examples each.
        epochs: of the fit.
        precision: `trainer.precision`; the yardsticks are float32.
        accelerator: `cpu` or `gpu`.
    """

    model: str
    batch: int
    threads: int
    tickers: int
    epochs: int
    precision: str = "32-true"
    accelerator: str = "cpu"


@dataclass(frozen=True)
class Answer:
    """Training examples that a fit learnt from, all epochs together, and its seconds by the clock and of CPU."""

    examples: int
    seconds: float
    cpu: float


class Side:
    """The process of a side, asked from another one.

    Args:
        name: of `SIDES`.
        folder: for tables and runs.
        environment: of the process.
    """

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        command = [sys.executable, "-m", "benchmarks.sides", name, str(folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def ask(self, request: Request) -> Answer:
        """Train once.

        Raises:
            RuntimeError: the process ended; it said why on its standard error.
        """
        asked, answered = self._pipes
        with suppress(BrokenPipeError):
            asked.write(json.dumps(asdict(request)) + "\n")
            asked.flush()
        line = answered.readline()
        if not line:
            raise RuntimeError(f"{self.name}: ended with {self._process.wait()}")
        return Answer(**json.loads(line))

    def close(self) -> None:
        """End the process."""
        asked, answered = self._pipes
        with suppress(BrokenPipeError):
            asked.close()
        self._process.wait()
        answered.close()

    @property
    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


@contextmanager
def processes(names: tuple[str, ...], folder: Path) -> Iterator[dict[str, Side]]:
    """Processes of some sides: ours with the environment of `python -m ste.train`, the others' as it was found."""
    found = dict(os.environ)
    ours = before() | found
    sides: dict[str, Side] = {}
    try:
        for name in names:
            sides[name] = Side(name, folder, ours if name == "ours" else found)
        yield sides
    finally:
        for side in sides.values():
            side.close()


def _serve(name: str, folder: Path) -> None:
    import torch

    logging.disable(logging.WARNING)
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing else may be said where answers are read
    run = _ours(folder) if name == "ours" else _yardstick(name, folder)
    for line in sys.stdin:
        request = Request(**json.loads(line))
        torch.set_num_threads(request.threads)
        print(json.dumps(asdict(run(request))), file=answers, flush=True)


def _timed(examples: int, train: Callable[[], Any]) -> Answer:
    began = time.perf_counter(), time.process_time()
    train()
    return Answer(examples, time.perf_counter() - began[0], time.process_time() - began[1])


def _ours(folder: Path) -> Callable[[Request], Answer]:
    """A fit as `python -m ste.train` makes it, with all that is on by default, from prepared tables to the best epoch.

    What is timed is `ste.training.fit.fit`, and the wait for the last curve to be in the store.
    """
    from ste.config import TrackingSettings
    from ste.tracking.tracked_run import tracked_run
    from ste.training.fit import fit, prepare_fit

    def run(request: Request) -> Answer:
        settings, data = _data(request, folder)
        model = prepare_fit(settings, data)
        tracking = TrackingSettings(uri=f"sqlite:///{folder / 'runs.db'}", experiment="bench")
        with (
            tempfile.TemporaryDirectory(dir=folder) as checkpoints,
            tracked_run(tracking, folder, "bench", {}) as tracked,
        ):

            def whole() -> None:
                fit(settings, data, model, Path(checkpoints), tracked)
                tracked.flush()

            return _timed(len(data.datasets["train"]) * request.epochs, whole)

    return run


def _yardstick(name: str, folder: Path) -> Callable[[Request], Answer]:
    import torch

    from benchmarks import loops
    from ste.training.fit import prepare_fit

    loop = {"bare": loops.bare_loop, "script": loops.plain_script}[name]

    @cache
    def prepared(model: str, tickers: int, device: str) -> tuple[loops.Examples, loops.Examples]:
        settings, data = _data(Request(model, 256, 1, tickers, 1), folder)
        representation = prepare_fit(settings, data).representation
        out = []
        for split in ("train", "validation"):
            batches = list(data.loader(split))
            features = torch.cat([representation(batch.features) for batch in batches])
            out.append(loops.Examples(features.to(device), data.datasets[split].labels.to(device)))
        return out[0], out[1]

    def run(request: Request) -> Answer:
        device = "cuda" if request.accelerator == "gpu" else "cpu"
        train, validation = prepared(request.model, request.tickers, device)
        settings, data = _data(request, folder)
        module: Any = prepare_fit(settings, data)
        net, lr = module.net.to(device), settings.optimizer.lr

        def whole() -> None:
            loop(net, train, validation, request.batch, request.epochs, lr)
            if device == "cuda":
                torch.cuda.synchronize()

        return _timed(len(train.labels) * request.epochs, whole)

    return run


def _data(request: Request, folder: Path) -> tuple[Any, Any]:
    """Settings of a request, and its examples."""
    from ste.config.load import compose_train, plain, train_settings
    from ste.data.build.prepare import prepare
    from ste.data.panel import Panel
    from ste.training.fit import data_of

    chosen = [
        *(f"model={request.model}", f"trainer={request.accelerator}", *WORLD, f"data.tickers={request.tickers}"),
        *(f"data.batch_size={request.batch}", f"trainer.max_epochs={request.epochs}", "trainer.progress=false"),
        *(f"trainer.precision={request.precision}", f"paths.data={folder / 'data'}"),
    ]
    settings = train_settings(plain(compose_train(chosen)))
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    return settings, data_of(settings, panel)


def main() -> None:
    """Train as asked until nobody asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    _serve(given.side, given.folder)


if __name__ == "__main__":
    main()
