"""The benchmark's table in the terminal, as JSON and as a page, with the machine that it was measured on."""

import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import floor, log10
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measurement import Measurement
from ste.tracking.provenance import provenance

COLUMNS = ("case", "unit", "ours", "reference", "its value", "ratio", "target", "reached")
_NUMERIC = ("ours", "its value", "ratio", "target")


@dataclass(frozen=True)
class PartResult:
    """The result of one part.

    Attributes:
        name: of the part.
        measurements: in order.
        seconds: wall time of the part.
        load: the machine's one-minute load average before and after.
        error: the last lines of its standard error if it failed, else None.
    """

    name: str
    measurements: list[Measurement]
    seconds: float
    load: tuple[float, float]
    error: str | None = None


@dataclass(frozen=True)
class BenchmarkReport:
    """The results of a run of the benchmark.

    Attributes:
        machine: see `machine`.
        quick: whether it is the short run.
        parts: results so far.
        date: start, ISO, UTC.
    """

    machine: dict[str, Any]
    quick: bool
    parts: list[PartResult]
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def with_target(self) -> list[Measurement]:
        """Measurements that have a target."""
        return [one for part in self.parts for one in part.measurements if one.target is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON, with `reached` for each measurement."""
        out = asdict(self)
        for written, part in zip(out["parts"], self.parts, strict=True):
            for row, measurement in zip(written["measurements"], part.measurements, strict=True):
                row["reached"] = measurement.reached
        return out


def machine() -> dict[str, Any]:
    """Return processor, cores, memory in GiB, system, versions, commit and load average."""
    known = {key: value for key, value in provenance().items() if key != "machine.host"}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return known | {"machine.memory": round(memory, 1), "load": load_average()}


def load_average() -> float:
    """Return the one-minute load average."""
    return round(os.getloadavg()[0], 2)


def cells(row: Measurement) -> tuple[str, ...]:
    """Return a table row in the order of `COLUMNS`."""
    target = "-" if row.target is None else f"{'≥' if row.better == 'more' else '≤'} {_number(row.target)}"
    reached = {None: "", True: "yes", False: "no"}[row.reached]
    value = "-" if row.reference is None else _number(row.reference)
    return row.case, row.unit, _number(row.ours), row.reference_name, value, _ratio(row), target, reached


def _ratio(row: Measurement) -> str:
    if row.reference is None:
        return "-"
    return f"{row.ratio:.2f}" if row.ratio >= 0.1 else _number(row.ratio)


def _number(value: float) -> str:
    """Format with three significant digits; integers from 100 on."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - floor(log10(abs(value))))}f}"


def _notes(part: PartResult) -> list[str]:
    return list(dict.fromkeys(one.note for one in part.measurements if one.note))


def _empty(part: PartResult) -> str:
    return "it failed" if part.error else "nothing that this machine can measure"


def print_head(report: BenchmarkReport) -> None:
    """Print date and machine."""
    print(_head(report), flush=True)


def _head(report: BenchmarkReport) -> str:
    date, known = report.date.replace("T", " ").removesuffix("+00:00"), report.machine
    versions = ", ".join(
        f"{name} {known[f'version.{name}']}" for name in ("python", "torch", "lightning", "mlflow", "pandas", "numpy")
    )
    dirty = " with changes" if known["git.dirty"] == "true" else ""
    return (
        f"{date} UTC, {'quick, ' if report.quick else ''}{known['machine.cores']} cores of {known['machine.cpu']}, "
        f"{known['machine.memory']:.0f} GiB, {known['machine.system']}; load {known['load']:.1f} at the start. "
        f"{versions}; commit {known['git.commit'][:10]}{dirty}."
    )


def print_progress(row: Measurement, seconds: float) -> None:
    """Print a measurement in one line, with the seconds since its part started."""
    reference = "" if row.reference is None else f"; {_ratio(row)} of {row.reference_name}"
    print(f"  {seconds:4.0f} s  {row.part}: {row.case}: {_number(row.ours)} {row.unit}{reference}", flush=True)


def print_part(part: PartResult) -> None:
    """Print a part's table, or why there is none."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=160)
    title = f"{part.name}: {part.seconds:.0f} s, load {part.load[0]:.1f} to {part.load[1]:.1f}"
    if not part.measurements:
        console.print(f"[bold]{title}[/]: {_empty(part)}")
    else:
        table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, justify="right" if name in _NUMERIC else "left", no_wrap=name in _NUMERIC)
        for row in part.measurements:
            table.add_row(*cells(row), style={None: "", True: "green", False: "yellow"}[row.reached])
        console.print(table)
    for note in _notes(part):
        console.print(f"  {note}", style="dim", markup=False)
    if part.error:
        console.print(f"[bold red]{part.name} failed:[/]")
        console.print(part.error, markup=False)
    console.file.flush()


def print_summary(report: BenchmarkReport) -> None:
    """Print the number of targets that are reached, and the total time."""
    reached = sum(bool(row.reached) for row in report.with_target)
    seconds = sum(part.seconds for part in report.parts)
    Console(highlight=False).print(f"reached {reached} of {len(report.with_target)} targets in {seconds:.0f} s")


def markdown(report: BenchmarkReport) -> str:
    """Return the table as a page that states how it was made."""
    reached = sum(bool(row.reached) for row in report.with_target)
    command = "make bench-quick" if report.quick else "make bench"
    lines = ["# The last table of the benchmark", "", f"Printed by `{command}`. {_head(report)}", ""]
    lines += [f"Targets reached: {reached} of {len(report.with_target)}. What the rows mean: [speed.md](speed.md).", ""]
    for part in report.parts:
        lines += [f"## {part.name}", "", f"{part.seconds:.0f} s, load {part.load[0]:.1f} to {part.load[1]:.1f}.", ""]
        if part.measurements:
            ruler = [":---" if name not in _NUMERIC else "---:" for name in COLUMNS]
            rows = [COLUMNS, ruler, *(cells(row) for row in part.measurements)]
            lines += ["| " + " | ".join(row) + " |" for row in rows]
        else:
            lines.append(f"No measurements: {_empty(part)}.")
        notes = _notes(part)
        lines += ["", *(f"- {note}" for note in notes), ""] if notes else [""]
    return "\n".join(lines).rstrip() + "\n"
