"""What a person waits for before and around the fit: whole commands against the bare imports of their libraries.

The yardstick is a process that imports torch, lightning and mlflow, whole and in this order, and ends. Ours is the
whole command: configuration, tables, fit of 20 epochs on 35 rows, scores, figures, tracking with all artifacts.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.figures import Figure, compared

PART = "start"
IMPORTS = ("-c", "import torch, lightning, mlflow")
EXPERIMENTS = ("seed_lstm", "seed_dual_tower")
ANSWERS = ("--help", "--cfg job")
AGAINST = "a process that imports torch, lightning and mlflow"
TARGET, ANSWER_TARGET = 1.5, 0.6


def figures(quick: bool) -> Iterator[Figure]:
    """Answers without a run, whole runs, and first runs; seconds of wall time.

    Args:
        quick: the LSTM alone, one round, no first runs.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        # Caches of its own, so that the first run is one; matplotlib's fonts, which the yardstick finds too, are not.
        environment = {"XDG_CACHE_HOME": str(root / "cache"), "MPLCONFIGDIR": str(root / "fonts")}

        def seconds(*arguments: str, folder: str = "first") -> float:
            (root / folder).mkdir(exist_ok=True)
            return _seconds([sys.executable, *arguments], root / folder, environment)

        def trained(experiment: str, folder: str = "first") -> float:
            return seconds("-m", "ste.train", f"experiment={experiment}", folder=folder)

        seconds(*IMPORTS)
        first = trained(EXPERIMENTS[0])
        for answer in ANSWERS:
            asked = ("-m", "ste.train", *answer.split())
            yield _alone(answer, [seconds(*asked) for _ in range(3 if quick else 7)][1:], ANSWER_TARGET)
        chosen = EXPERIMENTS[:1] if quick else EXPERIMENTS
        sides = [*(lambda name=name: trained(name) for name in chosen), lambda: seconds(*IMPORTS)]
        rounds = _in_turns(sides, 1 if quick else 3)
        for column, experiment in enumerate(chosen):
            case = f"experiment={experiment}, the whole command"
            yield compared(PART, case, "s", rounds[:, [column, -1]], AGAINST, "less", TARGET)
        if not quick:
            case = f"experiment={EXPERIMENTS[0]}"
            yield _alone(f"{case} in a new folder", [trained(EXPERIMENTS[0], "second")], note="a copied store")
            yield _alone(f"{case}, a machine's first run", [first], note="a store made by MLflow's migrations")


def _in_turns(sides: Sequence[Callable[[], float]], rounds: int) -> np.ndarray:
    """Every side once a round, the first in a round another each time, float64 `[rounds, sides]`."""
    out = np.empty((rounds, len(sides)))
    for number in range(rounds):
        for i in range(len(sides)):
            column = (number + i) % len(sides)
            out[number, column] = sides[column]()
    return out


def _alone(case: str, taken: Sequence[float], target: float | None = None, note: str = "") -> Figure:
    """A figure that stands by itself, the median of several."""
    middle = median(taken)
    return Figure(PART, case, "s", middle, None, "", middle, "less", target, note)


def _seconds(command: Sequence[str], folder: Path, environment: dict[str, str]) -> float:
    """Wall time of a process.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return taken
