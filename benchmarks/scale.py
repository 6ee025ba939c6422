"""What a row costs in a table larger than memory, and how much memory its commands take: part `scale`.

A world of daily rows in parts (`data.format=parts`) is built, trained on, scored and predicted from in several
sizes. Peaks are of the commands that a person types, as the kernel counted them: pages of a mapped file that a
process touched count, though the kernel may take those back. A command's start is taken out of what a row costs as
the difference of two sizes of the same command; training and scoring are measured in one process, in turns with
the smallest size. `python -m benchmarks.scale --rows 1 25` gives the figures of other sizes, in millions of rows.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import Figure, compared, interleaved
from benchmarks.prediction import command
from benchmarks.report import cells

SESSIONS = 5032
"""Of the twenty years that the world spans."""

FLAT, PEAK = 1.3, 6.0
"""Targets: what a row costs against the smallest size, and GiB that a command takes."""

_START = 0.02  # millions of rows of a build that takes little but its start
_WORLD = (
    *("data=world", "data.format=parts", "data.frequency=daily", "data.sequence_length=20"),
    *("data.start=2005-01-01", "data.end=2024-12-31"),
    *("data.split.validation_start=2021-01-01", "data.split.test_start=2023-01-01"),
)
_FIT = ("trainer.threads=1", "trainer.progress=false", "trainer.max_epochs=1")
_NOTE = "one command each, start taken out"


class Done(NamedTuple):
    """A command that ended: its seconds, GiB at its peak and what it printed."""

    seconds: float
    peak: float
    said: str


@dataclass(frozen=True)
class Size:
    """A table of the benchmark.

    Attributes:
        rows: of the table, in millions, as far as whole tickers go.
        folder: where its commands run.
        batch: training windows in a batch.
    """

    rows: float
    folder: Path
    batch: int = 800

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.rows:g} million rows"

    @property
    def world(self) -> list[str]:
        """Overrides that choose the table."""
        return [*_WORLD, f"data.tickers={max(1, round(self.rows * 1e6 / SESSIONS))}"]

    @property
    def run(self) -> list[str]:
        """Overrides of a run on it."""
        return [*self.world, *_FIT, f"data.batch_size={self.batch}"]

    @property
    def inside(self) -> list[str]:
        """The same from within this process."""
        return [*self.run, f"paths.data={(self.folder / 'data_output').absolute()}"]

    def command(self, name: str, *arguments: str) -> Done:
        """Run a command of STE in the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        seconds, used, said = command(self.folder, name, *arguments)
        return Done(seconds, used.ru_maxrss / 2**20, said)  # kilobytes on Linux


def figures(quick: bool) -> Iterator[Figure]:
    """Of 1 and 5 million rows; quick of 0.2 and 1, and of building and training alone."""
    with tempfile.TemporaryDirectory() as name:
        sizes, batch = ((0.2, 1.0), 160) if quick else ((1.0, 5.0), 800)
        yield from measured([Size(rows, Path(name) / f"{rows:g}", batch) for rows in sizes], 2 if quick else 3, quick)


def measured(sizes: Sequence[Size], rounds: int, quick: bool = False) -> Iterator[Figure]:
    """The figures of these sizes, the first of which is the yardstick of the others."""
    built = [size.command("generate", *size.world) for size in sizes]
    yield _peak("build", sizes[-1], built[-1])
    if not quick:
        tiny = Size(_START, sizes[0].folder.with_name("start"))
        start, *_ = tiny.command("generate", *tiny.world)
        costs = [(taken - start) / size.rows for size, (taken, *_) in zip(sizes, built, strict=True)]
        yield from _costs("build", sizes, costs)
        model = _model(sizes[0])
        told = [_predicted(size, model) for size in sizes]
        yield _peak("predict", sizes[-1], told[-1][1])
        yield from _costs("predict", sizes, [cost for cost, _ in told])
        few = ("trainer.limit_batches=300", "model=dual_tower", "tracking=off")
        yield _peak("train and score", sizes[-1], sizes[-1].command("train", *sizes[-1].run, *few))
    yield from _in_turns(sizes, rounds, quick)


def _in_turns(sizes: Sequence[Size], rounds: int, quick: bool) -> Iterator[Figure]:
    """Training and scoring, each size in turns with the first."""
    # Last, and imported now: a process begins with its parent's memory in its peak.
    from benchmarks.scale_rows import NETS, MappedRows

    small, *others = [MappedRows(size.inside) for size in sizes]
    for size, other in zip(sizes[1:], others, strict=True):
        for net in [*NETS][: 1 if quick else None]:
            found = interleaved(partial(other.window, net), partial(small.window, net), rounds)
            yield _compared(f"train {net}", size, sizes[0], found, "a longer fit less a shorter one")
        if not quick:
            found = interleaved(other.example, small.example, rounds)
            yield _compared("score", size, sizes[0], found, "a sample of whole tickers, with its baselines")


def _costs(what: str, sizes: Sequence[Size], costs: Sequence[float]) -> Iterator[Figure]:
    """Of each size against the first; microseconds a row."""
    for size, cost in zip(sizes[1:], costs[1:], strict=True):
        yield Figure(
            *("scale", f"{what}, {size.name}", "µs a row", cost, costs[0], f"of {sizes[0].name}", cost / costs[0]),
            *("less", FLAT, _NOTE),
        )


def _peak(what: str, size: Size, done: Done) -> Figure:
    return Figure("scale", f"{what}, {size.name}", "GiB at its peak", done.peak, None, "", done.peak, "less", PEAK)


def _compared(what: str, size: Size, small: Size, found: Any, note: str) -> Figure:
    # A table of less than a million rows lies in the processor's own memory: no measure of a large one.
    target = FLAT if small.rows >= 1 else None
    return compared("scale", f"{what}, {size.name}", "µs a row", found, f"of {small.name}", "less", target, note)


def _model(size: Size) -> Path:
    """A light net that has seen little, as a file."""
    path = (size.folder / "model.onnx").absolute()
    few = ("scoring.most_rows=1000", "scoring.resamples=100", "trainer.limit_batches=20")
    size.command("train", *size.run, *few, "model=dual_tower")
    size.command("export", "run=latest", f"output={path}")
    return path


def _predicted(size: Size, model: Path) -> tuple[float, Done]:
    """Microseconds a row, the start taken out, and the prediction of the training rows."""
    output = (size.folder / "predictions.parquet").absolute()
    done = []
    for split in ("validation", "training"):
        table = next(size.folder.glob(f"data_output/*/{split}_data_*")).absolute()
        done.append(size.command("predict", f"model={model}", f"input={table}", f"output={output}"))
        output.unlink()
    few, many = (int(one.said.split()[1].replace(",", "")) for one in done)  # predicted 1,234 rows
    return (done[1].seconds - done[0].seconds) / (many - few) * 1e6, done[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of any sizes, each as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=float, nargs="+", default=[1.0, 5.0], help="millions, the smallest first")
    parser.add_argument("--folder", type=Path, default=None, help="of the tables; null is a temporary one")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        for figure in measured([Size(rows, Path(name) / f"{rows:g}") for rows in given.rows], 3):
            print("  ".join(cells(figure)), flush=True)


if __name__ == "__main__":
    main()
