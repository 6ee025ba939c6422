"""The printed report of an audit."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ste.leakage.suite import Audit
from ste.reporting.console import console as default_console


def print_audit(report: Audit, console: Console | None = None) -> None:
    """Print one line per check, then every alarm, the notes and a summary."""
    console = console or default_console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("seen")
    for result in report.results:
        state = "[bold red]ALARM[/]" if result.alarms else "passed" if result.ran else "[dim]-[/]"
        seen = escape(result.seen)
        if result.alarms:
            seen = escape(", ".join(dict.fromkeys(alarm.where for alarm in result.alarms)))
        table.add_row(result.check, state, seen if result.alarms else f"[dim]{seen}[/]")
    console.print(table)
    for number, alarm in enumerate(report.alarms, 1):
        console.print(f"\n[bold red]{number}. {alarm.check}: {escape(alarm.where)}[/]")
        for word, text in (("seen", alarm.seen), ("expected", alarm.expected), ("next", alarm.fix)):
            grid = Table.grid(padding=(0, 2))
            grid.add_column(width=8, style="dim")
            grid.add_column()
            grid.add_row(word, escape(text))
            console.print(grid)
    if report.notes:
        console.print()
    for note in report.notes:
        console.print(f"[dim]note: {escape(note)}[/]")
    console.print(f"\n{escape(report.source)}, digest {report.digest}", soft_wrap=True)
    for line in report.summary:
        console.print(f"[dim]{escape(line)}[/]")
    first, colon, rest = report.conclusion.partition(": ")
    console.print(f"[bold red]{first}[/]{colon}{rest}" if report.alarms else report.conclusion)
