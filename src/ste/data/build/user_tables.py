"""Check and describe the user's own tables, which stay where they are."""

from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from ste.config import TableSettings
from ste.data.build.data_card import BUILD, PreparedData, data_card, short_digest, write_card
from ste.data.build.split_summary import SplitSummary
from ste.data.build.table_folder import TENSORS, read_card, source_of_table
from ste.data.sources.table_files import check_horizon, check_split_order
from ste.data.storage.files import sha256
from ste.data.storage.parquet_shards import digest, digests
from ste.data.storage.tables import read_table
from ste.errors import DataError
from ste.schema import SPLITS


def existing_files(settings: TableSettings) -> PreparedData:
    """Check and describe the user's own files, and leave them in place."""
    files = {split: Path(path) for split, path in settings.files().items()}
    frames = {split: read_table(path, settings.periods, settings.features) for split, path in files.items()}
    check_split_order({split: (frame["date"].min(), frame["date"].max()) for split, frame in frames.items()}, files)
    table = pd.concat(frames.values(), ignore_index=True)
    check_horizon(table, settings)
    codes = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()]).astype(np.int8)
    summary = SplitSummary(settings)
    summary.add(table, codes)
    counts = summary.entries()
    entries = {split: {"file": path.name, "sha256": sha256(path), **counts[split]} for split, path in files.items()}
    identity = {"build": BUILD, **settings.table_settings()}
    source = source_of_table(files["train"], entries["train"]["sha256"])
    return PreparedData(files=files, truth=None, card=data_card(settings, entries, identity, [], None, source))


def existing_parts(settings: TableSettings, folders: dict[str, Path], root: Path) -> PreparedData:
    """Check and describe the user's own folders of parts, and map them as arrays, on first use."""
    from ste.data.sources.table_parts import checked_blocks
    from ste.data.storage.memory_mapped import TensorWriter

    single = [split for split in settings.files() if split not in folders]
    if single:
        raise DataError(
            f"data.{single[0]}={settings.files()[single[0]]}: is a file, and data.{next(iter(folders))} a folder of "
            "parts. Expected all of them in one form."
        )
    parts = {split: digests(path) for split, path in folders.items()}
    identity = {"build": BUILD, **settings.table_settings(), "parts": parts}
    folder = root / f"tables-{short_digest(identity)}"
    folder.mkdir(parents=True, exist_ok=True)
    card_path, tensors = folder / "data_card.json", folder / TENSORS
    with FileLock(folder / ".lock"):
        card = read_card(card_path)
        reused = card.get("identity") == identity
        if not reused:
            summary = SplitSummary(settings)
            with TensorWriter(tensors, settings.features, settings.periods) as writer:
                for block in checked_blocks(folders, settings):
                    summary.add(block, block["split"].to_numpy())
                    writer.append(block)
                counts = summary.entries()
                files = {
                    split: {"file": path.name, "sha256": digest(parts[split]), "parts": parts[split], **counts[split]}
                    for split, path in folders.items()
                }
                source = source_of_table(folders["train"], files["train"]["sha256"])
                card = data_card(settings, files, identity, [], None, source)
                writer.finish(card["digest"])
            write_card(card, card_path)
    return PreparedData(files=folders, truth=None, card=card, reused=reused, tensors=tensors)
