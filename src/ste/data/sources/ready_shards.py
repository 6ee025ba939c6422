"""Ready tables in parts, built by others: each block under the contract that a single file is read under."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ste.config import TableSettings
from ste.data.column_rules import below, high_and_low, numeric_columns, rules
from ste.data.sources.ready_tables import check_horizon
from ste.data.storage.files import check_columns
from ste.data.storage.parquet_shards import part_files, read_parts_blocks
from ste.errors import DataError
from ste.market.calendar import periods
from ste.schema import DIRECTION, MOVEMENT, PERIOD, RETURN, SPLITS, Trend, table_columns


def checked_blocks(folders: dict[str, Path], settings: TableSettings) -> Iterator[pd.DataFrame]:
    """The blocks of `parts.read_parts_blocks`, each of them checked.

    The horizon is told from the first block; that splits follow each other in date order and that classes follow
    returns is known after the last one.

    Args:
        folders: split to the folder of its parts.
        settings: what is said of the tables.

    Raises:
        DataError: rows that break the contract, with folder, ticker and date.
    """
    for folder in folders.values():
        for part in part_files(folder):
            check_columns(_names(part), table_columns(settings.features), part, strict=True)
    days = {split: (np.datetime64("2999-01-01"), np.datetime64("0001-01-01")) for split in folders}
    down, up = -np.inf, np.inf
    for number, block in enumerate(read_parts_blocks(folders)):
        _check_block(block, folders, settings)
        if number == 0:
            check_horizon(block.astype({"ticker": str}), settings)
        returns, classes = block[RETURN].to_numpy(), block[DIRECTION].to_numpy()
        down = max(down, returns[classes == Trend.DOWNTREND].max(initial=-np.inf))
        up = min(up, returns[classes == Trend.UPTREND].min(initial=np.inf))
        for split in folders:
            own = block["date"].to_numpy()[block["split"].to_numpy() == SPLITS.index(split)].astype("datetime64[D]")
            if len(own):
                days[split] = (min(days[split][0], own.min()), max(days[split][1], own.max()))
        yield block
    if down > up:
        raise DataError(
            f"{folders['train']} and those beside it: {DIRECTION} contradicts {RETURN}: a Downtrend has {down:+.4f}, "
            f"an Uptrend {up:+.4f}. Expected every Downtrend's return below every Uptrend's."
        )
    ordered = [(split, *days[split]) for split in SPLITS if split in folders]
    for (before, _, last), (after, first, _) in pairwise(ordered):
        if first <= last:
            raise DataError(
                f"{folders[after]}: begins on {first}, but {folders[before]} reaches to {last}. Expected train, "
                "validation and test in date order without overlap."
            )


def _names(part: Path) -> list[str]:
    return [str(name) for name in pq.read_schema(part).names]


def _check_block(block: pd.DataFrame, folders: dict[str, Path], settings: TableSettings) -> None:
    def refuse(bad: np.ndarray, column: str, expected: str) -> None:
        if not bad.any():
            return
        row = block.iloc[int(np.flatnonzero(bad)[0])]
        folder = folders[SPLITS[int(row["split"])]]
        raise DataError(
            f"{folder}: column {column} of {row['ticker']} on {row['date']:%Y-%m-%d}: found {row[column]}; expected "
            f"{expected} ({bad.sum()} such rows among those looked at). Mend the table and run again."
        )

    date = block["date"].to_numpy()
    refuse(date != date.astype("datetime64[D]"), "date", "a day without a time")
    for column in numeric_columns(settings.features):
        values = block[column.name].to_numpy()
        if not np.issubdtype(values.dtype, np.number):
            refuse(np.ones(len(block), dtype=bool), column.name, "a number")
        for rule in rules(column):
            refuse(~rule.holds(values.astype(np.float64)), column.name, rule.expected)
    refuse(~np.isin(block[DIRECTION].to_numpy(), [int(trend) for trend in Trend]), DIRECTION, "0, 1 or 2")
    high, low = high_and_low(block)
    refuse(below(block[high].to_numpy(), block[low].to_numpy()), high, f"{low} or more")
    if "stock_close" in block:
        close = block["stock_close"].to_numpy()
        off = np.abs(block[MOVEMENT].to_numpy() - block[RETURN].to_numpy() * close) > 1e-4 * close
        refuse(off, MOVEMENT, f"{RETURN} x stock_close")
    codes = block["ticker"].cat.codes.to_numpy()
    period = periods(block["date"], settings.frequency)
    again = np.append(False, (codes[1:] == codes[:-1]) & (period[1:] == period[:-1]))
    refuse(again, "date", f"one row per ticker and {PERIOD[settings.frequency]}")
