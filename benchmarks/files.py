"""Reading a folder of one file for each ticker, against Polars scanning and sorting the same folder.

Each reading runs in a process of its own, which reports its wall time after the imports and its peak memory. STE reads,
checks and adjusts every bar, in blocks of tickers; Polars parses the files and sorts the rows by file and date.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measurement import Measurement, absolute, compare, in_turns
from ste.market.calendar import NEW_YORK

TIME_TARGET, PEAK_TARGET = 2.0, 4.0
"""Wall time against that of Polars, and GiB at the peak."""

FILES, ROWS = 5000, 5000
_TEMPLATES = 20

_OURS = """
from ste.config import MarketSettings
from ste.data.sources.market_files import market_blocks
settings = MarketSettings(source="market", bars=folder)
start = time.perf_counter()
rows = sum(len(market.bars) for market in market_blocks(settings, 1 << 19))
"""
_POLARS = """
import polars
start = time.perf_counter()
scan = polars.scan_csv(f"{folder}/*.csv", include_file_paths="file", try_parse_dates=True)
rows = scan.sort("file", "Date").collect().height
"""
_PROGRAM = """
import json, resource, sys, time
folder = sys.argv[1]
{reading}
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([rows, seconds, peak]))
"""


def measure(quick: bool) -> Iterator[Measurement]:
    """Measure 5,000 files of 5,000 rows; quick: 500 files."""
    files = FILES // 10 if quick else FILES
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), files)
        readings = [partial(_read, program, name, files) for program in (_OURS, _POLARS)]
        ours, polars = in_turns(readings, 1 if quick else 3)
    case = f"{files:,} files of {ROWS:,} rows"
    own, reference = ([seconds for seconds, _ in each] for each in (ours, polars))
    yield compare("files", f"read {case}", "s", own, reference, "Polars, scan and sort", "less", TIME_TARGET)
    yield absolute("files", f"read {case}", "GiB at the peak", [peak for _, peak in ours], PEAK_TARGET)


def write_folder(folder: Path, files: int) -> None:
    """Write a folder of files with `ROWS` sessions each; the prices repeat every few files."""
    rng = np.random.default_rng(0)
    days = NEW_YORK.sessions(pd.Timestamp("2000-01-03"), pd.Timestamp("2024-12-31"))[:ROWS]
    templates = []
    for _ in range(_TEMPLATES):
        close = np.round(50 * np.exp(np.cumsum(rng.normal(0, 0.01, ROWS))), 2) + 1
        opened = np.round(close * (1 + rng.normal(0, 0.005, ROWS)), 2)
        high, low = np.round(np.maximum(opened, close) * 1.01, 2), np.round(np.minimum(opened, close) * 0.99, 2)
        prices = {"Open": opened, "High": high, "Low": low, "Close": close}
        volume = rng.integers(100_000, 9_000_000, ROWS)
        frame = pd.DataFrame({"Date": days.strftime("%Y-%m-%d"), **prices, "Volume": volume})
        templates.append(frame.to_csv(index=False))
    for number in range(files):
        (folder / f"T{number:04d}.csv").write_text(templates[number % _TEMPLATES])


def _read(program: str, folder: str, files: int) -> tuple[float, float]:
    """Return wall seconds and GiB at the peak of one reading."""
    command = [sys.executable, "-c", _PROGRAM.format(reading=program), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    rows, seconds, peak = json.loads(done.stdout)
    if rows != files * ROWS:
        sys.exit(f"read {rows:,} rows instead of {files * ROWS:,}")
    return seconds, peak
