"""From daily bars on disk to windows and a first batch of 800, STE beside Qlib, each round in new processes."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from benchmarks.figures import Figure, compared
from benchmarks.peers.market import GIVEN, MarketFiles, write_market
from benchmarks.peers.sides import Answer, in_turns, qlib_side, ste_side

BATCH, LENGTH = 800, 20
KERNELS = 2
"""Qlib's processes; its default here, cores less 2 and at least 1, takes 1.2 times as long on two cores."""


def bars(quick: bool) -> Iterator[Figure]:
    """Seconds by the clock and of CPU, and the growth of the resident size."""
    tickers, sessions, rounds = (100, 1000, 1) if quick else (500, 2500, 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        market = write_market(folder, tickers, sessions)
        ours, theirs = (list(answers) for answers in in_turns((_ours(folder, market), _theirs(folder, market)), rounds))
    _check(ours[0], theirs[0])
    case = f"{tickers} tickers x {sessions:,} sessions, bars to first batch"
    for key, measure, target in (("seconds", "s", 0.5), ("cpu", "CPU s", None), ("peak", "MiB more resident", None)):
        pairs = np.array([(a[key], b[key]) for a, b in zip(ours, theirs, strict=True)])
        note = ""
        if key == "seconds":
            note = f"STE: {_stages(ours)}; Qlib, {KERNELS} kernels: {_stages(theirs)}"
        yield compared("peers", case, measure, pairs, "Qlib's TSDatasetH", "less", target, note)


def _ours(folder: Path, market: MarketFiles) -> Callable[[], Answer]:
    overrides = [
        "model=lstm",
        "data=market",
        f"data.bars={market.bars}",
        "data.frequency=daily",
        "data.format=parts",
        f"data.sequence_length={LENGTH}",
        f"data.batch_size={BATCH}",
        f"data.split.validation_start={market.validation}",
        f"data.split.test_start={market.test}",
        f"paths.data={folder / 'tables'}",
    ]

    def run() -> Answer:
        shutil.rmtree(folder / "tables", ignore_errors=True)
        with ste_side(folder / "ste.log") as side:
            return side.ask(job="windows", overrides=overrides)

    return run


def _theirs(folder: Path, market: MarketFiles) -> Callable[[], Answer]:
    def before(date: str) -> str:
        return f"{pd.Timestamp(date) - pd.Timedelta(days=1):%Y-%m-%d}"

    segments = {
        "train": (market.first, before(market.validation)),
        "valid": (market.validation, before(market.test)),
        "test": (market.test, market.last),
    }

    def run() -> Answer:
        with qlib_side(folder / "qlib.log") as side:
            return side.ask(
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

    return run


def _check(ours: Answer, theirs: Answer) -> None:
    """Both made what they were asked for: as many windows up to those that Qlib fills up, of the same shape."""
    n = {side: sum(answer["windows"].values()) for side, answer in (("ste", ours), ("qlib", theirs))}
    shapes = (ours["batch"], [*theirs["batch"][:2], theirs["batch"][2] - 1])  # Qlib's last column is the label
    if shapes[0] != shapes[1] or not 0.9 <= n["ste"] / n["qlib"] <= 1.0 or not (ours["finite"] and theirs["finite"]):
        raise RuntimeError(f"the sides did not do the same: STE {ours}, Qlib {theirs}")


def _stages(answers: list[Answer]) -> str:
    """Medians over rounds."""
    names = answers[0]["stages"]
    return ", ".join(f"{name} {median(answer['stages'][name] for answer in answers):.2f} s" for name in names)
