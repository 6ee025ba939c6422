"""Build a source's tables once, describe them in a data card, and reuse them.

A table folder holds `training_data_…`, `validation_data_…` and `test_data_…`, the class probabilities `truth_…` of a
synthetic market, and the `data_card_…json` that lists them with their digests. The card is written last: a folder
without a card is incomplete and is built again. With `data.format=parts` each table is a folder
(`ste.data.storage.parquet_shards`), and `tensors_…` next to them holds the same rows as arrays; where it is missing
it is made again.
"""

import logging
from pathlib import Path
from typing import Any

from filelock import FileLock

from ste.config import DataSettings, MarketSettings, TableSettings
from ste.data.build.data_card import BUILD, PreparedData, data_card, short_digest, split_summary, write_card
from ste.data.build.split_summary import SplitSummary
from ste.data.build.table_folder import (
    STAGING,
    TENSORS,
    TRUTH,
    check_unchanged,
    entries,
    make_room,
    read_card,
)
from ste.data.build.user_tables import existing_files, existing_parts
from ste.data.storage.files import sha256, write_frame
from ste.data.storage.parquet_shards import digest
from ste.errors import DataError
from ste.schema import SPLITS

log = logging.getLogger(__name__)

FILE_NAMES = {"train": "training_data", "validation": "validation_data", "test": "test_data"}
PART_NAMES = {**FILE_NAMES, TRUTH: TRUTH, TENSORS: TENSORS}


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
        return existing_parts(settings, folders, root) if folders else existing_files(settings)
    identity = _identity(settings)
    folder = Path(settings.folder) if settings.folder else root / f"{settings.source}-{short_digest(identity)}"
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
    summary = split_summary(settings)
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
    return _finish(card_path, data_card(settings, file_entries, identity, market.notes, truth_entry))


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
        card = data_card(settings, file_entries, identity, built.notes, part_entries.get(TRUTH))
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
    write_card(card, path)
    return _prepared(path.parent, card)
