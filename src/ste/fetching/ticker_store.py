"""Fetched bars and actions on disk: a part for each ticker, and the two files that are made of all parts.

A part is replaced as a whole, so that an interrupted call leaves each ticker as it was or complete.
"""

from pathlib import Path
from urllib.parse import quote, unquote

import pandas as pd

from ste.config.header_check import check_columns
from ste.data.storage.files import write_frame
from ste.errors import ConfigError
from ste.schema import ADJUSTED_CLOSE

BAR_COLUMNS = ("date", "open", "high", "low", "close", ADJUSTED_CLOSE.name, "volume")
ACTION_COLUMNS = ("dividend", "split")
PARTS = "parts"


class TickerStore:
    """Bars and actions of tickers in a folder.

    Args:
        folder: of `bars.csv`, `actions.csv` and `parts`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bars, self.actions = folder / "bars.csv", folder / "actions.csv"

    def check(self) -> None:
        """Raise `ConfigError` where the folder has bars or actions of another origin: they would be replaced."""
        foreign = [path for path in (self.bars, self.actions) if path.is_file() and not (self.folder / PARTS).is_dir()]
        if foreign:
            raise ConfigError(
                f"folder={self.folder}: {foreign[0]} was not written by ste.fetch and would be "
                "replaced. Try folder=bars."
            )

    def read(self, ticker: str) -> pd.DataFrame | None:
        """Return the rows of a ticker, `BAR_COLUMNS` and `ACTION_COLUMNS`; None where there are none."""
        path = self._part(ticker)
        return _read(path) if path.is_file() else None

    def write(self, ticker: str, frame: pd.DataFrame) -> None:
        """Replace the rows of a ticker."""
        write_frame(frame[[*BAR_COLUMNS, *ACTION_COLUMNS]], self._part(ticker))

    def combine(self) -> int:
        """Write `bars.csv` and `actions.csv` of all parts, and return the number of tickers; none writes nothing."""
        parts = {unquote(path.stem): path for path in (self.folder / PARTS).glob("*.csv") if path.name[0] != "."}
        if not parts:
            return 0
        rows = pd.concat([_read(parts[name]).assign(ticker=name) for name in sorted(parts)], ignore_index=True)
        write_frame(rows[["ticker", *BAR_COLUMNS]], self.bars)
        acted = (rows[list(ACTION_COLUMNS)] != 0).any(axis=1)
        write_frame(rows.loc[acted, ["ticker", "date", *ACTION_COLUMNS]], self.actions)
        return len(parts)

    def _part(self, ticker: str) -> Path:
        return self.folder / PARTS / f"{quote(ticker, safe='^=')}.csv"


def _read(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, parse_dates=["date"])
    check_columns(frame, (*BAR_COLUMNS, *ACTION_COLUMNS), path)
    return frame
