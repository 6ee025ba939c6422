"""Read prediction logs and weekly tables for monitoring."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ste.config.file_locations import find_files
from ste.config.header_check import check_columns
from ste.config.read_options import ReadOptions
from ste.data.bar_files.reader_registry import open_tables
from ste.data.columns import check_lines, find_repeats, typed_frame, violation
from ste.data.storage.files import read_frame
from ste.errors import DataError
from ste.inference.batch.output_parts import is_parts_folder
from ste.inference.model_card import ModelCard
from ste.schema import DIRECTION, KEYS, RETURN, Column, probability_names

LINES = (".jsonl", ".ndjson", ".json")
VERSION = "model_version"
PROVISIONAL = "provisional"
_SUM_TOLERANCE = 1e-3  # of probabilities, which files round


def read_predictions(path: Path, card: ModelCard, notes: list[str]) -> pd.DataFrame:
    """Read a prediction log: `date`, `ticker`, a probability of each class and, if present, `model_version`.

    The last line of a date and ticker counts. Provisional predictions are left out.

    Args:
        path: CSV, Parquet or JSON lines, or a folder of parts as `python -m ste.predict` writes it.
        card: card of the model.
        notes: list to which notes on omitted rows are appended.

    Raises:
        DataError: a column is missing or a value invalid.
    """
    if path.is_dir():
        frame = _read_parts(path)
    else:
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
    typed, violations = typed_frame(frame, [Column(name, "", low=0.0, high=1.0) for name in names])
    check_lines(violations, path, frame.index)
    sums = typed[names].sum(axis=1).to_numpy()
    check_lines(
        violation(np.abs(sums - 1) > _SUM_TOLERANCE, f"{names[0]} to {names[-1]}", sums, "a sum of 1"),
        path,
        frame.index,
    )
    frame = frame.assign(**typed)
    repeated = frame.duplicated(list(KEYS), keep="last")
    if repeated.any():
        notes.append(f"{repeated.sum():,} predictions left out, because a later line has the same date and ticker")
    columns = [*KEYS, *names, *([VERSION] if VERSION in frame else [])]
    return frame.loc[~repeated, columns].sort_values(list(KEYS), kind="stable", ignore_index=True)


def _read_parts(folder: Path) -> pd.DataFrame:
    """Read the parts of `python -m ste.predict`; the part of a worker may be empty."""
    files = sorted(folder.iterdir())
    if not files or not is_parts_folder(folder):
        raise DataError(f"{folder}: not a folder of parts. Expected a file, or a folder that ste.predict wrote.")
    return pd.concat([read_frame(file, allow_empty=True) for file in files], ignore_index=True)


def _read_lines(path: Path, notes: list[str]) -> pd.DataFrame:
    """Read JSON lines; an incomplete last line is left out."""
    if not path.is_file():
        raise DataError(f"{path}: no such file. Give the path of a file of predictions.")
    lines = path.read_bytes().split(b"\n")
    rows, index = [], []
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
        index.append(number - 2)  # as if below a header line, for `check_lines`
    if not rows:
        raise DataError(f"{path}: the file is empty. Expected at least one prediction.")
    return pd.DataFrame(rows, index=index)


def read_rows(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read a weekly table: `date`, `ticker`, the features, and the targets if it has any.

    Args:
        path: CSV or Parquet.
        names: names of the features.

    Raises:
        DataError: a column is missing, a value is invalid, or a ticker and date occurs twice.
    """
    frame = read_frame(path)
    check_columns(frame, (*KEYS, *names), path)
    typed, violations = typed_frame(frame, [Column(name, "") for name in names])
    check_lines(violations, path, frame.index)
    keys = {name: typed[name] for name in KEYS}
    check_lines(find_repeats(keys, "date", typed["date"], "one row per ticker and date"), path, frame.index)
    return frame.assign(**typed)


def is_table(what: str, options: ReadOptions) -> bool:
    """Whether outcomes are those of a weekly table, by its header, rather than daily bars in any shape.

    Args:
        what: path, folder or pattern, as typed.
        options: how to read.

    Raises:
        DataError: nothing is there, or the first file cannot be read.
    """
    first = next(open_tables(find_files(what, "truth")[0], options))
    return bool({RETURN, DIRECTION, "stock_close"} & set(first.header[-1]))
