"""Read prediction logs and weekly tables for monitoring."""

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
_SUM_TOLERANCE = 1e-3  # of probabilities, which files round


def read_predictions(path: Path, card: ModelCard, notes: list[str]) -> pd.DataFrame:
    """Read a prediction log: `date`, `ticker`, a probability of each class and, if present, `model_version`.

    The last line of a date and ticker counts. Provisional predictions are left out.

    Args:
        path: CSV, Parquet or JSON lines.
        card: card of the model.
        notes: list to which notes on omitted rows are appended.

    Raises:
        DataError: a column is missing or a value invalid.
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
        provisional = frame[PROVISIONAL].astype(str).str.lower().isin(["true", "1", "1.0"])
        if provisional.any():
            notes.append(f"{provisional.sum():,} provisional predictions left out")
        frame = frame[~provisional]
    frame = frame.assign(date=_dates(frame["date"], path), ticker=frame["ticker"].astype(str))
    probs = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    invalid = ~np.isfinite(probs).all(axis=1) | (probs < 0).any(axis=1)
    invalid |= np.abs(probs.sum(axis=1) - 1) > _SUM_TOLERANCE
    if invalid.any():
        line = int(frame.index[invalid][0])
        raise DataError(
            f"{path}: line {line + 2}: {', '.join(names)} are {', '.join(map(str, frame.loc[line, names]))} "
            f"({invalid.sum()} such rows). Expected probabilities that add up to 1."
        )
    frame[names] = probs
    repeated = frame.duplicated(list(KEYS), keep="last")
    if repeated.any():
        notes.append(f"{repeated.sum():,} predictions left out, because a later line has the same date and ticker")
    columns = [*KEYS, *names, *([VERSION] if VERSION in frame else [])]
    return frame.loc[~repeated, columns].sort_values(list(KEYS), kind="stable", ignore_index=True)


def _read_lines(path: Path, notes: list[str]) -> pd.DataFrame:
    """Read JSON lines; an incomplete last line is left out."""
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
            if number == len(lines):  # without a line end: still being written
                notes.append(f"the last line of {path.name} is incomplete and left out")
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
    """Read a weekly table: `date`, `ticker`, the features, and the targets if it has any.

    Args:
        path: CSV or Parquet.
        names: names of the features.

    Raises:
        DataError: a column is missing, or a feature is not a finite number.
    """
    frame = read_frame(path)
    missing = [name for name in (*KEYS, *names) if name not in frame]
    if missing:
        raise DataError(f"{path}: missing {', '.join(missing)}. Expected date, ticker and the model's features.")
    values = frame[list(names)].apply(pd.to_numeric, errors="coerce")
    invalid = ~np.isfinite(values.to_numpy(dtype=np.float64))
    if invalid.any():
        row, column = (int(i) for i in np.argwhere(invalid)[0])
        raise DataError(
            f"{path}: line {row + 2}: {names[column]} is {frame[names[column]].iloc[row]} "
            f"({invalid.any(axis=1).sum()} such rows). Expected finite numbers."
        )
    frame[list(names)] = values
    frame = frame.assign(date=_dates(frame["date"], path))
    repeated = frame.duplicated(list(KEYS))
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        ticker, day = frame["ticker"].iloc[row], frame["date"].iloc[row]
        raise DataError(f"{path}: line {row + 2}: {ticker} {day:%Y-%m-%d} occurs twice. Expected each row once.")
    return frame


def is_bars(path: Path) -> bool:
    """Whether a file holds daily bars rather than a weekly table."""
    frame = read_frame(path)
    return "close" in frame and RETURN not in frame and "stock_close" not in frame


def _dates(column: pd.Series, path: Path) -> pd.Series:
    # Only the written day counts: one file may hold offsets of several time zones.
    dates = pd.to_datetime(column.astype(str).str.slice(0, 10), errors="coerce", format="ISO8601")
    if dates.isna().any():
        line = int(column.index[dates.isna()][0])
        raise DataError(f"{path}: line {line + 2}: date {column.loc[line]}. Expected a day such as 2024-11-29.")
    return dates.dt.normalize()
