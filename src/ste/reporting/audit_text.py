"""What a person reads at the end of an audit."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ste.leakage.suite import Audit


def print_audit(report: Audit, console: Console | None = None) -> None:
    """One line per check, then every finding in words, then the notes and the end."""
    console = console or Console(highlight=False, width=None if Console().is_terminal else 100)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("seen")
    for outcome in report.outcomes:
        state = "[bold red]ALARM[/]" if outcome.findings else "passed" if outcome.ran else "[dim]-[/]"
        seen = escape(outcome.seen)
        if outcome.findings:
            seen = escape(", ".join(dict.fromkeys(found.where for found in outcome.findings)))
        table.add_row(outcome.check, state, seen if outcome.findings else f"[dim]{seen}[/]")
    console.print(table)
    for number, found in enumerate(report.findings, 1):
        console.print(f"\n[bold red]{number}. {found.check}: {escape(found.where)}[/]")
        for word, text in (("seen", found.seen), ("expected", found.expected), ("next", found.mend)):
            grid = Table.grid(padding=(0, 2))
            grid.add_column(width=8, style="dim")
            grid.add_column()
            grid.add_row(word, escape(text))
            console.print(grid)
    notes = [note for outcome in report.outcomes for note in outcome.notes]
    if notes:
        console.print()
    for note in notes:
        console.print(f"[dim]note: {escape(note)}[/]")
    console.print(f"\n{escape(report.source)}, digest {report.digest}", soft_wrap=True)
    ran = sum(outcome.ran for outcome in report.outcomes)
    count = len(report.findings)
    if count:
        alarms = f"{count} alarm{'s' * (count > 1)}"
        console.print(f"[bold red]{alarms}[/]: trust no score on these data before this is explained")
    else:
        console.print(f"no alarm in {ran} checks; other leaks than these are not ruled out")
