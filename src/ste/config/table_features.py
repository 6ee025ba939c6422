"""The features of a ready table by its own columns: `features=columns`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from ste.config.feature_sets import ALL_COLUMNS, DEFAULT, ChosenFeatures, join, load_feature_set, shipped_sets
from ste.errors import ConfigError, DataError
from ste.schema import NOT_FEATURES, Column, FeatureSet

_ROWS = 2000  # of the table that decide the units


def table_feature_set(table: str, chosen: ChosenFeatures) -> FeatureSet:
    """Return the set of all numeric columns of a table, except dates, tickers, targets and what labels need.

    A column of a shipped set has its unit; any other is a `count` where it holds whole numbers of 0 or more, of which
    one is above 1, and a `ratio` otherwise.

    Args:
        table: training table: a file, or a folder of its parts.
        chosen: `columns`, or sets of which it is one.

    Raises:
        ConfigError: the table has no further numeric column.
        DataError: the table cannot be read.
    """
    names = [chosen] if isinstance(chosen, str) else list(chosen)
    given = [load_feature_set(name) for name in names if name != ALL_COLUMNS]
    defined = {column.name for one in given for column in one.columns}
    shipped = {column.name: column for one in shipped_sets() for column in one.columns}
    head = _first_rows(Path(table).expanduser())
    numeric = [str(name) for name in head if is_numeric_dtype(head[name].dtype) and not is_bool_dtype(head[name].dtype)]
    own = [name for name in numeric if name not in NOT_FEATURES and name not in defined]
    if not own and not given:
        raise ConfigError(
            f"features={ALL_COLUMNS}: {table} has no numeric column but {', '.join(numeric) or 'none'}. Expected "
            f"features, or another set. Try features={DEFAULT}."
        )
    columns = tuple(
        shipped[name] if name in shipped else Column(name, name, unit=_unit(head[name]), group="own") for name in own
    )
    return join([*given, FeatureSet(ALL_COLUMNS, columns)])


def _unit(values: pd.Series) -> str:
    known = values.dropna().to_numpy(dtype=np.float64)
    whole = len(known) > 0 and bool((known >= 0).all() and (known == np.round(known)).all() and (known > 1).any())
    return "count" if whole else "ratio"


def _first_rows(path: Path) -> pd.DataFrame:
    if path.is_dir():
        path = next(iter(sorted(path.glob("*.parquet"))), path)
    try:
        if path.suffix == ".parquet":
            return next(pq.ParquetFile(path).iter_batches(_ROWS)).to_pandas()
        return pd.read_csv(path, nrows=_ROWS)
    except FileNotFoundError:
        raise DataError(f"data.train={path}: no such file. Give the path of a CSV or Parquet file.") from None
    except (ValueError, OSError, StopIteration) as error:
        reason = (str(error).splitlines() or ["no rows"])[0]
        raise DataError(f"{path}: cannot be read as a table ({reason}). Expected CSV or Parquet.") from None
