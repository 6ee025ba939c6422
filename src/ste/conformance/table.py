"""The printed result of a component's checks."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ste.conformance.suite import Conformance
from ste.reporting.console import console as default_console

_STYLE = {"passed": "passed", "failed": "[bold red]FAILED[/]", "n/a": "[dim]n/a[/]"}


def print_conformance(result: Conformance, console: Console | None = None) -> None:
    """Print a line for each check, and how many passed."""
    console = console or default_console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(f"{result.kind} {result.name}")
    table.add_column("", no_wrap=True)
    table.add_column("found")
    for one in result.outcomes:
        note = escape(one.note)
        table.add_row(one.title, _STYLE[one.status], note if one.status == "failed" else f"[dim]{note}[/]")
    console.print(table)
    counts = {status: sum(one.status == status for one in result.outcomes) for status in _STYLE}
    not_applicable = f", {counts['n/a']} not applicable" if counts["n/a"] else ""
    console.print(f"{counts['passed']} passed, {counts['failed']} failed{not_applicable}\n", highlight=False)
