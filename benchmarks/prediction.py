"""Rows a second and peak memory of `python -m ste.predict`: `python -m benchmarks.prediction`.

Makes a weekly table of random rows that hold in a temporary folder, trains and exports a small LSTM unless a model is
given, runs the command on it as a process of its own, and prints what the kernel counted of that process.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ste.schema import FEATURES, KEYS

_AT_ONCE = 500_000
_TRAINING = ("model=lstm", "data.tickers=4", "trainer.max_epochs=1", "trainer.progress=false", "scoring.resamples=200")


def blocks(rows: int, tickers: int, order: str, seed: int = 0) -> Iterator[pa.Table]:
    """A weekly table in parts, every row within the schema.

    Args:
        rows: of all of it.
        tickers: each has a row in every week.
        order: `date` (all tickers of a week, then the next week) or `ticker`.
        seed: of the values.
    """
    rng = np.random.default_rng(seed)
    weeks = -(-rows // tickers)
    names = pa.array([f"T{k:05d}" for k in range(tickers)])
    for start in range(0, rows, _AT_ONCE):
        at = np.arange(start, min(start + _AT_ONCE, rows))
        week, ticker = divmod(at, tickers) if order == "date" else reversed(divmod(at, weeks))
        date = np.datetime64("1980-01-04") + 7 * week
        values = {name: rng.normal(0.0, 1.0, len(at)) for name in FEATURES}
        close = np.exp(rng.normal(4.0, 0.5, len(at)))
        width = np.abs(values["stock_high"]) * 0.02
        values["stock_high"], values["stock_low"] = close * (1 + width), close / (1 + width)
        for name in ("open", "close", "sma_20", "sma_50", "bb_upper", "bb_lower"):
            values[f"stock_{name}"] = close * np.exp(0.01 * values[f"stock_{name}"])
        values["stock_volume"] = np.exp(15.0 + values["stock_volume"])
        for name in ("stock_rsi", "macro_unemployment"):
            values[name] = rng.uniform(0.0, 100.0, len(at))
        for name in ("news_sentiment", "news_relevance"):
            values[name] = rng.uniform(0.0, 1.0, len(at))
        for name in ("news_count", "policy_event_count"):
            values[name] = rng.integers(0, 9, len(at)).astype(np.float64)
        for name in ("macro_vix", "policy_impact_score"):
            values[name] = np.abs(values[name])
        yield pa.table({"date": date.astype("datetime64[ms]"), "ticker": names.take(pa.array(ticker)), **values})


def write(parts: Iterator[pa.Table], path: Path) -> None:
    """Parquet with one row group for each part, or CSV."""
    if path.suffix == ".parquet":
        first = next(parts)
        with pq.ParquetWriter(path, first.schema) as writer:
            writer.write_table(first)
            for part in parts:
                writer.write_table(part)
        return
    with path.open("wb") as file:
        file.write((",".join((*KEYS, *FEATURES)) + "\n").encode())
        for part in parts:
            days = part.set_column(0, "date", part.column("date").cast(pa.date32()))
            pa.csv.write_csv(days, file, pa.csv.WriteOptions(include_header=False, quoting_style="none"))


def command(folder: Path, name: str, *arguments: str) -> tuple[float, resource.struct_rusage, str]:
    """Run a command of STE.

    Returns:
        Wall seconds, what the kernel counted, and what it printed.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-m", f"ste.{name}", *arguments], cwd=folder, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        out.seek(0)
        said = out.read().decode()
    if status:
        sys.exit(said)
    return seconds, used, said


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a file, predict from it, print one line for each format."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--tickers", type=int, default=5000)
    parser.add_argument("--order", default="date", choices=("date", "ticker"))
    parser.add_argument("--formats", nargs="+", default=["parquet", "csv"], choices=("parquet", "csv"))
    parser.add_argument("--model", type=Path, help="an ONNX file; otherwise an LSTM is trained for an epoch")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = given.model.absolute() if given.model else folder / "model.onnx"
        if not given.model:
            command(folder, "train", *_TRAINING)
            command(folder, "export", "run=latest", f"output={model}")
        print("format        rows  tickers  order   seconds  rows/s  CPU s  rows/CPU s  peak MiB")
        for ending in given.formats:
            table, output = folder / f"table.{ending}", folder / f"predictions.{ending}"
            write(blocks(given.rows, given.tickers, given.order), table)
            seconds, used, said = command(
                folder, "predict", f"model={model}", f"input={table}", f"output={output}", f"threads={given.threads}"
            )
            cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024  # kilobytes on Linux
            row = f"{ending:<8}{given.rows:>10,}{given.tickers:>9,}  {given.order:<6}{seconds:>9.1f}"
            print(f"{row}{given.rows / seconds:>8,.0f}{cpu:>7.1f}{given.rows / cpu:>12,.0f}{peak:>10,.0f}")
            print(f"  {said.splitlines()[0]}")
            table.unlink()
            output.unlink()


if __name__ == "__main__":
    main()
