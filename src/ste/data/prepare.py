"""From settings to files: build a source's tables once, describe them in a card, use them again.

A table folder holds `training_data_…`, `validation_data_…` and `test_data_…`, a synthetic world's
`truth_…` and the `data_card_…json` that names them all with their digests. The card is written last: a
folder without one was not finished and is built again.
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

from ste.data.calendar import periods
from ste.data.features import CLOSE, NUMBER, feature_rows
from ste.data.files import sha256, whole_file, write_frame
from ste.data.labels import future_returns, label, thresholds
from ste.data.market import Market
from ste.data.split import assign, counted
from ste.data.table import read_table
from ste.errors import DataError
from ste.schema import (
    CLASS_NAMES,
    DIRECTION,
    FEATURE_SETS,
    PERIOD,
    PROBABILITIES,
    RETURN,
    SPLITS,
    class_names,
    table_columns,
)
from ste.settings import DataSettings, MarketSettings, TableSettings, WorldSettings
from ste.world import law
from ste.world.draw import draw

log = logging.getLogger(__name__)

BUILD = 1
"""Raise it when the same settings would give other bytes: older folders are then built again."""

FILE_NAMES = {"train": "training_data", "validation": "validation_data", "test": "test_data"}


@dataclass(frozen=True)
class PreparedData:
    """Weekly tables on disk.

    Attributes:
        files: split to file.
        truth: a synthetic world's class probabilities by date and ticker, or None.
        card: what the tables are (see `data_card_…json`).
        reused: whether they were there already.
    """

    files: dict[str, Path]
    truth: Path | None
    card: dict[str, Any]
    reused: bool = False

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
        return _ready(settings)
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
        card = _read_card(path)
        if card.get("identity") != identity:
            continue
        for entry in _entries(card):
            file = folder / entry["file"]
            if not file.is_file():
                return None
            if sha256(file) != entry["sha256"]:
                raise DataError(
                    f"{file}: was changed since it was built. Delete it to have it built again, or train on "
                    f"it as it is with data=csv data.train=… data.validation=…"
                )
        files = {split: folder / entry["file"] for split, entry in card["files"].items()}
        truth = folder / card["truth"]["file"] if card["truth"] else None
        return PreparedData(files=files, truth=truth, card=card, reused=True)
    return None


def _build(settings: DataSettings, identity: dict[str, Any], folder: Path) -> PreparedData:
    table, split, truth, market = build_table(settings)
    dates = table["date"]
    first = getattr(settings, "start", None) or f"{dates.min():%Y-%m-%d}"
    last = getattr(settings, "end", None) or f"{dates.max():%Y-%m-%d}"
    period = f"{first.replace('-', '')}-{last.replace('-', '')}"
    path = folder / f"data_card_{period}.json"
    codes = [code for code in range(len(SPLITS)) if (split == code).any()]
    files = {SPLITS[code]: folder / f"{FILE_NAMES[SPLITS[code]]}_{period}.{settings.format}" for code in codes}
    truth_path = folder / f"truth_{period}.{settings.format}" if truth is not None else None
    _make_room(path, [*files.values(), *([truth_path] if truth_path else [])], own=settings.folder is None)
    keep = counted(dates, split, settings.split.gap(settings.labels.horizon), settings.frequency)
    entries = {}
    for name, file in files.items():
        rows = split == SPLITS.index(name)
        write_frame(table.loc[rows], file)
        entries[name] = _entry(table[rows], keep[rows], file)
    if truth is not None and truth_path is not None:
        write_frame(truth, truth_path)
    card = _card(settings, entries, identity, market.notes, truth_path)
    with whole_file(path) as partial:
        partial.write_text(json.dumps(card, indent=2) + "\n")
    return PreparedData(files=files, truth=truth_path, card=card)


def _read_card(path: Path) -> dict[str, Any]:
    """A card, or the note of a build that has begun; empty where there is neither or it cannot be read."""
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    known = isinstance(card, dict) and ("building" in card or {"files", "truth", "identity"} <= set(card))
    return card if known else {}


def _entries(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Every file that a card names: the splits' and, where there is one, the truth's."""
    return [*card["files"].values(), *([card["truth"]] if card["truth"] else [])]


def _make_room(card_path: Path, targets: list[Path], *, own: bool) -> None:
    """Remove what an older card names, refuse to touch what none explains, and say what is being built.

    The note that a build has begun stands where the card will be: after a kill, the half-built files are
    known to be ours. In a folder of our `own`, named by its settings, nothing else is expected.
    """
    card = _read_card(card_path)
    ours = dict.fromkeys(card.get("building", [file.name for file in targets] if own else []))
    if "files" in card:
        ours |= {entry["file"]: entry["sha256"] for entry in _entries(card)}
    for file in {*targets, *(card_path.parent / Path(name).name for name in ours)}:
        if not file.is_file():
            continue
        if file.name not in ours or ours[file.name] not in (None, sha256(file)):
            raise DataError(
                f"{file}: is there already and was not built by these settings, or was changed since. "
                "Move it, or choose another place with data.folder=DIR."
            )
        file.unlink()
    with whole_file(card_path) as partial:
        partial.write_text(json.dumps({"building": [file.name for file in targets]}) + "\n")


def daily_sources(settings: DataSettings) -> Market:
    """The bars, news, macro releases and policy events that tables are built from."""
    if isinstance(settings, WorldSettings):
        return draw(settings)
    if isinstance(settings, MarketSettings):
        from ste.data.market_files import read_market  # and the library of its contracts

        return read_market(settings)
    raise TypeError(f"{type(settings).__name__} has no daily sources")


def build_table(
    settings: DataSettings,
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame | None, Market]:
    """The whole labelled table in memory, with each row's split code, the truth and the sources.

    Returns:
        The table sorted by date and ticker; int8 `[N]` codes of `split.assign`; for a world with weekly
        rows and a horizon of one its class probabilities by date and ticker, else None.
    """
    market = daily_sources(settings)
    features = feature_rows(market, settings.frequency, settings.features)
    if features.empty:
        lookback = FEATURE_SETS[settings.features].lookback
        raise DataError(
            f"data: no ticker has the {lookback} sessions of bars that a row looks back on. Give longer bars."
        )
    known = isinstance(settings, WorldSettings) and (settings.frequency, settings.labels.horizon) == ("weekly", 1)
    known &= settings.features == "full"
    if isinstance(settings, WorldSettings) and known:
        features["mu"], features["sigma"] = law.of_table(features, settings.signal)
    table = future_returns(features, settings.labels.horizon)
    start, end = getattr(settings, "start", None), getattr(settings, "end", None)
    inside = np.ones(len(table), dtype=bool)
    if start is not None:
        inside &= table["date"] >= pd.Timestamp(start)
    if end is not None:
        inside &= table["date"] <= pd.Timestamp(end)
    table = table[inside].sort_values(["date", "ticker"], kind="stable").reset_index(drop=True)
    if table.empty:
        raise DataError(
            f"data: no labelled {PERIOD[settings.frequency]} between data.start={start} and data.end={end}. "
            f"The sources reach from {market.bars['date'].min():%Y-%m-%d} to {market.bars['date'].max():%Y-%m-%d}."
        )
    split = assign(table["date"], settings.split, settings.frequency)
    gap = settings.split.gap(settings.labels.horizon)
    training = (split == 0) & counted(table["date"], split, gap, settings.frequency)
    if not training.any():
        raise DataError("data.split: no training row is left after the purge. Give the table more rows.")
    low, high = thresholds(table, training, settings.labels)
    truth = None
    if known:
        chances = law.probabilities(table["mu"].to_numpy(), table["sigma"].to_numpy(), low, high)
        truth = table[["date", "ticker"]].assign(**dict(zip(PROBABILITIES, chances.T, strict=True)))
    return label(table, low, high)[list(table_columns(settings.features))], split, truth, market


def _entry(rows: pd.DataFrame, keep: np.ndarray, path: Path) -> dict[str, Any]:
    classes = np.bincount(rows[DIRECTION].to_numpy(), minlength=len(CLASS_NAMES))
    return {
        "file": path.name,
        "sha256": sha256(path),
        "rows": len(rows),
        "purged": int((~keep).sum()),
        "first": f"{rows['date'].min():%Y-%m-%d}",
        "last": f"{rows['date'].max():%Y-%m-%d}",
        "periods": int(rows["date"].nunique()),
        "tickers": int(rows["ticker"].nunique()),
        "classes": dict(zip(CLASS_NAMES, classes.tolist(), strict=True)),
    }


def _card(
    settings: DataSettings,
    entries: dict[str, dict[str, Any]],
    identity: dict[str, Any],
    notes: list[str],
    truth: Path | None,
) -> dict[str, Any]:
    digests = "".join(entry["sha256"] for entry in entries.values())
    if settings.labels.classes != len(CLASS_NAMES):  # other examples of the same bytes
        digests += f"classes={settings.labels.classes}"
    seed = getattr(settings, "seed", None)
    return {
        "source": settings.source,
        "seed": seed,
        "settings": settings.table_settings(),
        "frequency": settings.frequency,
        "features": list(FEATURE_SETS[settings.features].names),
        "classes": list(class_names(settings.labels.classes)),
        "files": entries,
        "truth": {"file": truth.name, "sha256": sha256(truth)} if truth else None,
        "purge": settings.split.gap(settings.labels.horizon),
        "protocol": (
            "the seed document's: rows cut in date order without purge, so that a week lies in both splits"
            if settings.split.by == "row"
            else "split by date, purged: a split's last periods are history for the next and count in no score"
        ),
        "notes": notes,
        "digest": hashlib.sha256(digests.encode()).hexdigest()[:16],
        "identity": identity,
    }


def _check_horizon(table: pd.DataFrame, settings: TableSettings) -> None:
    """Raise if the labels look further ahead than the settings say: the purge would be too short."""
    rows = table.sort_values(["ticker", "date"], kind="stable")
    if "stock_close" in rows:
        close = rows["stock_close"]
    else:
        close = (1.0 + rows["price_adjusted_change"]).groupby(rows["ticker"]).cumprod()
    rows[NUMBER], rows[CLOSE] = periods(rows["date"], settings.frequency), close
    agreement = {}
    for horizon in range(1, 14):
        ahead = future_returns(rows, horizon) if len(rows) > horizon else rows.iloc[:0]
        if len(ahead):
            stated = rows.loc[ahead.index, RETURN]
            agreement[horizon] = float(np.isclose(ahead[RETURN], stated, rtol=1e-3, atol=1e-5).mean())
    best = max(agreement, key=lambda h: agreement[h], default=None)
    stated_horizon = settings.labels.horizon
    # Files may round, or adjust closes on another scale; only a clear case is refused.
    if best is not None and best != stated_horizon and agreement[best] > 0.8 > agreement.get(stated_horizon, 0.0):
        raise DataError(
            f"data.labels.horizon={stated_horizon}: in these tables {RETURN} is the return over {best} "
            f"{PERIOD[settings.frequency]}s ({agreement[best]:.0%} of the rows agree with their ticker's own later "
            "close). "
            f"Try data.labels.horizon={best}, which also decides the purge."
        )


def _ready(settings: TableSettings) -> PreparedData:
    """Files that are tables already: checked, described, left where they are."""
    files = {split: Path(path) for split, path in settings.files().items()}
    frames = {split: read_table(path, settings.frequency, settings.features) for split, path in files.items()}
    previous: str | None = None
    for split, frame in frames.items():
        if previous is not None and frame["date"].min() <= frames[previous]["date"].max():
            raise DataError(
                f"{files[split]}: begins on {frame['date'].min():%Y-%m-%d}, but {files[previous]} reaches to "
                f"{frames[previous]['date'].max():%Y-%m-%d}. Expected train, validation and test in date order "
                "without overlap. (The seed document's own cut goes through a week: data=seed repeats it.)"
            )
        previous = split
    whole = pd.concat(frames.values(), ignore_index=True)
    _check_horizon(whole, settings)
    dates = whole["date"]
    codes = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()]).astype(np.int8)
    keep = counted(dates, codes, settings.split.gap(settings.labels.horizon), settings.frequency)
    entries = {
        split: _entry(frame, keep[codes == SPLITS.index(split)], files[split]) for split, frame in frames.items()
    }
    identity = {"build": BUILD, **settings.table_settings()}
    return PreparedData(files=files, truth=None, card=_card(settings, entries, identity, [], None))
