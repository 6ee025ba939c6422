"""Print the data card of a table folder."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_card(card: dict[str, Any], folder: Path, reused: bool) -> None:
    """Print the splits, notes and digest of a table folder.

    Args:
        card: content of the data card.
        folder: of the tables.
        reused: whether the tables existed already.
    """
    console = Console(soft_wrap=True, highlight=False, width=None if Console().is_terminal else 140)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("split", "rows", "periods", "first", "last", "down, neutral, up", "file"):
        table.add_column(name, justify="right" if name in ("rows", "periods") else "left")
    for split, entry in card["files"].items():
        classes = ", ".join(str(count) for count in entry["classes"].values())
        table.add_row(
            split, f"{entry['rows']:,}", f"{entry['periods']:,}", entry["first"], entry["last"], classes, entry["file"]
        )
    console.print(table)
    for note in card["notes"]:
        console.print(note, style="dim", markup=False)
    console.print(f"{'already in' if reused else 'written to'} {folder}, digest {card['digest']}", markup=False)
