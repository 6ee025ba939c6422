"""The data card: what describes and identifies the tables of a folder."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ste.config import DataSettings
from ste.data.build.split_summary import SplitSummary
from ste.data.build.table_folder import content_digest
from ste.data.storage.files import atomic_file
from ste.market.read_summary import ReadSummary
from ste.schema import SYNTHETIC_SOURCES, class_names

BUILD = 4
"""Increase it when the same settings give other bytes: older folders are then built again."""


@dataclass(frozen=True)
class PreparedData:
    """Tables on disk.

    Attributes:
        files: split to file, or to the folder of its parts.
        truth: file or folder of a synthetic market's class probabilities by date and ticker, or None.
        trading: file or folder of `schema.TRADING_COLUMNS` by date and ticker; None for tables that were not built
            from bars.
        card: content of `data_card_…json`.
        reused: whether the tables existed already.
        tensors: folder of the memory-mapped arrays of tables in parts, which may not exist yet; None for files.
    """

    files: dict[str, Path]
    truth: Path | None
    card: dict[str, Any]
    reused: bool = False
    tensors: Path | None = None
    trading: Path | None = None

    @property
    def digest(self) -> str:
        """Short digest of all the tables' bytes; two runs with the same digest have the same data."""
        return str(self.card["digest"])


@dataclass(frozen=True)
class StagedTable:
    """A complete table in the staging folder.

    Attributes:
        entries: digests of each split's table and, where known, of the class probabilities, for the data card.
        summary: counts of the splits.
        notes: of the sources.
        bars: `bars_entry` of what the table was built from.
        checks: of the features (`FeatureChecks.entry`).
    """

    entries: dict[str, dict[str, Any]]
    summary: SplitSummary
    notes: list[str]
    bars: dict[str, Any]
    checks: dict[str, Any]


def bars_entry(summary: ReadSummary) -> dict[str, Any]:
    """Return what a data card states of the bars: their spacing (see `Market`), and how they are adjusted, in words."""
    return {
        "spacing": summary.spacing or "daily",
        "adjustment": summary.adjustment.statement().removeprefix("bars: "),
        "adjusted": summary.adjustment.adjusted,
    }


def short_digest(identity: dict[str, Any]) -> str:
    """Return the digest of an identity for the name of a table folder."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]


def data_card(
    settings: DataSettings,
    files: dict[str, dict[str, Any]],
    identity: dict[str, Any],
    notes: list[str],
    truth: dict[str, Any] | None,
    source: str | None = None,
) -> dict[str, Any]:
    """Return the content of a data card.

    Args:
        settings: of the tables.
        files: split to file name, digest and counts.
        identity: what decides the tables' bytes.
        notes: of the sources.
        truth: entry of the class probabilities, where they are known.
        source: that the files of the user were generated from, where it is known.
    """
    return {
        "source": settings.source,
        "synthetic": (source or settings.source) in SYNTHETIC_SOURCES,
        "seed": getattr(settings, "seed", None),
        "settings": settings.table_settings(),
        "frequency": settings.frequency,
        "calendar": settings.calendar,
        "features": list(settings.feature_set.names),
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


def is_synthetic(card: dict[str, Any]) -> bool:
    """Whether the rows that a data card describes are of a synthetic market, also where they are read as files."""
    return bool(card.get("synthetic", card["source"] in SYNTHETIC_SOURCES))


def write_card(card: dict[str, Any], path: Path) -> None:
    """Write a data card atomically."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(card, indent=2) + "\n")


def is_enough(checks: dict[str, Any] | None, audit: str) -> bool:
    """Return whether a data card's entry of checks is enough for a setting of `audit`, so that the table is reused.

    Args:
        checks: of `FeatureChecks.entry`; None in a card without one.
        audit: `refuse`, `warn` or `off`.
    """
    if audit == "off":
        return True
    check = (checks or {}).get("look_ahead", {})
    return bool(check.get("ran")) and (audit == "warn" or not check.get("faults"))
