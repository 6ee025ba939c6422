"""The benchmark's table: in the terminal, as JSON, as a page; with the machine that it was measured on."""

import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import floor, log10
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from ste.tracking.provenance import provenance

COLUMNS = ("what", "of what", "ours", "yardstick", "its value", "ratio", "to reach", "reached")
_RIGHT = ("ours", "its value", "ratio", "to reach")


@dataclass(frozen=True)
class Part:
    """What came of one part.

    Attributes:
        name: of the part.
        figures: in order.
        seconds: that it took.
        load: the machine's load average of a minute, before and after.
        fault: the end of what it said if it broke, else None.
    """

    name: str
    figures: list[Figure]
    seconds: float
    load: tuple[float, float]
    fault: str | None = None


@dataclass(frozen=True)
class Report:
    """A run of the benchmark.

    Attributes:
        machine: see `machine`.
        quick: whether it was the short one.
        parts: so far.
        date: of its beginning, ISO, UTC.
    """

    machine: dict[str, Any]
    quick: bool
    parts: list[Part]
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def judged(self) -> list[Figure]:
        """Figures that have something to reach."""
        return [figure for part in self.parts for figure in part.figures if figure.target is not None]

    def plain(self) -> dict[str, Any]:
        """Everything, for JSON."""
        out = asdict(self)
        for part, kept in zip(out["parts"], self.parts, strict=True):
            for row, figure in zip(part["figures"], kept.figures, strict=True):
                row["reached"] = figure.reached
        return out


def machine() -> dict[str, Any]:
    """Processor, cores, memory in GiB, system, versions, commit, and the load average of the last minute."""
    known = {
        key: value for key, value in provenance().items() if key not in ("machine.host", "mlflow.source.git.commit")
    }
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return known | {"machine.memory": round(memory, 1), "load": load()}


def load() -> float:
    """Processes that ran or waited to run in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def cells(figure: Figure) -> tuple[str, ...]:
    """A row of the table, as `COLUMNS` says."""
    target = "-" if figure.target is None else f"{'≥' if figure.better == 'more' else '≤'} {_number(figure.target)}"
    reached = {None: "", True: "yes", False: "no"}[figure.reached]
    value = "-" if figure.yardstick is None else _number(figure.yardstick)
    ratio = "-" if figure.yardstick is None else f"{figure.ratio:.2f}" if figure.ratio >= 0.1 else _number(figure.ratio)
    return figure.case, figure.measure, _number(figure.ours), figure.against, value, ratio, target, reached


def _number(value: float) -> str:
    """Three digits that say something; whole numbers from a hundred on."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - floor(log10(abs(value))))}f}"


def _notes(part: Part) -> list[str]:
    """What a reader has to know besides, each once."""
    return list(dict.fromkeys(figure.note for figure in part.figures if figure.note))


def _empty(part: Part) -> str:
    return "it broke" if part.fault else "nothing that this machine could measure"


def print_head(report: Report) -> None:
    """Date and machine."""
    Console(highlight=False).print(_head(report))


def _head(report: Report) -> str:
    at, known = report.date.replace("T", " ").removesuffix("+00:00"), report.machine
    versions = ", ".join(
        f"{name} {known[f'version.{name}']}" for name in ("python", "torch", "lightning", "mlflow", "pandas", "numpy")
    )
    dirty = " with changes" if known["git.dirty"] == "true" else ""
    return (
        f"{at} UTC, {'quick, ' if report.quick else ''}{known['machine.cores']} cores of {known['machine.cpu']}, "
        f"{known['machine.memory']:.0f} GiB, {known['machine.system']}; load {known['load']:.1f} at the start. "
        f"{versions}; commit {known['git.commit'][:10]}{dirty}."
    )


def print_part(part: Part) -> None:
    """A part's table, or why there is none."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=160)
    title = f"{part.name}: {part.seconds:.0f} s, load {part.load[0]:.1f} to {part.load[1]:.1f}"
    if not part.figures:
        console.print(f"[bold]{title}[/]: {_empty(part)}")
    else:
        table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=name in _RIGHT)
        for figure in part.figures:
            style = {None: "", True: "green", False: "yellow"}[figure.reached]
            table.add_row(*cells(figure), style=style)
        console.print(table)
    for note in _notes(part):
        console.print(f"  {note}", style="dim", markup=False)
    if part.fault:
        console.print(f"[bold red]{part.name} broke:[/]")
        console.print(part.fault, markup=False)


def print_summary(report: Report) -> None:
    """How much was reached, and how long it took."""
    reached = sum(bool(figure.reached) for figure in report.judged)
    seconds = sum(part.seconds for part in report.parts)
    Console(highlight=False).print(f"reached {reached} of {len(report.judged)} in {seconds:.0f} s")


def markdown(report: Report) -> str:
    """The table as a page that says itself how it was made."""
    reached = sum(bool(figure.reached) for figure in report.judged)
    command = "make bench-quick" if report.quick else "make bench"
    lines = ["# The last table of the benchmark", "", f"Printed by `{command}`. {_head(report)}", ""]
    lines += [f"Reached: {reached} of {len(report.judged)}. What the rows mean: [speed.md](speed.md).", ""]
    for part in report.parts:
        lines += [f"## {part.name}", "", f"{part.seconds:.0f} s, load {part.load[0]:.1f} to {part.load[1]:.1f}.", ""]
        if part.figures:
            ruler = [":---" if name not in _RIGHT else "---:" for name in COLUMNS]
            rows = [COLUMNS, ruler, *(cells(figure) for figure in part.figures)]
            lines += ["| " + " | ".join(row) + " |" for row in rows]
        else:
            lines.append(f"No figures: {_empty(part)}.")
        notes = _notes(part)
        lines += ["", *(f"- {note}" for note in notes), ""] if notes else [""]
    return "\n".join(lines).rstrip() + "\n"
