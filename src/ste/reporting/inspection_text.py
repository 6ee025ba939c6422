"""Print the health and coverage of a market's bars, for a terminal of 80 columns."""

import numpy as np
import pandas as pd
from rich.text import Text

from ste.config.progress import wrapped
from ste.data.inspection import Inspection
from ste.reporting.console import console, plain_table

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 60
_WEEK = 7


def print_inspection(inspection: Inspection, most: int) -> None:
    """Print the summary, the tickers with the most to look at, and how many tickers have bars over time.

    Args:
        inspection: of a market.
        most: tickers in the table.
    """
    out = console()
    for note in inspection.summary.notes():
        out.print(Text(wrapped(note, 2)), soft_wrap=True)
    out.print()
    _print_health(inspection.health, most)
    _print_coverage(inspection.coverage)


def _print_health(health: pd.DataFrame, most: int) -> None:
    out = console()
    columns = ("bars", "first", "last", "days missing", "no trades", "largest move")
    table = plain_table("ticker", *columns, numbers=("bars", "days missing", "no trades", "largest move"))
    worst = health.assign(worth=health["missing"] + health["untraded"]).sort_values(
        ["worth", "move"], ascending=False, kind="stable"
    )
    for row in worst.head(most).itertuples():
        table.add_row(
            str(row.ticker),
            f"{row.bars:,}",
            f"{row.first:%Y-%m-%d}",
            f"{row.last:%Y-%m-%d}",
            f"{row.missing:,}",
            f"{row.untraded:,}",
            f"{row.move:.0%}".replace("%", " %"),
        )
    out.print(table)
    if len(health) > most:
        out.print(f"and {len(health) - most:,} more tickers; tickers={len(health)} shows all", style="dim")
    out.print()


def _print_coverage(coverage: pd.Series) -> None:
    """Print a chart of the mean number of tickers with a bar, a column for each of equal spans of days."""
    out = console()
    days = coverage.index.to_numpy().astype("datetime64[D]").astype(np.int64)
    columns = int(np.clip((days[-1] - days[0]) // _WEEK, 1, _COLUMNS))  # every span has a session
    edges = np.linspace(days[0], days[-1] + 1, columns + 1)
    at = np.minimum(np.searchsorted(edges, days, side="right") - 1, columns - 1)
    sums = np.bincount(at, weights=coverage.to_numpy(), minlength=columns)
    mean = sums / np.maximum(np.bincount(at, minlength=columns), 1)
    top = coverage.max()
    chart = "".join(_BLOCKS[int(np.ceil(value / top * 8))] for value in mean)
    out.print("tickers with bars, at most " + f"{top:,}", style="bold")
    out.print(Text(chart), no_wrap=True)
    first, last = (f"{coverage.index[row]:%Y-%m}" for row in (0, -1))
    out.print(Text(first + " " * max(columns - len(first) - len(last), 1) + last, "dim"), no_wrap=True)
