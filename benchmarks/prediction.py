"""Rows a second and peak memory of `python -m ste.predict`: `python -m benchmarks.prediction`.

Writes a weekly table of random valid rows, trains and exports a small LSTM unless a model is given, runs the command,
and prints time and memory as the kernel counted them.
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

from ste.config.feature_sets import DEFAULT, load_feature_set
from ste.schema import KEYS

FEATURES = load_feature_set(DEFAULT).names

_BLOCK_ROWS = 500_000
_TRAINING = (
    "model=lstm",
    "data.tickers=4",
    "trainer.max_epochs=1",
    "trainer.enable_progress_bar=false",
    "scoring.resamples=200",
)


def random_blocks(rows: int, tickers: int, order: str, seed: int = 0) -> Iterator[pa.Table]:
    """Yield a weekly table of random valid rows in blocks.

    Args:
        rows: of the whole table.
        tickers: number of tickers; each has a row in every week.
        order: `date` (all tickers of a week, then the next week) or `ticker`.
        seed: of the random values.
    """
    rng = np.random.default_rng(seed)
    weeks = -(-rows // tickers)
    names = pa.array([f"T{k:05d}" for k in range(tickers)])
    for start in range(0, rows, _BLOCK_ROWS):
        index = np.arange(start, min(start + _BLOCK_ROWS, rows))
        week, ticker = divmod(index, tickers) if order == "date" else reversed(divmod(index, weeks))
        date = np.datetime64("1980-01-04") + 7 * week
        values = {name: rng.normal(0.0, 1.0, len(index)) for name in FEATURES}
        close = np.exp(rng.normal(4.0, 0.5, len(index)))
        width = np.abs(values["stock_high"]) * 0.02
        values["stock_high"], values["stock_low"] = close * (1 + width), close / (1 + width)
        for name in ("open", "close", "sma_20", "sma_50", "bb_upper", "bb_lower"):
            values[f"stock_{name}"] = close * np.exp(0.01 * values[f"stock_{name}"])
        values["stock_volume"] = np.exp(15.0 + values["stock_volume"])
        for name in ("stock_rsi", "macro_unemployment"):
            values[name] = rng.uniform(0.0, 100.0, len(index))
        for name in ("news_sentiment", "news_relevance"):
            values[name] = rng.uniform(0.0, 1.0, len(index))
        for name in ("news_count", "policy_event_count"):
            values[name] = rng.integers(0, 9, len(index)).astype(np.float64)
        for name in ("macro_vix", "policy_impact_score"):
            values[name] = np.abs(values[name])
        yield pa.table({"date": date.astype("datetime64[ms]"), "ticker": names.take(pa.array(ticker)), **values})


def write_table(blocks: Iterator[pa.Table], path: Path) -> None:
    """Write a table as Parquet with one row group for each block, or as CSV."""
    if path.suffix == ".parquet":
        first = next(blocks)
        with pq.ParquetWriter(path, first.schema) as writer:
            writer.write_table(first)
            for block in blocks:
                writer.write_table(block)
        return
    with path.open("wb") as file:
        file.write((",".join((*KEYS, *FEATURES)) + "\n").encode())
        for block in blocks:
            days = block.set_column(0, "date", block.column("date").cast(pa.date32()))
            pa.csv.write_csv(days, file, pa.csv.WriteOptions(include_header=False, quoting_style="none"))


def run_command(folder: Path, name: str, *arguments: str) -> tuple[float, resource.struct_rusage, str]:
    """Run a command of STE.

    Returns:
        Wall seconds, resource usage, and output.

    Raises:
        SystemExit: the command failed; the message is its output.
    """
    start_time = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-m", f"ste.{name}", *arguments], cwd=folder, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start_time
        out.seek(0)
        output = out.read().decode()
    if status:
        sys.exit(output)
    return seconds, used, output


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a table, predict from it, print one line for each format."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--tickers", type=int, default=5000)
    parser.add_argument("--order", default="date", choices=("date", "ticker"))
    parser.add_argument("--formats", nargs="+", default=["parquet", "csv"], choices=("parquet", "csv"))
    parser.add_argument("--model", type=Path, help="an ONNX file; otherwise an LSTM is trained for an epoch")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = chosen.model.absolute() if chosen.model else folder / "model.onnx"
        if not chosen.model:
            run_command(folder, "train", *_TRAINING)
            run_command(folder, "export", "run=latest", f"output={model}")
        print("format        rows  tickers  order   seconds  rows/s  CPU s  rows/CPU s  peak MiB")
        for ending in chosen.formats:
            table, output = folder / f"table.{ending}", folder / f"predictions.{ending}"
            write_table(random_blocks(chosen.rows, chosen.tickers, chosen.order), table)
            seconds, used, printed = run_command(
                folder, "predict", f"model={model}", f"input={table}", f"output={output}", f"threads={chosen.threads}"
            )
            cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024  # kilobytes on Linux
            row = f"{ending:<8}{chosen.rows:>10,}{chosen.tickers:>9,}  {chosen.order:<6}{seconds:>9.1f}"
            print(f"{row}{chosen.rows / seconds:>8,.0f}{cpu:>7.1f}{chosen.rows / cpu:>12,.0f}{peak:>10,.0f}")
            print(f"  {printed.splitlines()[0]}")
            table.unlink()
            output.unlink()


if __name__ == "__main__":
    main()
