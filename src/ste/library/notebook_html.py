"""HTML of tables and texts for notebooks."""

from collections.abc import Iterable
from html import escape

import pandas as pd


def html_table(frame: pd.DataFrame, caption: str = "") -> str:
    """Return a table; its index is the first column, and every cell is text.

    Args:
        frame: of texts.
        caption: above it.
    """
    head = "".join(f"<th>{escape(str(name))}</th>" for name in ["", *frame.columns])
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(str(name))}</th>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        + "</tr>"
        for name, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def html_list(lines: Iterable[str]) -> str:
    """Return a list of texts; empty where there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
