"""Check and describe the user's own tables, which stay where they are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from ste.config import TableSettings
from ste.config.feature_sets import ALL_COLUMNS
from ste.data.build.data_card import BUILD, PreparedData, bars_entry, data_card, short_digest, write_card
from ste.data.build.split_summary import SplitSummary
from ste.data.build.table_folder import TENSORS, TRADING, card_of_table, read_card
from ste.data.sources.daily_sources import table_dates, with_calendar
from ste.data.sources.table_files import check_horizon, check_split_order
from ste.data.storage.files import sha256
from ste.data.storage.parquet_shards import digest, digests
from ste.data.storage.tables import read_table, table_header, unread_columns
from ste.data.table_labels import TableLabels
from ste.errors import DataError
from ste.market.calendar_check import check_calendar
from ste.market.read_summary import ReadSummary
from ste.schema import BARS, SPLITS


def existing_files(settings: TableSettings) -> PreparedData:
    """Check and describe the user's own files, and leave them in place."""
    files = {split: Path(path) for split, path in settings.files().items()}
    digests_of = {split: sha256(path) for split, path in files.items() if path.is_file()}
    built = card_of_table(files["train"], digests_of.get("train", ""))
    settings = _with_table_calendar(settings, built)
    frames = _read_files(settings, files)
    check_split_order({split: (frame["date"].min(), frame["date"].max()) for split, frame in frames.items()}, files)
    table = pd.concat(frames.values(), ignore_index=True)
    check_horizon(table, settings)
    codes = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()]).astype(np.int8)
    summary = SplitSummary(settings)
    summary.add(table, codes)
    counts = summary.entries()
    entries = {
        split: {"file": path.name, "sha256": digests_of[split], **counts[split]} for split, path in files.items()
    }
    identity = {"build": BUILD, **settings.table_settings()}
    card = _card(settings, entries, identity, built)
    return PreparedData(files=files, truth=None, card=card, trading=_trading(files, built))


def _card(
    settings: TableSettings, entries: dict[str, dict[str, Any]], identity: dict[str, Any], built: dict[str, Any]
) -> dict[str, Any]:
    train = settings.files()["train"]
    ignored = unread_columns(settings.feature_set, table_header(Path(train)))
    notes = [f"data.train: columns not read: {', '.join(ignored)} (features=columns takes all)"] if ignored else []
    if ALL_COLUMNS in settings.features:
        units = (f"{column.name} ({column.unit})" for column in settings.feature_set.columns)
        notes.append(f"features=columns: {', '.join(units)}")
    card = data_card(settings, entries, identity, notes, None, built.get("source"))
    return card | {key: built[key] for key in bars_entry(ReadSummary()) if key in built}


def _with_table_calendar(settings: TableSettings, built: dict[str, Any]) -> TableSettings:
    """Return settings with a known calendar: for tables that the project built, the one of their data card.

    Raises:
        DataError: another calendar than that of the data card.
    """
    stated = settings.periods.calendar.label if settings.calendar != BARS else BARS
    own = str(built.get("calendar", settings.calendar))
    if own.partition(":")[0] != stated:
        label = own.partition(":")[0]
        raise DataError(
            f"data.calendar={stated}: these tables were built with {label}, see their data card. Try "
            f"data.calendar={label}."
        )
    return replace(settings, calendar=own) if own != BARS else with_calendar(settings)


def _read_files(settings: TableSettings, files: dict[str, Path]) -> dict[str, pd.DataFrame]:
    """Read the user's files; daily rows on the days of another exchange are refused with its name."""
    try:
        how = settings.feature_set, settings.periods, TableLabels.of(settings.labels)
        frames = {split: read_table(path, *how) for split, path in files.items()}
        dates = [frame["date"].to_numpy() for frame in frames.values()]
    except DataError:
        _check_days(settings, files, [table_dates(path) for path in files.values()])
        raise
    _check_days(settings, files, dates)
    return frames


def _check_days(settings: TableSettings, files: dict[str, Path], dates: list[np.ndarray]) -> None:
    if settings.frequency == "daily":
        days = pd.Series(np.concatenate(dates)).value_counts()
        check_calendar(ReadSummary(days=days), settings.periods.calendar, files["train"])


def existing_parts(settings: TableSettings, folders: dict[str, Path], root: Path) -> PreparedData:
    """Check and describe the user's own folders of parts, and map them as arrays, on first use."""
    from ste.data.sources.table_parts import checked_blocks
    from ste.data.storage.memory_mapped import TensorWriter

    parts = {split: digests(path) for split, path in folders.items()}
    single = [split for split in settings.files() if split not in folders]
    if single:
        raise DataError(
            f"data.{single[0]}={settings.files()[single[0]]}: is a file, and data.{next(iter(folders))} a folder of "
            "parts. Expected all of them in one form."
        )
    if "column" in settings.labels.arguments:
        raise DataError(
            f"data.labels.column={settings.labels.arguments['column']}: is read from single files, and data.train is a "
            "folder of parts. Try a Parquet file, or write the classes as stock_trend_direction."
        )
    built = card_of_table(folders["train"], digest(parts["train"]))
    settings = _with_table_calendar(settings, built)
    identity = {"build": BUILD, **settings.table_settings(), "parts": parts}
    folder = root / f"tables-{short_digest(identity)}"
    folder.mkdir(parents=True, exist_ok=True)
    card_path, tensors = folder / "data_card.json", folder / TENSORS
    with FileLock(folder / ".lock"):
        card = read_card(card_path)
        reused = card.get("identity") == identity
        if not reused:
            summary = SplitSummary(settings)
            with TensorWriter(tensors, settings.feature_set, settings.periods) as writer:
                for block in checked_blocks(folders, settings):
                    summary.add(block, block["split"].to_numpy())
                    writer.append(block)
                counts = summary.entries()
                files = {
                    split: {"file": path.name, "sha256": digest(parts[split]), "parts": parts[split], **counts[split]}
                    for split, path in folders.items()
                }
                card = _card(settings, files, identity, built)
                writer.finish(card["digest"])
            write_card(card, card_path)
    return PreparedData(
        files=folders, truth=None, card=card, reused=reused, tensors=tensors, trading=_trading(folders, built)
    )


def _trading(files: dict[str, Path], built: dict[str, Any]) -> Path | None:
    """Return what portfolios need of tables that the project built from bars, from next to them; else None."""
    if not built.get(TRADING):
        return None
    path = files["train"].parent / built[TRADING]["file"]
    return path if path.exists() else None
