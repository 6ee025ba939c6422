"""Build a source's tables once, describe them in a data card, and reuse them.

A table folder holds `training_data_…`, `validation_data_…` and `test_data_…`, the class probabilities `truth_…` of a
synthetic market, and the `data_card_…json` that lists them with their digests. The card is written last: a folder
without a card is incomplete and is built again. With `data.format=parts` each table is a folder
(`ste.data.storage.parquet_shards`), and `tensors_…` next to them holds the same rows as arrays; where it is missing
it is made again.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from ste.config import DataSettings, MarketSettings, TableSettings
from ste.data.build.split_summary import SplitSummary
from ste.data.build.table_folder import (
    STAGING,
    TENSORS,
    TRUTH,
    check_unchanged,
    content_digest,
    entries,
    make_room,
    read_card,
)
from ste.data.sources.table_files import check_table_files
from ste.data.storage.files import atomic_file, sha256, write_frame
from ste.data.storage.parquet_shards import digest, digests
from ste.data.storage.tables import read_table
from ste.errors import DataError
from ste.schema import FEATURE_SETS, SPLITS, class_names

log = logging.getLogger(__name__)

BUILD = 2
"""Increase it when the same settings give other bytes: older folders are then built again."""

FILE_NAMES = {"train": "training_data", "validation": "validation_data", "test": "test_data"}
PART_NAMES = {**FILE_NAMES, TRUTH: TRUTH, TENSORS: TENSORS}


@dataclass(frozen=True)
class PreparedData:
    """Tables on disk.

    Attributes:
        files: split to file, or to the folder of its parts.
        truth: file or folder of a synthetic market's class probabilities by date and ticker, or None.
        card: content of `data_card_…json`.
        reused: whether the tables existed already.
        tensors: folder of the memory-mapped arrays of tables in parts, which may not exist yet; None for files.
    """

    files: dict[str, Path]
    truth: Path | None
    card: dict[str, Any]
    reused: bool = False
    tensors: Path | None = None

    @property
    def digest(self) -> str:
        """Short digest of all the tables' bytes; two runs with the same digest have the same data."""
        return str(self.card["digest"])


def prepare(settings: DataSettings, root: Path) -> PreparedData:
    """Return the tables of `settings`; build them where they do not exist.

    Args:
        settings: of any source.
        root: folder that holds the table folders (`paths.data`).

    Raises:
        DataError: bad input files, an empty split, or tables changed by hand since they were built.
    """
    if isinstance(settings, TableSettings):
        folders = {split: Path(path) for split, path in settings.files().items() if Path(path).is_dir()}
        return _existing_parts(settings, folders, root) if folders else _existing_files(settings)
    identity = _identity(settings)
    folder = Path(settings.folder) if settings.folder else root / f"{settings.source}-{_short(identity)}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        prepared = _reuse(folder, identity) or _build(settings, identity, folder)
    for note in prepared.card["notes"]:
        log.warning(note) if note.startswith("warning") else log.info(note)
    return prepared


def _identity(settings: DataSettings) -> dict[str, Any]:
    """Return what decides the tables' bytes: settings, digests of the input files and the build number."""
    identity = settings.table_settings()
    if isinstance(settings, MarketSettings):
        for kind, path in settings.files().items():
            if not Path(path).is_file():
                raise DataError(f"data.{kind}={path}: no such file. Give the path of a CSV or Parquet file.")
            identity[kind] = sha256(path)
    return {"build": BUILD, **identity}


def _short(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]


def _reuse(folder: Path, identity: dict[str, Any]) -> PreparedData | None:
    for path in sorted(folder.glob("data_card_*.json")):
        card = read_card(path)
        if card.get("identity") != identity:
            continue
        if not all(check_unchanged(folder / entry["file"], entry) for entry in entries(card)):
            return None
        return _prepared(folder, card, reused=True)
    return None


def _prepared(folder: Path, card: dict[str, Any], reused: bool = False) -> PreparedData:
    return PreparedData(
        files={split: folder / entry["file"] for split, entry in card["files"].items()},
        truth=folder / card["truth"]["file"] if card["truth"] else None,
        tensors=folder / card["tensors"] if "tensors" in card else None,
        card=card,
        reused=reused,
    )


def _build(settings: DataSettings, identity: dict[str, Any], folder: Path) -> PreparedData:
    return (_build_parts if settings.format == "parts" else _build_files)(settings, identity, folder)


def _build_files(settings: DataSettings, identity: dict[str, Any], folder: Path) -> PreparedData:
    from ste.data.build.labelled_rows import build_table  # imported only where tables are built

    table, split, truth, market = build_table(settings)
    summary = SplitSummary(settings.split.purged_periods(settings.labels.horizon), settings.frequency)
    summary.add(table, split)
    period = _period(settings, summary)
    counts = summary.entries()
    files = {name: folder / f"{FILE_NAMES[name]}_{period}.{settings.format}" for name in counts}
    truth_path = folder / f"truth_{period}.{settings.format}" if truth is not None else None
    card_path = _card_path(folder, period)
    make_room(card_path, [*files.values(), *([truth_path] if truth_path else [])], own=settings.folder is None)
    for name, file in files.items():
        write_frame(table.loc[split == SPLITS.index(name)], file)
    if truth is not None and truth_path is not None:
        write_frame(truth, truth_path)
    file_entries = {name: {"file": file.name, "sha256": sha256(file), **counts[name]} for name, file in files.items()}
    truth_entry = {"file": truth_path.name, "sha256": sha256(truth_path)} if truth_path else None
    return _finish(card_path, _card(settings, file_entries, identity, market.notes, truth_entry))


def _build_parts(settings: DataSettings, identity: dict[str, Any], folder: Path) -> PreparedData:
    from ste.data.build.sharded_tables import build_parts  # imports torch

    own = settings.folder is None
    stated = _period(settings, None)
    if stated is not None:  # report files in the way before the build
        make_room(_card_path(folder, stated), _part_folders(folder, stated), own=own)
    with build_parts(settings, folder) as built:
        period = _period(settings, built.summary)
        card_path = _card_path(folder, period)
        if stated is None:
            make_room(card_path, _part_folders(folder, period), own=own)
        counts = built.summary.entries()
        names = {name: f"{PART_NAMES[name]}_{period}" for name in built.parts}
        part_entries = {
            name: {"file": names[name], "sha256": digest(parts), "parts": parts} for name, parts in built.parts.items()
        }
        file_entries = {name: part_entries[name] | entry for name, entry in counts.items()}
        card = _card(settings, file_entries, identity, built.notes, part_entries.get(TRUTH))
        card["tensors"] = f"{TENSORS}_{period}"
        built.tensors.finish(card["digest"])
        for name, target in {**names, TENSORS: card["tensors"]}.items():
            (folder / STAGING / name).rename(folder / target)
        return _finish(card_path, card)


def _period(settings: DataSettings, summary: SplitSummary | None) -> str | None:
    """Return first and last date for file names: of the settings, else of the rows; None where neither is known."""
    stated = [getattr(settings, name, None) for name in ("start", "end")]
    if summary is not None:
        stated = [date or f"{own:%Y-%m-%d}" for date, own in zip(stated, summary.span, strict=True)]
    return None if None in stated else "-".join(str(date).replace("-", "") for date in stated)


def _card_path(folder: Path, period: str | None) -> Path:
    return folder / f"data_card_{period}.json"


def _part_folders(folder: Path, period: str | None) -> list[Path]:
    return [folder / f"{name}_{period}" for name in PART_NAMES.values()]


def _finish(path: Path, card: dict[str, Any]) -> PreparedData:
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(card, indent=2) + "\n")
    return _prepared(path.parent, card)


def _card(
    settings: DataSettings,
    files: dict[str, dict[str, Any]],
    identity: dict[str, Any],
    notes: list[str],
    truth: dict[str, Any] | None,
) -> dict[str, Any]:
    seed = getattr(settings, "seed", None)
    return {
        "source": settings.source,
        "seed": seed,
        "settings": settings.table_settings(),
        "frequency": settings.frequency,
        "features": list(FEATURE_SETS[settings.features].names),
        "classes": list(class_names(settings.labels.classes)),
        "files": files,
        "truth": truth,
        "purge": settings.split.purged_periods(settings.labels.horizon),
        "protocol": (
            "seed document: rows cut in date order without purge, so that one week lies in both splits"
            if settings.split.by == "row"
            else "split by date, purged: the last periods of a split are history for the next split and are not scored"
        ),
        "notes": notes,
        "digest": content_digest([entry["sha256"] for entry in files.values()], settings),
        "identity": identity,
    }


def _existing_files(settings: TableSettings) -> PreparedData:
    """Check and describe the user's own files, and leave them in place."""
    files = {split: Path(path) for split, path in settings.files().items()}
    frames = {split: read_table(path, settings.frequency, settings.features) for split, path in files.items()}
    check_table_files(frames, files, settings)
    table = pd.concat(frames.values(), ignore_index=True)
    codes = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()]).astype(np.int8)
    summary = SplitSummary(settings.split.purged_periods(settings.labels.horizon), settings.frequency)
    summary.add(table, codes)
    counts = summary.entries()
    entries = {split: {"file": path.name, "sha256": sha256(path), **counts[split]} for split, path in files.items()}
    identity = {"build": BUILD, **settings.table_settings()}
    return PreparedData(files=files, truth=None, card=_card(settings, entries, identity, [], None))


def _existing_parts(settings: TableSettings, folders: dict[str, Path], root: Path) -> PreparedData:
    """Check and describe the user's own folders of parts, and map them as arrays, on first use."""
    from ste.data.sources.table_parts import checked_blocks  # imports torch
    from ste.data.storage.memory_mapped import TensorWriter

    single = [split for split in settings.files() if split not in folders]
    if single:
        raise DataError(
            f"data.{single[0]}={settings.files()[single[0]]}: is a file, and data.{next(iter(folders))} a folder of "
            "parts. Expected all of them in one form."
        )
    parts = {split: digests(path) for split, path in folders.items()}
    identity = {"build": BUILD, **settings.table_settings(), "parts": parts}
    folder = root / f"tables-{_short(identity)}"
    folder.mkdir(parents=True, exist_ok=True)
    card_path, tensors = folder / "data_card.json", folder / TENSORS
    with FileLock(folder / ".lock"):
        card = read_card(card_path)
        reused = card.get("identity") == identity
        if not reused:
            summary = SplitSummary(settings.split.purged_periods(settings.labels.horizon), settings.frequency)
            with TensorWriter(tensors, settings.features, settings.frequency) as writer:
                for block in checked_blocks(folders, settings):
                    summary.add(block, block["split"].to_numpy())
                    writer.append(block)
                counts = summary.entries()
                files = {
                    split: {"file": path.name, "sha256": digest(parts[split]), "parts": parts[split], **counts[split]}
                    for split, path in folders.items()
                }
                card = _card(settings, files, identity, [], None)
                writer.finish(card["digest"])
            with atomic_file(card_path) as partial:
                partial.write_text(json.dumps(card, indent=2) + "\n")
    return PreparedData(files=folders, truth=None, card=card, reused=reused, tensors=tensors)
