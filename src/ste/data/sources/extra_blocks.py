"""The user's own columns of a market that is read in blocks of tickers."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

import pandas as pd

from ste.config.extra_settings import ExtraSettings
from ste.config.read_options import ReadOptions
from ste.data.sources.extra_files import read_extra_file
from ste.data.sources.extra_summary import ExtraReading
from ste.errors import DataError
from ste.market.extra_table import ExtraTable
from ste.market.read_summary import ReadSummary


class ExtraBlocks:
    """Own columns by name of their file, matched with the tickers of each block of bars.

    Args:
        tables: table and reading by name.
        summary: how they are understood, and what matched the bars, are added.
    """

    def __init__(self, tables: Mapping[str, tuple[ExtraTable, ExtraReading]], summary: ReadSummary) -> None:
        self._tables, self._summary = tables, summary

    @classmethod
    def from_files(cls, settings: ExtraSettings, options: ReadOptions, summary: ReadSummary) -> "ExtraBlocks":
        """Read the files that settings name.

        Raises:
            DataError: of a file.
        """
        lags = settings.extra_lag
        tables = {name: read_extra_file(name, path, lags.get(name), options) for name, path in settings.extra.items()}
        return cls(tables, summary)

    def of(self, bars: pd.DataFrame) -> dict[str, ExtraTable]:
        """Return the columns of the tickers of a block of bars, under the names that these have.

        Args:
            bars: `ticker` as text or as a category of the block's tickers.

        Raises:
            DataError: two tickers of a file mean the same one of the bars.
        """
        if not self._tables:
            return {}
        names = [str(name) for name in bars["ticker"].astype("category").cat.categories]
        out = {}
        for name, (table, reading) in self._tables.items():
            spelled = reading.spellings.match(names)
            _check_different(spelled, reading.kind)
            out[name] = table.renamed(spelled)
        return out

    def finish(self, tickers: list[str], last: Any) -> None:
        """Add to the summary, after the last block, how the files were understood and how many rows were used.

        Args:
            tickers: of all bars.
            last: date of the latest bar.
        """
        for _, reading in self._tables.values():
            side = reading.side(tickers, pd.Timestamp(last).to_datetime64())
            self._summary.side[reading.kind] = side
            if not side.matched:
                self._summary.state(
                    f"warning: {reading.kind}: no row belongs to the bars, so its columns have no value"
                )
            for statement in reading.statements():
                self._summary.state(statement)


def joined_extra(blocks: list[dict[str, ExtraTable]]) -> dict[str, ExtraTable]:
    """Return the own columns of all tickers of the blocks of one market."""
    return {name: reduce(ExtraTable.joined, [block[name] for block in blocks]) for name in blocks[0]}


def _check_different(spelled: Mapping[str, str], kind: str) -> None:
    meant: dict[str, str] = {}
    for name, ticker in sorted(spelled.items()):
        if ticker in meant:
            raise DataError(
                f"data.{kind}: the tickers {meant[ticker]} and {name} both mean {ticker} of the bars. Spell it as the "
                "bars do, in one way."
            )
        meant[ticker] = name
