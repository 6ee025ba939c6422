"""Read the user's own tables in parts, and check each block by the rules of single files."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from ste.config import TableSettings
from ste.config.header_check import check_columns
from ste.data.columns import check_keyed, numeric_columns, typed_frame
from ste.data.sources.table_files import check_horizon, check_split_order
from ste.data.storage.parquet_shards import part_files, read_parts_blocks
from ste.data.storage.tables import required_columns
from ste.data.table_checks import ClassOrder, find_target_violations
from ste.data.table_labels import TableLabels
from ste.schema import DIRECTION, HISTORY_ONLY, LABEL_END, SPLITS


def checked_blocks(folders: dict[str, Path], settings: TableSettings) -> Iterator[pd.DataFrame]:
    """Yield the checked blocks of `parquet_shards.read_parts_blocks`.

    The horizon is checked on the first block; the date order of the splits and the order of classes and returns after
    the last one.

    Args:
        folders: split to the folder of its parts.
        settings: of the tables.

    Raises:
        DataError: rows that break a rule, with folder, ticker and date.
    """
    for folder in folders.values():
        for part in part_files(folder):
            check_columns(_names(part), required_columns(settings.feature_set), part)
    dates = {split: (pd.Timestamp.max, pd.Timestamp.min) for split in SPLITS if split in folders}
    labels = TableLabels.of(settings.labels)
    order = ClassOrder(labels)
    for number, block in enumerate(read_parts_blocks(folders)):
        _check_block(block, folders, settings, labels)
        if number == 0:
            check_horizon(block.astype({"ticker": str}), settings)
        order.add(block)
        for split, (first, last) in dates.items():
            own = block["date"][block["split"] == SPLITS.index(split)]
            if len(own):
                dates[split] = (min(first, own.min()), max(last, own.max()))
        yield block
    order.check(", ".join(map(str, folders.values())))
    check_split_order(dates, folders)


def _names(part: Path) -> list[str]:
    return [str(name) for name in pq.read_schema(part).names]


def _check_block(block: pd.DataFrame, folders: dict[str, Path], settings: TableSettings, labels: TableLabels) -> None:
    table, violations = typed_frame(block, numeric_columns(settings.feature_set, block), names=())
    check = partial(
        check_keyed,
        where=lambda row: str(folders[SPLITS[int(block["split"].iloc[row])]]),
        rows=block,
        remedy="Fix the table and run again.",
    )
    check(violations)
    own = [name for name in (DIRECTION, LABEL_END, HISTORY_ONLY) if name in block]
    targets = table.assign(ticker=block["ticker"], **{name: block[name] for name in own})
    check(find_target_violations(targets, settings.periods, settings.feature_set, labels))
