"""The user's own columns in a request with bars: the rules of their files, faults by field. R rows."""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import ConfigDict, FailFast, Field, with_config
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from ste.config.extra_settings import EXTRA, is_extra_name
from ste.config.read_options import ReadOptions
from ste.data.columns import shown_value
from ste.data.sources.extra_files import column_name
from ste.data.sources.extra_rows import DATED, ExtraCells, dated_rows
from ste.data.sources.extra_summary import ExtraReading
from ste.market.extra_table import ExtraTable, extra_table
from ste.serving.problems import Fault

_YEARS = r"(19[7-9][0-9]|20[0-9]{2})-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
_NAME = "expected a name of letters, digits and _ that starts with a letter"


def extra_schema(max_value: float) -> Any:
    """Return the type of `extra`: rows by name of the file that a feature set names.

    Args:
        max_value: largest magnitude of a value.
    """
    value = Annotated[float, Field(ge=-max_value, le=max_value)]
    keys = {
        "ticker": NotRequired[Annotated[str, Field(min_length=1, max_length=32)]],
        "date": NotRequired[Annotated[str, Field(pattern=f"^{_YEARS}$")]],
        "known_at": NotRequired[Annotated[str, Field(pattern=f"^{_YEARS}({_CLOCK})?$")]],
    }
    row_type: Any = TypedDict("ExtraInput", keys, extra_items=value | None)  # type: ignore[misc]
    row: Any = with_config(ConfigDict(strict=True, allow_inf_nan=False))(row_type)
    return Annotated[
        dict[str, Annotated[list[row], FailFast(), Field(min_length=1)]],
        Field(description="Columns of the user's own by name of their file; a value is used from `known_at` on."),
    ]


def read_extra(
    request: Mapping[str, list[dict[str, Any]]], options: ReadOptions, lags: Mapping[str, int]
) -> tuple[dict[str, tuple[ExtraTable, ExtraReading]], list[Fault]]:
    """Read the own columns of a request.

    Args:
        request: rows by name, of the type `extra_schema`.
        options: with the calendar, whose exchange has the clock.
        lags: days from `date` on after which a row without `known_at` is known, by name.

    Returns:
        Table and reading by name, complete where there is no fault; and the faults.
    """
    tables, faults = {}, []
    for name, rows in request.items():
        found = _faults_of_names(name, rows)
        if not found:
            cells = _cells(name, rows, lags.get(name))
            dated, violations = dated_rows(cells, options)
            for one in violations:
                for row, value in zip(one.rows.tolist(), one.found, strict=True):
                    detail = f"found {shown_value(value) if value else 'nothing'}, expected {one.expected}"
                    found.append(Fault((EXTRA, name, row, one.column), detail))
            if not found:
                table, outdated = extra_table(dated.rows)
                tables[name] = table, ExtraReading(f"{EXTRA}.{name}", dated, outdated, cells.lag)
        faults += found
    return tables, faults


def _faults_of_names(name: str, rows: list[dict[str, Any]]) -> list[Fault]:
    """Check names, and that the rows have the same of `DATED` and one that dates them."""
    if not is_extra_name(name):
        return [Fault((EXTRA, name), f"{_NAME} and is no field of a bar")]
    columns = {column for row in rows for column in row} - set(DATED)
    if not columns:
        return [Fault((EXTRA, name, 0), "expected at least one value next to ticker, date and known_at")]
    for column in sorted(columns):
        if column_name(column) != column:
            row = next(at for at, one in enumerate(rows) if column in one)
            return [Fault((EXTRA, name, row, column), _NAME)]
    for key in ("ticker", "date"):
        present = [key in row for row in rows]
        if any(present) and not all(present):
            return [Fault((EXTRA, name, present.index(False), key), "expected in every row or in none")]
    if not any("date" in row or "known_at" in row for row in rows):
        return [Fault((EXTRA, name, 0, "known_at"), "expected the day from which the row is known, or its time")]
    return []


def _cells(name: str, rows: list[dict[str, Any]], lag: int | None) -> ExtraCells:
    frame = pd.DataFrame(rows)
    keys = {key: pa.array([row.get(key) for row in rows], pa.string()) for key in DATED if key in frame}
    if lag is None and "known_at" not in keys:
        keys["known_at"] = pa.nulls(len(rows), pa.string())
    values = {str(column): frame[column].to_numpy(np.float64) for column in frame if column not in DATED}
    return ExtraCells(f"{EXTRA}.{name}", keys, values, lag, "")
