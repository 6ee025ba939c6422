"""Judging a million predictions of another tool, and how soon the command starts.

The whole command (reading, scores with intervals, baselines, verdict and page) is measured by wall time and peak
memory, in turns with pandas reading the same file. It starts when its first line is on the terminal; a hundred
predictions show what else does not depend on their number.
"""

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measurement import Measurement, absolute, compare, in_turns
from benchmarks.prediction import run_command
from benchmarks.start import command_seconds
from benchmarks.terminal import record

PREDICTIONS, TICKERS, SMALL = 1_000_000, 500, 100
TIME_TARGET, PEAK_TARGET, START_TARGET = 30.0, 2.0, 1.5
"""Seconds and GiB of a million predictions, and seconds to the first line."""


def measure(quick: bool) -> Iterator[Measurement]:
    """Measure a million predictions as CSV and Parquet; quick: a tenth of them, as CSV."""
    rows, rounds = (PREDICTIONS // 10, 1) if quick else (PREDICTIONS, 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_predictions(folder / "small.csv", SMALL, 2)
        first = [record(folder, "-m", "ste.judge", "small.csv", only_first=True).times[0] for _ in range(rounds + 1)]
        yield absolute("judge", "first line on the terminal", "s", first[1:], START_TARGET)
        small = [run_command(folder, "judge", "small.csv")[0] for _ in range(rounds + 1)]
        yield absolute("judge", f"{SMALL} predictions, the whole command", "s", small[1:])
        for ending in ("csv",) if quick else ("csv", "parquet"):
            file = folder / f"predictions.{ending}"
            write_predictions(file, rows, TICKERS)
            reading = f"import pandas; pandas.read_{ending}('{file.name}')"
            runs = [partial(_judge, folder, file.name), partial(_read, folder, reading)]
            ours, pandas = in_turns(runs, rounds, warm_up=0)
            case = f"{rows:,} predictions, {ending}"
            seconds = [one[0] for one in ours]
            yield absolute("judge", case, "s", seconds, TIME_TARGET)
            yield absolute("judge", case, "GiB at the peak", [one[1] for one in ours], PEAK_TARGET)
            reference = [one[0] for one in pandas]
            name_of = "a process in which pandas reads the file"
            yield compare("judge", f"{case}, against reading alone", "s", seconds, reference, name_of, "less")


def write_predictions(file: Path, rows: int, tickers: int) -> None:
    """Write random probabilities of three classes with returns, a row for each session and ticker."""
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2010-01-04", periods=rows // tickers)
    names = [f"T{number:03d}" for number in range(tickers)]
    probs = rng.dirichlet([4.0, 4.0, 4.0], len(days) * tickers).round(6)
    frame = pd.DataFrame(probs, columns=["p_downtrend", "p_neutral", "p_uptrend"])
    frame.insert(0, "ticker", np.tile(names, len(days)))
    frame.insert(0, "date", np.repeat(days.to_numpy(), tickers))
    frame["return"] = rng.normal(0.0, 0.02, len(frame)).round(6)
    if file.suffix == ".parquet":
        frame.to_parquet(file, index=False)
    else:
        frame.to_csv(file, index=False)


def _judge(folder: Path, file: str) -> tuple[float, float]:
    """Return wall seconds and GiB at the peak of the command."""
    seconds, used, output = run_command(folder, "judge", file)
    if "not better than guessing" not in output:
        sys.exit(f"random predictions were judged as better:\n{output[-2000:]}")
    return seconds, used.ru_maxrss / 2**20


def _read(folder: Path, program: str) -> tuple[float, float]:
    """Return wall seconds of a program; its memory is not compared."""
    return command_seconds(folder, "-c", program), 0.0
