"""Tables larger than memory: cost of a row and peak memory of the commands.

A daily synthetic table in parts (`data.format=parts`) is built, trained on, scored and predicted from in several sizes.
Peaks are those of the commands that a user types, as the kernel counted them; pages of a mapped file that a process
touched count, although the kernel may take them back. The cost of a row in a command is a difference of two sizes of
the same command, which removes its start. `python -m benchmarks.scale --rows 1 25` measures other sizes, in millions of
rows.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.measurement import Measurement, absolute, compare, in_turns
from benchmarks.prediction import run_command
from benchmarks.report import cells
from ste.config.feature_sets import DEFAULT

SESSIONS = 5032
"""Sessions of the twenty years that the table spans."""

ROW_TARGET, PEAK_TARGET = 1.3, 6.0
"""Cost of a row against that of the smallest size, and GiB that a command takes."""

NETS = {"Dual Tower": ("dual_tower", (100, 900)), "LSTM": ("lstm", (5, 85))}
"""Net to its name in conf/model and the batches of a short and a long fit, whose difference is the cost of a window."""

_MINIMAL = 0.02  # millions of rows of a build that takes little more than its start
_TABLE = (
    *("data=world", "data.format=parts", "data.frequency=daily", "data.sequence_length=20"),
    *("data.start=2005-01-01", "data.end=2024-12-31"),
    *("data.split.validation_start=2021-01-01", "data.split.test_start=2023-01-01"),
)
_FIT = ("trainer.threads=1", "trainer.enable_progress_bar=false", "trainer.max_epochs=1", "data.batch_size=800")

WIDE = "alpha158"
"""Feature set of the table of many columns."""

_WIDE_FIT = ("model=lstm", "model.hidden_size=16", "model.num_layers=1", "data.batch_size=8192")


class CommandResult(NamedTuple):
    """Wall time, GiB at the peak, and output of a command."""

    seconds: float
    peak: float
    output: str


@dataclass(frozen=True)
class TableSize:
    """A table of the benchmark.

    Attributes:
        rows: of the table in millions, rounded to whole tickers.
        folder: where its commands run.
        features: name of its feature set.
    """

    rows: float
    folder: Path
    features: str = DEFAULT

    @property
    def name(self) -> str:
        """The size in words."""
        wide = "" if self.features == DEFAULT else f" of {self.features}"
        return f"{self.rows:g} million rows{wide}"

    @property
    def table(self) -> list[str]:
        """Overrides that choose the table."""
        tickers = max(1, round(self.rows * 1e6 / SESSIONS))
        return [*_TABLE, f"data.tickers={tickers}", f"features={self.features}"]

    @property
    def run(self) -> list[str]:
        """Overrides of a run on the table."""
        return [*self.table, *_FIT]

    def command(self, name: str, *arguments: str) -> CommandResult:
        """Run a command of STE in the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        seconds, used, output = run_command(self.folder, name, *arguments)
        return CommandResult(seconds, used.ru_maxrss / 2**20, output)  # kilobytes on Linux


def measure(quick: bool) -> Iterator[Measurement]:
    """Measure 1 and 5 million rows; quick: 0.2 and 1 million."""
    with tempfile.TemporaryDirectory() as name:
        sizes = [TableSize(rows, Path(name) / f"{rows:g}") for rows in ((0.2, 1.0) if quick else (1.0, 5.0))]
        yield from measure_sizes(sizes, 1 if quick else 3)
        yield from measure_wide(TableSize(0.2 if quick else 5.0, Path(name) / "wide", WIDE))


def measure_sizes(sizes: Sequence[TableSize], rounds: int) -> Iterator[Measurement]:
    """Measure these sizes; the first is the reference of the others."""
    small, large = sizes[0], sizes[-1]
    minimal = TableSize(_MINIMAL, small.folder.with_name("minimal"))
    start = minimal.command("generate", *minimal.table).seconds
    builds = [size.command("generate", *size.table) for size in sizes]
    yield absolute("scale", f"build, {large.name}", "GiB at the peak", [builds[-1].peak], PEAK_TARGET)
    costs = [(build.seconds - start) / size.rows for size, build in zip(sizes, builds, strict=True)]
    yield from _row_costs("build", sizes, costs)
    model = _export_model(small)
    predictions = [_predict(size, model) for size in sizes]
    yield absolute("scale", f"predict, {large.name}", "GiB at the peak", [predictions[-1][1].peak], PEAK_TARGET)
    yield from _row_costs("predict", sizes, [cost for cost, _ in predictions])
    fit = large.command("train", *large.run, "trainer.limit_train_batches=300", "model=dual_tower", "tracking=off")
    yield absolute("scale", f"train and score, {large.name}", "GiB at the peak", [fit.peak], PEAK_TARGET)
    for net in NETS:
        seconds = in_turns([partial(_window_cost, size, net) for size in sizes], rounds)
        yield from (
            compare("scale", f"train {net}, {size.name}", "µs a row", own, seconds[0], small.name, "less", ROW_TARGET)
            for size, own in zip(sizes[1:], seconds[1:], strict=True)
        )


def measure_wide(size: TableSize) -> Iterator[Measurement]:
    """Measure the peaks of a build and of an epoch with scores on a table of many columns."""
    build = size.command("generate", *size.table)
    yield absolute("scale", f"build, {size.name}", "GiB at the peak", [build.peak], PEAK_TARGET)
    fit = size.command("train", *size.run, *_WIDE_FIT, "tracking=off")
    yield absolute("scale", f"train an epoch and score, {size.name}", "GiB at the peak", [fit.peak], PEAK_TARGET)


def _row_costs(what: str, sizes: Sequence[TableSize], costs: Sequence[float]) -> Iterator[Measurement]:
    for size, cost in zip(sizes[1:], costs[1:], strict=True):
        case, note = f"{what}, {size.name}", "scale: build and predict are one command each, without its start"
        yield compare("scale", case, "µs a row", [cost], [costs[0]], sizes[0].name, "less", ROW_TARGET, note)


def _export_model(size: TableSize) -> Path:
    """Train a light net briefly and export it."""
    path = (size.folder / "model.onnx").absolute()
    short = ("scoring.max_rows=1000", "scoring.resamples=100", "trainer.limit_train_batches=20")
    size.command("train", *size.run, *short, "model=dual_tower")
    size.command("export", "run=latest", f"output={path}")
    return path


def _predict(size: TableSize, model: Path) -> tuple[float, CommandResult]:
    """Return microseconds a row without the start, and the prediction of the training rows."""
    output = (size.folder / "predictions.parquet").absolute()
    results = []
    for split in ("validation", "training"):
        table = next(size.folder.glob(f"data_output/*/{split}_data_*")).absolute()
        results.append(size.command("predict", f"model={model}", f"input={table}", f"output={output}"))
        output.unlink()
    few, many = (int(result.output.split()[1].replace(",", "")) for result in results)  # predicted 1,234 rows
    return (results[1].seconds - results[0].seconds) / (many - few) * 1e6, results[1]


def _window_cost(size: TableSize, net: str) -> float:
    """Return microseconds of training on one window, the difference of a long and a short fit in this process."""
    # Imported late: a command starts with its parent's memory in its peak.
    from benchmarks.fits import fit_seconds, open_data, settings_from

    model, batches = NETS[net]
    seconds = []
    for count in batches:
        chosen = (f"model={model}", f"trainer.limit_train_batches={count}", "scoring.max_rows=2000", "tracking=off")
        settings = settings_from([*size.run, *chosen, f"paths.data={(size.folder / 'data_output').absolute()}"])
        data = open_data(settings)
        data.panel.store.features.sum()  # maps every page before anything is timed
        seconds.append(fit_seconds(settings, data, size.folder, track=False))
    return (seconds[1] - seconds[0]) / ((batches[1] - batches[0]) * settings.data.batch_size) * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the measurements of any sizes, each as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=float, nargs="+", default=[1.0, 5.0], help="millions, the smallest first")
    parser.add_argument("--wide", type=float, default=None, help=f"measure only this many million rows of {WIDE}")
    parser.add_argument("--folder", type=Path, default=None, help="of the tables; default: a temporary one")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        rows = (
            measure_wide(TableSize(chosen.wide, Path(name), WIDE))
            if chosen.wide
            else measure_sizes([TableSize(rows, Path(name) / f"{rows:g}") for rows in chosen.rows], 3)
        )
        for row in rows:
            print("  ".join(cells(row)), flush=True)


if __name__ == "__main__":
    main()
