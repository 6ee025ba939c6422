"""Print the data card of a table folder, for a terminal of 80 columns."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ste.schema import PERIOD


def print_card(card: dict[str, Any], folder: Path, reused: bool) -> None:
    """Print the splits, notes, files and digest of a table folder.

    Args:
        card: content of the data card.
        folder: of the tables.
        reused: whether the tables existed already.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    numbers = ("rows", f"{PERIOD[card['frequency']]}s", *(name.capitalize() for name in card["classes"]))
    for name in ("split", *numbers[:2], "first", "last", *numbers[2:]):
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True)
    for split, entry in card["files"].items():
        classes = (f"{count:,}" for count in entry["classes"].values())
        rows = (f"{entry['rows']:,}", f"{entry['periods']:,}")
        table.add_row(split, *rows, entry["first"], entry["last"], *classes)
    console.print(table)
    for note in card["notes"]:
        console.print(note, style="dim")
    console.print(f"{'Already in' if reused else 'Written to'} {folder}, digest {card['digest']}:")
    for entry in card["files"].values():
        console.print(f"  {entry['file']}")
