"""From daily bars to rows that a model reads, in memory: what is wrong with a bar rejects that bar alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ste.data.column_rules import ABOVE_ZERO, FINITE, at_least
from ste.data.storage.files import check_columns
from ste.errors import DataError
from ste.inference.batch.prediction_loop import CHUNK, Advance
from ste.inference.batch.rejects import Reject
from ste.inference.batch.row_checks import Checker, Rows
from ste.inference.batch.table_reader import Chunk, open_table
from ste.schema import MARKET_COLUMNS

_ADJUSTED = "adj_close"
_RULES = {
    **dict.fromkeys(("open", "high", "low", "close"), (FINITE, ABOVE_ZERO)),
    "volume": (FINITE, at_least(0.0, " shares")),
}


def read_good_bars(path: Path, advance: Advance = lambda done: None) -> tuple[pd.DataFrame, list[Reject]]:
    """The bars of a file that hold, in its own order, and the lines that do not.

    Args:
        path: CSV or Parquet of daily bars.
        advance: told how much of the file is read.

    Returns:
        `schema.MARKET_COLUMNS["bars"]`, and `adj_close` where the file has it; and the rejects.

    Raises:
        DataError: the file as a whole cannot be used.
    """
    table = open_table(path)
    check_columns(table.names, MARKET_COLUMNS["bars"], path, strict=False)
    rules = {**_RULES, _ADJUSTED: (FINITE, ABOVE_ZERO)} if _ADJUSTED in table.names else _RULES
    check = Checker(rules, ("high", "low"), str(path))
    parts, rejects = [], []
    for chunk, done in table.chunks(check.columns, CHUNK):
        rows, faults = check(chunk)
        parts.append(_frame(rows, list(rules)))
        rejects += faults
        advance(done)
    if not any(map(len, parts)):
        first = min(rejects, default=None)
        why = f" Line {first.line}, {first.column or 'the row'}: {first.found}; {first.reason}." if first else ""
        raise DataError(f"{path}: holds no bar that can be used.{why}")
    bars = pd.concat(parts, ignore_index=True)
    twice = bars.duplicated(["ticker", "date"]).to_numpy()
    reason = "expected one row per ticker and day: one before it is of the same"
    again = bars.loc[twice, ["line", "ticker", "date"]]
    for line, ticker, date in zip(again["line"].tolist(), again["ticker"], again["date"], strict=True):
        rejects.append(Reject(line, ticker, f"{date:%Y-%m-%d}", "date", f"{date:%Y-%m-%d}", reason))
    return bars[~twice].drop(columns="line").reset_index(drop=True), rejects


def _frame(rows: Rows, columns: list[str]) -> pd.DataFrame:
    values = dict(zip(columns, rows.values, strict=True))
    ticker = rows.ticker.to_pandas()
    return pd.DataFrame({"ticker": ticker, "date": rows.date.astype("datetime64[s]"), **values, "line": rows.line})


@dataclass(frozen=True)
class FrameTable:
    """A table in memory, such as the rows computed from bars; its rows stand on no line of any file."""

    frame: pd.DataFrame
    where: str
    several = False

    @property
    def names(self) -> list[str]:
        """Of its columns."""
        return [str(name) for name in self.frame]

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.frame)

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[Chunk, int]]:
        """Slices, and the rows read by then."""
        for start in range(0, len(self.frame), rows):
            part = self.frame.iloc[start : start + rows]
            cells = {name: pa.array(part[name].to_numpy()) for name in columns}
            yield Chunk(np.zeros(len(part), dtype=np.int64), cells), start + len(part)
