"""What many seeds cost at once: `python -m benchmarks.replicas`.

Within one process, round by round: R fits of one seed each, one after the other, and a fit of R replicas
(`train.replicas=R`). The table has medians over rounds; a ratio is taken within its round, so that a slow spell of the
machine falls on both of its sides. A fit is timed from building the nets to the written checkpoint, on prepared rows,
untracked, by the clock and by the processor's time, which says the same on a quiet machine and is steadier on a busy
one. Then the whole tracked command, with replicas against without, the start of Python included.
"""

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch

from ste.config.load import compose_train, plain, train_settings
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.training.fit import fit, prepare_fit, view_of

SEED_ROWS = ("data=seed", "trainer.max_epochs=20", "fit.patience=null", "trainer.threads=1")
LARGE = ("data=world", "data.batch_size=512", "trainer=gpu", "trainer.max_epochs=20", "fit.patience=null")
QUIET = ("tracking=off", "trainer.progress=false")
COMMAND_REPLICAS = 16

HEADER = (
    f"{'fit':<26} {'replicas':>8}  {'one, s':>8}  {'R fits, s':>10}  {'at once, s':>11}"
    f"  {'times of one':>12}  {'by CPU':>8}  {'times faster':>12}  {'by CPU':>8}"
)

Fit = Callable[[int, int], np.ndarray]


def timed_fit(overrides: Sequence[str], folder: Path) -> Fit:
    """A function of the first seed and the number of replicas: the fit's seconds, by the clock and of CPU, `[2]`."""
    base = [*overrides, *QUIET, f"paths.data={folder / 'data'}"]
    first = train_settings(plain(compose_train(base)))
    panel = Panel.read(prepare(first.data, Path(first.paths.data)), first.data)

    def seconds(seed: int, replicas: int) -> np.ndarray:
        settings = train_settings(plain(compose_train([*base, f"seed={seed}", f"train.replicas={replicas}"])))
        data = TrendDataModule(panel, view_of(settings.model), seed)
        with tempfile.TemporaryDirectory(dir=folder) as checkpoints:
            began = _clocks()
            fit(settings, data, prepare_fit(settings, data), Path(checkpoints), None)
            return _clocks() - began

    return seconds


def _clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def measured(seconds: Fit, replicas: int, rounds: int) -> np.ndarray:
    """Seconds of R single fits and of the fit of R replicas, by the clock and of CPU, `[rounds, 2, 2]`, once warm."""
    seconds(0, 1)
    seconds(0, replicas)
    pairs = [(sum(seconds(seed, 1) for seed in range(replicas)), seconds(0, replicas)) for _ in range(rounds)]
    return np.array(pairs)


def row(name: str, rounds: np.ndarray, replicas: int) -> str:
    """A row of the table from `measured`."""
    singles, together = np.median(rounds[:, :, 0], axis=0)
    faster, faster_cpu = np.median(rounds[:, 0] / rounds[:, 1], axis=0)
    return (
        f"{name:<26} {replicas:>8}  {singles / replicas:>8.2f}  {singles:>10.2f}  {together:>11.2f}"
        f"  {replicas / faster:>12.2f}  {replicas / faster_cpu:>8.2f}  {faster:>12.1f}  {faster_cpu:>8.1f}"
    )


def rows(models: Sequence[str], counts: Sequence[int], rounds: int, overrides: Sequence[str]) -> Iterator[str]:
    """Rows of fits, each when it is known."""
    sources = {"cpu": ((*SEED_ROWS, *overrides), counts)}
    if torch.cuda.is_available() and not overrides:
        sources["gpu, batch 512"] = (LARGE, (COMMAND_REPLICAS,))
    for device, (given, chosen) in sources.items():
        for model in models:
            with tempfile.TemporaryDirectory() as folder:
                seconds = timed_fit((f"model={model}", *given), Path(folder))
                for count in chosen:
                    yield row(f"{model}, {device}", measured(seconds, count, rounds), count)


def command_row(model: str, overrides: Sequence[str], times: int = 2) -> str:
    """A row of the whole command, medians of `times` runs of each kind, in turns."""
    with tempfile.TemporaryDirectory() as folder:

        def seconds(replicas: int) -> float:
            command = [sys.executable, "-m", "ste.train", f"model={model}", *SEED_ROWS, *overrides]
            began = time.perf_counter()
            subprocess.run(
                [*command, f"train.replicas={replicas}"],
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            return time.perf_counter() - began

        seconds(1)  # lays the store and the rows
        pairs = [(seconds(1), seconds(COMMAND_REPLICAS)) for _ in range(times)]
    one, together = (median(values) for values in zip(*pairs, strict=True))
    of_one = median(b / a for a, b in pairs)
    name = f"{model}, whole command"
    return f"{name:<26} {COMMAND_REPLICAS:>8}  {one:>8.2f}  {'':>10}  {together:>11.2f}  {of_one:>12.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["lstm", "dual_tower"])
    parser.add_argument("--replicas", nargs="+", type=int, default=[1, 8, 16, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-command", action="store_true", help="fits alone")
    parser.add_argument("overrides", nargs="*", help="of ste.train, such as data=world (the CPU's rows alone)")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("ste").setLevel(logging.ERROR)
    print(HEADER, flush=True)
    for line in rows(chosen.models, chosen.replicas, chosen.rounds, chosen.overrides):
        print(line, flush=True)
    if not chosen.no_command:
        for model in chosen.models:
            print(command_row(model, chosen.overrides), flush=True)
    print(
        f"{' '.join((*SEED_ROWS, *chosen.overrides))}; medians of {chosen.rounds} rounds (whole command: 2). times of "
        "one: at once / the mean of the R fits. times faster: R fits one after the other / at once."
    )


if __name__ == "__main__":
    main()
