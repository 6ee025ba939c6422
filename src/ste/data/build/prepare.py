"""From settings to files: build a source's tables once, describe them in a card, use them again.

A table folder holds `training_data_…`, `validation_data_…` and `test_data_…`, a synthetic world's
`truth_…` and the `data_card_…json` that names them all with their digests. The card is written last: a
folder without one was not finished and is built again. With `data.format=parts` each table is a folder
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
from ste.data.build.split_summary import Tally
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
from ste.data.sources.ready_tables import check_ready
from ste.data.storage.files import sha256, whole_file, write_frame
from ste.data.storage.parquet_shards import digest, digests
from ste.data.storage.tables import read_table
from ste.errors import DataError
from ste.schema import FEATURE_SETS, SPLITS, class_names

log = logging.getLogger(__name__)

BUILD = 2
"""Raise it when the same settings would give other bytes: older folders are then built again."""

FILE_NAMES = {"train": "training_data", "validation": "validation_data", "test": "test_data"}
PART_NAMES = {**FILE_NAMES, TRUTH: TRUTH, TENSORS: TENSORS}


@dataclass(frozen=True)
class PreparedData:
    """Weekly tables on disk.

    Attributes:
        files: split to file, or to the folder of its parts.
        truth: a synthetic world's class probabilities by date and ticker, or None.
        card: what the tables are (see `data_card_…json`).
        reused: whether they were there already.
        tensors: of tables in parts, the folder of the same as arrays, which may not be there (yet).
    """

    files: dict[str, Path]
    truth: Path | None
    card: dict[str, Any]
    reused: bool = False
    tensors: Path | None = None

    @property
    def digest(self) -> str:
        """Short digest of all the tables' bytes: the same for two runs means the same data."""
        return str(self.card["digest"])


def prepare(settings: DataSettings, root: Path) -> PreparedData:
    """The tables of `settings`, built where they are not there yet.

    Args:
        settings: of any source.
        root: folder that holds the table folders (`paths.data`).

    Raises:
        DataError: bad input files, an empty split, or tables changed by hand since they were built.
    """
    if isinstance(settings, TableSettings):
        folders = {split: Path(path) for split, path in settings.files().items() if Path(path).is_dir()}
        return _ready_parts(settings, folders, root) if folders else _ready(settings)
    identity = _identity(settings)
    folder = Path(settings.folder) if settings.folder else root / f"{settings.source}-{_short(identity)}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        prepared = _reuse(folder, identity) or _build(settings, identity, folder)
    for note in prepared.card["notes"]:
        log.warning(note) if note.startswith("warning") else log.info(note)
    return prepared


def _identity(settings: DataSettings) -> dict[str, Any]:
    """What decides the tables' bytes: settings, the input files' contents and the build number."""
    plain = settings.table_settings()
    if isinstance(settings, MarketSettings):
        for kind, path in settings.files().items():
            if not Path(path).is_file():
                raise DataError(f"data.{kind}={path}: no such file. Give the path of a CSV or Parquet file.")
            plain[kind] = sha256(path)
    return {"build": BUILD, **plain}


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
    from ste.data.build.labelled_rows import build_table  # nothing that builds is loaded where the tables are there

    table, split, truth, market = build_table(settings)
    tally = Tally(settings.split.gap(settings.labels.horizon), settings.frequency)
    tally.add(table, split)
    period = _period(settings, tally)
    told = tally.entries()
    files = {name: folder / f"{FILE_NAMES[name]}_{period}.{settings.format}" for name in told}
    truth_path = folder / f"truth_{period}.{settings.format}" if truth is not None else None
    card_path = _card_path(folder, period)
    make_room(card_path, [*files.values(), *([truth_path] if truth_path else [])], own=settings.folder is None)
    for name, file in files.items():
        write_frame(table.loc[split == SPLITS.index(name)], file)
    if truth is not None and truth_path is not None:
        write_frame(truth, truth_path)
    of_files = {name: {"file": file.name, "sha256": sha256(file), **told[name]} for name, file in files.items()}
    of_truth = {"file": truth_path.name, "sha256": sha256(truth_path)} if truth_path else None
    return _finish(card_path, _card(settings, of_files, identity, market.notes, of_truth))


def _build_parts(settings: DataSettings, identity: dict[str, Any], folder: Path) -> PreparedData:
    from ste.data.build.sharded_tables import build_parts  # torch loads only now

    own = settings.folder is None
    stated = _period(settings, None)
    if stated is not None:  # what stands in the way is told before the work
        make_room(_card_path(folder, stated), _part_folders(folder, stated), own=own)
    with build_parts(settings, folder) as built:
        period = _period(settings, built.tally)
        card_path = _card_path(folder, period)
        if stated is None:
            make_room(card_path, _part_folders(folder, period), own=own)
        told = built.tally.entries()
        names = {name: f"{PART_NAMES[name]}_{period}" for name in built.parts}
        of_parts = {
            name: {"file": names[name], "sha256": digest(parts), "parts": parts} for name, parts in built.parts.items()
        }
        of_files = {name: of_parts[name] | entry for name, entry in told.items()}
        card = _card(settings, of_files, identity, built.notes, of_parts.get(TRUTH))
        card["tensors"] = f"{TENSORS}_{period}"
        built.tensors.finish(card["digest"])
        for name, target in {**names, TENSORS: card["tensors"]}.items():
            (folder / STAGING / name).rename(folder / target)
        return _finish(card_path, card)


def _period(settings: DataSettings, tally: Tally | None) -> str | None:
    """First and last date, as files are named: as the settings say, or else as the rows do; None without either."""
    stated = [getattr(settings, name, None) for name in ("start", "end")]
    if tally is not None:
        stated = [date or f"{own:%Y-%m-%d}" for date, own in zip(stated, tally.span, strict=True)]
    return None if None in stated else "-".join(str(date).replace("-", "") for date in stated)


def _card_path(folder: Path, period: str | None) -> Path:
    return folder / f"data_card_{period}.json"


def _part_folders(folder: Path, period: str | None) -> list[Path]:
    return [folder / f"{name}_{period}" for name in PART_NAMES.values()]


def _finish(path: Path, card: dict[str, Any]) -> PreparedData:
    with whole_file(path) as partial:
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
        "purge": settings.split.gap(settings.labels.horizon),
        "protocol": (
            "the seed document's: rows cut in date order without purge, so that a week lies in both splits"
            if settings.split.by == "row"
            else "split by date, purged: a split's last periods are history for the next and count in no score"
        ),
        "notes": notes,
        "digest": content_digest([entry["sha256"] for entry in files.values()], settings),
        "identity": identity,
    }


def _ready(settings: TableSettings) -> PreparedData:
    """Files that are tables already: checked, described, left where they are."""
    files = {split: Path(path) for split, path in settings.files().items()}
    frames = {split: read_table(path, settings.frequency, settings.features) for split, path in files.items()}
    check_ready(frames, files, settings)
    whole = pd.concat(frames.values(), ignore_index=True)
    codes = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()]).astype(np.int8)
    tally = Tally(settings.split.gap(settings.labels.horizon), settings.frequency)
    tally.add(whole, codes)
    told = tally.entries()
    entries = {split: {"file": path.name, "sha256": sha256(path), **told[split]} for split, path in files.items()}
    identity = {"build": BUILD, **settings.table_settings()}
    return PreparedData(files=files, truth=None, card=_card(settings, entries, identity, [], None))


def _ready_parts(settings: TableSettings, folders: dict[str, Path], root: Path) -> PreparedData:
    """Folders of parts that are tables already: checked and made arrays of in one pass, the first time."""
    from ste.data.sources.ready_shards import checked_blocks  # torch and what reads parts load only now
    from ste.data.storage.memory_mapped import TensorWriter

    single = [split for split in settings.files() if split not in folders]
    if single:
        raise DataError(
            f"data.{single[0]}={settings.files()[single[0]]}: is a file, and data.{next(iter(folders))} a folder of "
            "parts. Expected all of them in one form."
        )
    parts = {split: digests(path) for split, path in folders.items()}
    identity = {"build": BUILD, **settings.table_settings(), "parts": parts}
    place = root / f"tables-{_short(identity)}"
    place.mkdir(parents=True, exist_ok=True)
    card_path, tensors = place / "data_card.json", place / TENSORS
    with FileLock(place / ".lock"):
        card = read_card(card_path)
        reused = card.get("identity") == identity
        if not reused:
            tally = Tally(settings.split.gap(settings.labels.horizon), settings.frequency)
            with TensorWriter(tensors, settings.features, settings.frequency) as writer:
                for block in checked_blocks(folders, settings):
                    tally.add(block, block["split"].to_numpy())
                    writer.append(block)
                told = tally.entries()
                files = {
                    split: {"file": path.name, "sha256": digest(parts[split]), "parts": parts[split], **told[split]}
                    for split, path in folders.items()
                }
                card = _card(settings, files, identity, [], None)
                writer.finish(card["digest"])
            with whole_file(card_path) as partial:
                partial.write_text(json.dumps(card, indent=2) + "\n")
    return PreparedData(files=folders, truth=None, card=card, reused=reused, tensors=tensors)
