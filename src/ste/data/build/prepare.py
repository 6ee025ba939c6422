"""Build a source's tables once, describe them in a data card, and reuse them.

A table folder holds `training_data_…`, `validation_data_…` and `test_data_…`, the class probabilities `truth_…` of a
synthetic market, what portfolios need of each row in `trading_…`, and the `data_card_…json` that lists them with their
digests. The card is written last: a folder without a card is incomplete and is built again. With `data.format=parts`
each table is a folder (`ste.data.storage.parquet_shards`), and `tensors_…` next to them holds the same rows as arrays;
where it is missing it is made again.
"""

import hashlib
import logging
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from ste.config import DataSettings, RealMarketSettings, SyntheticSettings, TableSettings
from ste.config.file_locations import all_files
from ste.config.progress import step, wrapped
from ste.data.build.data_card import (
    BUILD,
    PreparedData,
    StagedTable,
    bars_entry,
    data_card,
    is_enough,
    short_digest,
    write_card,
)
from ste.data.build.split_summary import SplitSummary
from ste.data.build.table_folder import (
    STAGING,
    TENSORS,
    TRADING,
    TRUTH,
    check_unchanged,
    entries,
    read_card,
    replaceable,
)
from ste.data.build.user_tables import existing_files, existing_parts
from ste.data.history_only import history_only_rows, with_history_only
from ste.data.sources.daily_sources import with_calendar
from ste.data.storage.files import sha256, write_frame
from ste.schema import SPLITS

log = logging.getLogger(__name__)

FILE_NAMES = {"train": "training_data", "validation": "validation_data", "test": "test_data"}


def prepare(settings: DataSettings, root: Path) -> PreparedData:
    """Return the tables of `settings`; build them where they do not exist.

    Args:
        settings: of any source.
        root: folder that holds the table folders (`paths.data`).

    Raises:
        DataError: bad input files, an empty split, or tables changed by hand since they were built.
    """
    prepared = _ready(settings, root) if isinstance(settings, TableSettings) else _built(settings, root)
    for note in prepared.card["notes"]:
        log.log(logging.WARNING if note.startswith("warning") else logging.INFO, wrapped(note, indent=2))
    return prepared


def _ready(settings: TableSettings, root: Path) -> PreparedData:
    """Check the user's own tables."""
    folders = {split: Path(path) for split, path in settings.files().items() if Path(path).is_dir()}
    return existing_parts(settings, folders, root) if folders else existing_files(settings)


def _built(settings: DataSettings, root: Path) -> PreparedData:
    """Build the tables of a market where they do not exist."""
    identity = _identity(settings)
    folder = Path(settings.folder) if settings.folder else root / f"{settings.source}-{short_digest(identity)}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        prepared = _reuse(folder, identity, settings.audit)
        if prepared is None:
            with step("building the tables"):
                prepared = _build(settings, identity, folder)
    return prepared


def _identity(settings: DataSettings) -> dict[str, Any]:
    """Return what decides the tables' bytes: settings, digests of the input files and the build number."""
    identity = settings.table_settings()
    if isinstance(settings, RealMarketSettings):
        for kind, path in settings.files().items():
            files = all_files(path) if kind == "bars" else [Path(path).expanduser()]
            identity[kind] = sha256(files[0]) if len(files) == 1 else _digest(files)
    elif isinstance(settings, SyntheticSettings):
        identity |= {kind: sha256(Path(path).expanduser()) for kind, path in settings.extra_files().items()}
    identity["extra"] = sorted(identity.pop("extra"))  # the names, whatever the paths
    return {"build": BUILD, **identity}


def _digest(files: list[Path]) -> str:
    """Return the digest of the names and contents of several files."""
    return hashlib.sha256("".join(f"{file.name} {sha256(file)}\n" for file in files).encode()).hexdigest()


def _reuse(folder: Path, identity: dict[str, Any], audit: str) -> PreparedData | None:
    for path in sorted(folder.glob("data_card_*.json")):
        card = read_card(path)
        if card.get("identity") != identity:
            continue
        if not is_enough(card.get("checks"), audit):
            return None
        if not all(check_unchanged(folder / entry["file"], entry) for entry in entries(card)):
            return None
        return _prepared(folder, card, reused=True)
    return None


def _prepared(folder: Path, card: dict[str, Any], reused: bool = False) -> PreparedData:
    return PreparedData(
        files={split: folder / entry["file"] for split, entry in card["files"].items()},
        truth=folder / card["truth"]["file"] if card["truth"] else None,
        trading=folder / card[TRADING]["file"],
        tensors=folder / card["tensors"] if "tensors" in card else None,
        card=card,
        reused=reused,
    )


def _build(settings: DataSettings, identity: dict[str, Any], folder: Path) -> PreparedData:
    """Build the tables in the staging folder and move them to their places, the card last."""
    settings = with_calendar(settings)
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)  # left by a killed build
    try:
        if settings.format == "parts":
            from ste.data.build.sharded_tables import build_parts  # imports torch

            staged, suffix = build_parts(settings, staging), ""
        else:
            staged, suffix = _build_files(settings, staging), f".{settings.format}"
        return _publish(staged, suffix, settings, identity, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _build_files(settings: DataSettings, staging: Path) -> StagedTable:
    from ste.data.build.feature_checks import FeatureChecks  # imported only where tables are built
    from ste.data.build.labelled_rows import build_with_trading

    checks = FeatureChecks(settings)
    built = build_with_trading(settings, checks)
    summary = SplitSummary(settings)
    summary.add(built.table, built.split)
    own = {name: built.table.loc[built.split == SPLITS.index(name)] for name in summary.entries()}
    frames = {name: with_history_only(frame, history_only_rows(frame)) for name, frame in own.items()}
    frames[TRADING] = built.trading
    if built.truth is not None:
        frames[TRUTH] = built.truth
    entries = {}
    for name, frame in frames.items():
        file = staging / f"{name}.{settings.format}"
        write_frame(frame, file)
        entries[name] = {"sha256": sha256(file)}
    return StagedTable(entries, summary, built.market.notes, bars_entry(built.market.summary), checks.entry())


def _publish(
    staged: StagedTable, suffix: str, settings: DataSettings, identity: dict[str, Any], folder: Path
) -> PreparedData:
    period = _period(settings, staged.summary)
    entries = {
        name: {"file": f"{FILE_NAMES.get(name, name)}_{period}{suffix}", **entry}
        for name, entry in staged.entries.items()
    }
    files = {name: entries[name] | counts for name, counts in staged.summary.entries().items()}
    card = data_card(settings, files, identity, staged.notes, entries.get(TRUTH)) | staged.bars
    card[TRADING] = entries[TRADING]
    card["checks"] = staged.checks
    names = {name: entry["file"] for name, entry in entries.items()}
    if settings.format == "parts":
        names[TENSORS] = card["tensors"] = f"{TENSORS}_{period}"
    card_path = folder / f"data_card_{period}.json"
    for path in replaceable(card_path, [folder / name for name in names.values()], own=settings.folder is None):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    card_path.unlink(missing_ok=True)
    for name, target in names.items():
        (folder / STAGING / f"{name}{suffix}").rename(folder / target)
    write_card(card, card_path)
    return _prepared(folder, card)


def _period(settings: DataSettings, summary: SplitSummary) -> str:
    """Return first and last date for file names: of the settings, else of the rows."""
    stated = (getattr(settings, name, None) for name in ("start", "end"))
    dates = [date or f"{own:%Y-%m-%d}" for date, own in zip(stated, summary.span, strict=True)]
    return "-".join(str(date).replace("-", "") for date in dates)
