"""Start-up time: whole commands against bare imports of their libraries.

`--help`, `--cfg job` and the first output of every command on a terminal are compared with a process that imports
hydra and omegaconf; a first run from an empty folder must never be silent for two seconds; a whole training run
(configuration, tables, 20 epochs on 35 rows, scores, figures, tracking with all artifacts) with a process that imports
torch, lightning and mlflow; a sweep of 64 such runs, and 16 replicas in one run, with as many single commands.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.measurement import Measurement, absolute, compare, in_turns
from benchmarks.terminal import record
from ste.__main__ import COMMANDS

CONFIGURATION_IMPORTS = "hydra, omegaconf"
TRAINING_IMPORTS = "torch, lightning, mlflow"
ANSWERS = ("--help", "--cfg job")
EXPERIMENTS = ("seed_lstm", "seed_dual_tower")
GRID = ("optimizer=adam,sgd", "model.hidden_size=4,8,16,64", "optimizer.lr=1e-4,3e-4,1e-3,2e-3,3e-3,5e-3,1e-2,2e-2")
TRIALS, REPLICAS = 64, 16
ANSWER_TARGET, RUN_TARGET = 2.5, 1.5
MAX_SILENCE = 2.0


def measure(quick: bool) -> Iterator[Measurement]:
    """Measure answers without a run, then whole runs; seconds of wall time.

    Args:
        quick: measure the LSTM's run only, in one round, and neither sweep nor replicas.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = partial(command_seconds, Path(folder))
        answers = [partial(run, "-m", "ste.train", *answer.split()) for answer in ANSWERS]
        yield from _against_imports(answers, ANSWERS, CONFIGURATION_IMPORTS, ANSWER_TARGET, run, 3 if quick else 7)
        yield _slowest_first_output(Path(folder), run, 1 if quick else 3)
        yield _silence(1 if quick else 3)
        experiments = EXPERIMENTS[:1] if quick else EXPERIMENTS
        runs = [partial(run, "-m", "ste.train", f"experiment={name}") for name in experiments]
        cases = [f"experiment={name}, the whole command" for name in experiments]
        yield from _against_imports(runs, cases, TRAINING_IMPORTS, RUN_TARGET, run, 1 if quick else 3)
        if not quick:
            yield from _many_fits(partial(run, "-m", "ste.train"), f"experiment={EXPERIMENTS[0]}")


def _slowest_first_output(folder: Path, run: Callable[..., float], rounds: int) -> Measurement:
    """Compare the first output of the slowest command with the bare imports."""

    def first_output(command: str) -> float:
        return record(folder, "-m", f"ste.{command}", only_first=True).times[0]

    functions = [partial(first_output, command) for command in COMMANDS]
    *ours, reference = in_turns([*functions, partial(run, "-c", f"import {CONFIGURATION_IMPORTS}")], rounds)
    slowest = max(range(len(ours)), key=lambda index: median(ours[index]))
    case = f"first output of ste.{COMMANDS[slowest]}, the slowest of {len(COMMANDS)} commands"
    name = f"a process that imports {CONFIGURATION_IMPORTS}"
    return compare("start", case, "s", ours[slowest], reference, name, "less", ANSWER_TARGET)


def _silence(rounds: int) -> Measurement:
    """Measure the longest time without output of a first run, in an empty folder each."""
    values = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as empty:
            done = record(Path(empty), "-m", "ste.train", "model=lstm")
        if done.code:
            sys.exit(done.output)
        values.append(done.longest_silence)
    return absolute("start", "longest silence of a first run", "s", values, MAX_SILENCE)


def _many_fits(train: Callable[..., float], experiment: str) -> Iterator[Measurement]:
    """Compare many fits in one command with as many commands; one round, after a single command."""
    single = train(experiment)
    for case, count, arguments in (
        (f"a sweep of {TRIALS} trials, hydra/launcher=fork", TRIALS, ["-m", experiment, *GRID, "hydra/launcher=fork"]),
        (f"train.replicas={REPLICAS}", REPLICAS, [experiment, f"train.replicas={REPLICAS}"]),
    ):
        reference = f"{count} single commands, from the time of one"
        yield compare("start", case, "s", [train(*arguments)], [count * single], reference, "less")


def _against_imports(
    commands: Sequence[Callable[[], float]],
    cases: Sequence[str],
    imports: str,
    target: float,
    run: Callable[..., float],
    rounds: int,
) -> Iterator[Measurement]:
    functions: list[Callable[[], float]] = [*commands, partial(run, "-c", f"import {imports}")]
    *ours, reference = in_turns(functions, rounds)
    for case, seconds in zip(cases, ours, strict=True):
        yield compare("start", case, "s", seconds, reference, f"a process that imports {imports}", "less", target)


def command_seconds(folder: Path, *arguments: str) -> float:
    """Run the Python interpreter in a folder and return the wall time.

    Raises:
        SystemExit: the process failed; the message is its output.
    """
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return seconds
