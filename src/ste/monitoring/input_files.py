"""Files of a model in use: what it said, what it was given, what came."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ste.data.storage.files import read_frame
from ste.errors import DataError
from ste.inference.model_card import ModelCard
from ste.schema import KEYS, RETURN, probability_names

LINES = (".jsonl", ".ndjson", ".json")
VERSION = "model_version"
PROVISIONAL = "provisional"
_OFF = 1e-3  # by which probabilities may miss a sum of 1: files round


def read_predictions(path: Path, card: ModelCard, notes: list[str]) -> pd.DataFrame:
    """A file of predictions: `date`, `ticker`, a probability of each class and, where it has one, `model_version`.

    Of a date and ticker that stands more than once the last line counts; provisional lines are left out.

    Args:
        path: CSV, Parquet or JSON lines.
        card: of the model.
        notes: what was left out is appended.

    Raises:
        DataError: a column or value that no prediction has.
    """
    frame = _read_lines(path, notes) if path.suffix in LINES else read_frame(path)
    names = list(probability_names(tuple(card.classes)))
    missing = [name for name in (*KEYS, *names) if name not in frame]
    if missing:
        raise DataError(
            f"{path}: missing {', '.join(missing)}. Expected predictions of {card.name}, as python -m ste.predict "
            f"writes them: {', '.join((*KEYS, *names))}."
        )
    if PROVISIONAL in frame:
        early = frame[PROVISIONAL].astype(str).str.lower().isin(["true", "1", "1.0"])
        if early.any():
            notes.append(f"{early.sum():,} provisional predictions left out")
        frame = frame[~early]
    frame = frame.assign(date=_dates(frame["date"], path), ticker=frame["ticker"].astype(str))
    chances = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    off = ~np.isfinite(chances).all(axis=1) | (chances < 0).any(axis=1) | (np.abs(chances.sum(axis=1) - 1) > _OFF)
    if off.any():
        line = int(frame.index[off][0])
        raise DataError(
            f"{path}: line {line + 2}: {', '.join(names)} are {', '.join(map(str, frame.loc[line, names]))} "
            f"({off.sum()} such rows). Expected probabilities that add up to 1."
        )
    frame[names] = chances
    twice = frame.duplicated(list(KEYS), keep="last")
    if twice.any():
        notes.append(f"{twice.sum():,} predictions of a date and ticker that stands again later left out")
    kept = [*KEYS, *names, *([VERSION] if VERSION in frame else [])]
    return frame.loc[~twice, kept].sort_values(list(KEYS), kind="stable", ignore_index=True)


def _read_lines(path: Path, notes: list[str]) -> pd.DataFrame:
    """JSON lines; one that is still being written at the end is left out."""
    if not path.is_file():
        raise DataError(f"{path}: no such file. Give the path of a file of predictions.")
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
        except ValueError as error:
            if number == len(lines):  # no line end after it
                notes.append(f"the last line of {path.name} is not whole yet and left out")
                break
            raise DataError(
                f"{path}: line {number} cannot be read as JSON ({str(error).splitlines()[0]}). Expected one object on "
                "each line."
            ) from None
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: the file is empty. Expected at least one prediction.")
    return pd.DataFrame(rows)


def read_rows(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """A weekly table, labelled or not: `date`, `ticker`, the features and whatever targets it has.

    Raises:
        DataError: a column is missing, or a feature is no finite number.
    """
    frame = read_frame(path)
    missing = [name for name in (*KEYS, *names) if name not in frame]
    if missing:
        raise DataError(f"{path}: missing {', '.join(missing)}. Expected date, ticker and the model's features.")
    values = frame[list(names)].apply(pd.to_numeric, errors="coerce")
    off = ~np.isfinite(values.to_numpy(dtype=np.float64))
    if off.any():
        row, column = (int(at) for at in np.argwhere(off)[0])
        raise DataError(
            f"{path}: line {row + 2}: {names[column]} is {frame[names[column]].iloc[row]} ({off.any(axis=1).sum()} "
            "such rows). Expected finite numbers."
        )
    frame[list(names)] = values
    frame = frame.assign(date=_dates(frame["date"], path))
    twice = frame.duplicated(list(KEYS))
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        ticker, day = frame["ticker"].iloc[row], frame["date"].iloc[row]
        raise DataError(f"{path}: line {row + 2}: {ticker} {day:%Y-%m-%d} is there before. Expected each row once.")
    return frame


def is_bars(path: Path) -> bool:
    """Whether a file holds daily bars rather than a weekly table."""
    frame = read_frame(path)
    return "close" in frame and RETURN not in frame and "stock_close" not in frame


def _dates(column: pd.Series, path: Path) -> pd.Series:
    # The day as it is written: an offset says where, and days of several zones stand in one file.
    dates = pd.to_datetime(column.astype(str).str.slice(0, 10), errors="coerce", format="ISO8601")
    if dates.isna().any():
        line = int(column.index[dates.isna()][0])
        raise DataError(f"{path}: line {line + 2}: date {column.loc[line]}. Expected a day such as 2024-11-29.")
    return dates.dt.normalize()
