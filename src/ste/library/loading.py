"""Load bars or labelled tables, from files or from memory: `ste.load`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ste.config.data_settings import SOURCES, DataSettings
from ste.config.input_checks import check_data_files
from ste.config.load import build_settings
from ste.config.program_values import compose_values, split_choices
from ste.config.progress import one_line
from ste.data.build.prepare import prepare
from ste.data.panel import Panel
from ste.data.splits import assign_splits
from ste.data.storage.files import read_frame
from ste.data.storage.tables import table_header
from ste.errors import ConfigError
from ste.library.data_files import DataFiles, is_table
from ste.library.dataset import Dataset
from ste.library.own_features import Features, feature_settings
from ste.market.calendar import Periods, trading_calendar
from ste.schema import BARS, DIRECTION, SPLITS

GENERATED = ("sample", "world", "seed")
"""Sources that need no file."""

_FRAMES = ("news", "macro", "policy", "universe", "delisted")


def load(
    source: Any = "sample",
    *,
    features: Features | Sequence[Features] | None = None,
    frequency: str | None = None,
    labels: Mapping[str, Any] | str | None = None,
    split: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    ticker: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Dataset:
    """Load a market or a labelled table, check it, and build its labelled rows.

    Tables in memory pass the same readers and rules as files. Copies of them and the tables that are built lie in a
    temporary folder that the dataset owns; nothing is written to the current folder.

    Args:
        source: bars as a path, folder, pattern, several paths, a DataFrame (in any shape that files of bars have; an
            index of dates or tickers counts as a column), or DataFrames by ticker; a labelled table as a file or
            DataFrame with the targets' columns, or one of each split by its name; or `sample` (real US stocks),
            `world` (a synthetic market) or `seed`.
        features: feature set, or several: names, YAML files, `ste.FeatureSet`, or columns such as
            `{"momentum": "$close/Ref($close, 60) - 1"}`. Default: `weekly21`.
        frequency: `weekly` (default), `daily` or `monthly` rows.
        labels: settings of the labels, such as `{"threshold": 0.02}`.
        split: settings of the split, such as `{"validation_start": "2019-01-01", "test_start": "2021-01-01"}`.
        extra: files or DataFrames of your own columns by name, read in expressions as `$NAME.column`.
        ticker: of bars that have no column of tickers.
        folder: that keeps the copies and tables; None is a temporary one. A tracked run of DataFrames can be evaluated
            again later only with a folder.
        settings: further settings of the data by their names (docs/all_settings.md), such as `tickers`, `start`,
            `news`, `extra_lag`, `sequence_length`, `batch_size`; `news`, `macro`, `policy`, `universe` and `delisted`
            may be DataFrames.

    Returns:
        The labelled rows.

    Raises:
        SteError: settings, files or rows that cannot be used; the message names them and what is expected.
    """
    files = DataFiles(folder)
    given = {"frequency": frequency, "labels": labels, "split": split} | settings
    values = {name: value for name, value in given.items() if value is not None}
    with files.named():
        for name in _FRAMES:
            if name in values:
                values[name] = files.path(values[name], name)
        if extra:
            values["extra"] = {name: files.path(one, f"extra-{name}") for name, one in extra.items()}
        group, own = _source(source, ticker, files, values)
        choices, values = split_choices("train", values)
        stated = {f"data.{name}": value for name, value in (values | own).items()}
        if features is not None:
            stated["features"] = feature_settings(features)
        config = compose_values("train", {"data": group, **choices}, stated)
        return _dataset(config, files, _call(source, given | {"features": features, "extra": extra}))


def _dataset(config: dict[str, Any], files: DataFiles, call: str) -> Dataset:
    """Validate settings, build or read the tables, and read their rows."""
    settings: DataSettings = build_settings(SOURCES[config["data"]["source"]], config["data"])
    check_data_files(settings)
    with one_line():
        panel = Panel.read(prepare(settings, files.folder), settings)
    return Dataset(settings, panel, {key: config[key] for key in ("features", "data")}, call, files)


def _source(source: Any, ticker: str | None, files: DataFiles, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the `data` group of a source, and the settings that name its files."""
    if isinstance(source, str) and source in GENERATED:
        return source, {}
    if isinstance(source, Mapping) and set(source) <= set(SPLITS) and source:
        return "csv", {name: files.path(_in_order(table), name) for name, table in source.items()}
    table = _labelled_table(source)
    if table is not None:
        return "csv", {name: files.path(rows, name) for name, rows in _by_split(table, values).items()}
    return "market", {"bars": files.path(source, "bars", ticker)}


def _labelled_table(source: Any) -> pd.DataFrame | None:
    """Return a labelled table as a frame; None where the source holds bars."""
    if is_table(source):
        names = source.columns if isinstance(source, pd.DataFrame) else getattr(source, "column_names", source.columns)
        if DIRECTION not in list(names):
            return None
        return source if isinstance(source, pd.DataFrame) else source.to_pandas()
    if not isinstance(source, str | os.PathLike):
        return None
    path = Path(source).expanduser()
    if not path.is_file() or not path.name.endswith((".csv", ".csv.gz", ".parquet")):
        return None
    try:
        header = table_header(path)
    except (OSError, ValueError):  # of a file that only the reader of bars understands, or names the fault of
        return None
    return read_frame(path) if DIRECTION in header else None


def _by_split(table: pd.DataFrame, values: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Divide one labelled table by its column `split`, or by the settings of the split."""
    if "date" not in table and isinstance(table.index, pd.DatetimeIndex):
        table = table.rename_axis("date").reset_index()
    if "split" in table:
        if "split" in values:
            raise ConfigError("split: the table has a column split too. Leave one of the two out.")
        unknown = sorted({str(one) for one in table["split"].unique()} - {*SPLITS, "history"})
        if unknown:
            raise ConfigError(f"column split: found {unknown[0]}. Expected {', '.join(SPLITS)} or history.")
        codes = table["split"].map({name: code for code, name in enumerate(SPLITS)})
        table = _in_order(table)
        # A row of the purge belongs to the split before it.
        codes = codes.reindex(table.index).ffill().bfill().astype(int).cummax()
        return _parts(table.drop(columns="split"), codes.to_numpy())
    settings = build_settings(
        SOURCES["csv"],
        {"source": "csv", "train": "-", "validation": "-", "split": values.get("split", {})}
        | {name: values[name] for name in ("calendar", "frequency") if name in values},
    )
    if settings.calendar == BARS:
        raise ConfigError(f"calendar={BARS}: give the table a column split with {', '.join(SPLITS)}.")
    table = _in_order(table)
    periods = Periods(settings.frequency, trading_calendar(settings.calendar))
    return _parts(table, assign_splits(table["date"].reset_index(drop=True), settings.split, periods))


def _in_order(table: Any) -> Any:
    """Return a frame in the order of its dates, as files of labelled rows are; anything else as it is."""
    if not isinstance(table, pd.DataFrame) or not {"date", "ticker"} <= set(table.columns):
        return table
    try:
        return table.assign(date=pd.to_datetime(table["date"])).sort_values(["date", "ticker"], kind="stable")
    except ValueError:  # its reader names the fault
        return table


def _parts(table: pd.DataFrame, codes: np.ndarray) -> dict[str, pd.DataFrame]:
    return {name: table[codes == code] for code, name in enumerate(SPLITS) if (codes == code).any()}


def _call(source: Any, given: Mapping[str, Any]) -> str:
    """Write the call, with tables in memory by their kind."""
    stated = [f"{name}={_text(value)}" for name, value in given.items() if value is not None]
    return f"ste.load({', '.join([_text(source), *stated])})"


def _text(value: Any) -> str:
    if is_table(value):
        return "TABLE"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_text(one)}" for key, one in value.items()) + "}"
    return repr(os.fspath(value)) if isinstance(value, os.PathLike) else repr(value)
