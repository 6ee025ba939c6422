"""Positions to take, as a file that a spreadsheet or a broker's upload reads."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ste.data.storage.files import atomic_file
from ste.evaluation.portfolio.rules import SAME_CLOSE
from ste.market.calendar import TradingCalendar

FILE_NAME = "positions.csv"
"""Name of the file in a run's folder."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Starts of a cell that a spreadsheet would compute."""


def write_positions(
    path: Path,
    weights: Mapping[str, float],
    as_of: str,
    execution: str,
    calendar: TradingCalendar,
    prices: Mapping[str, float] | None = None,
    capital: float | None = None,
) -> int:
    """Write a CSV file of `as_of`, `ticker`, `weight`, `enter_on`, `at` and, with a capital, `price` and `shares`.

    The largest weight is first. Shares are whole, rounded towards 0; they are empty where the price is not known. A
    ticker that a spreadsheet would read as a formula has an apostrophe before it.

    Args:
        path: of the file.
        weights: fractions of the equity by ticker, negative ones are short; those of 0 are left out.
        as_of: ISO date of the close that the predictions are made at.
        execution: of `rules.EXECUTIONS`.
        calendar: of the sessions.
        prices: last price by ticker, dollars.
        capital: equity, dollars; None leaves out price and shares.

    Returns:
        Number of positions whose price is not known.
    """
    enter_on, at = as_of, "close"
    if execution != SAME_CLOSE:
        day = np.array([as_of], dtype="datetime64[D]") + 1
        enter_on, at = str(calendar.next_sessions(day)[0]), execution.removeprefix("next_")
    held = sorted((item for item in weights.items() if item[1] != 0.0), key=lambda item: (-item[1], item[0]))
    unknown = 0
    with atomic_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        sized = ["price", "shares"] if capital is not None else []
        writer.writerow(["as_of", "ticker", "weight", "enter_on", "at", *sized])
        for ticker, weight in held:
            row = [as_of, _cell(ticker), f"{weight:.8f}", enter_on, at]
            if capital is not None:
                price = (prices or {}).get(ticker)
                unknown += price is None
                row += ["", ""] if price is None else [f"{price:.10g}", str(int(weight * capital / price))]
            writer.writerow(row)
    return unknown


def _cell(ticker: str) -> str:
    return f"'{ticker}" if ticker.startswith(_FORMULA) else ticker
