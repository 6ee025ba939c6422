"""Events with the user's own columns, and their validation by the rules of their files.

`{"kind": "extra", "name": "mine", "ticker": "AAPL", "date": "2024-11-29", "values": {"sentiment": 0.3}}`; without
`ticker` the values hold for every ticker, and `known_at` is a day or a time.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from ste.config.extra_settings import EXTRA, is_extra_name
from ste.config.read_options import ReadOptions
from ste.data.columns import shown_value
from ste.data.sources.extra_files import column_name
from ste.data.sources.extra_rows import DATED, ExtraCells, dated_rows
from ste.errors import DataError
from ste.streaming.events import EventError, ExtraEvent
from ste.streaming.stream_calendar import day_of, iso_date_of

HORIZON = (day_of("1950-01-01"), day_of("2100-01-01"))
"""First day of a stream, and the day after its last one."""
_CACHED = 1 << 12


def parse_extra(content: Mapping[str, Any], calendar: str, lags: Mapping[str, int]) -> ExtraEvent:
    """Parse an event of the kind `extra`.

    Args:
        content: parsed JSON.
        calendar: name of the exchange's, on whose clock times with a zone are read.
        lags: days from `date` on after which an event without `known_at` is known, by name.

    Raises:
        EventError: a field is missing or invalid.
    """
    name = content.get("name")
    if not isinstance(name, str) or not is_extra_name(name):
        raise EventError(f"name: found {_shown(name)}; expected the name of a file of own columns")
    unknown = sorted(set(content) - {"kind", "name", *DATED, "values"})
    if unknown:
        raise EventError(f"{unknown[0]}: unknown field; expected the columns of the user's own within values")
    keys = {key: content[key] for key in DATED if content.get(key) is not None}
    for key, value in keys.items():
        if not isinstance(value, str) or not value:
            raise EventError(f"{key}: found {_shown(value)}; expected text")
    if "date" not in keys and "known_at" not in keys:
        raise EventError("date: found nothing; expected a date such as 2024-11-29")
    values = _values(content)
    day, date, stamp = _dated(keys.get("date"), keys.get("known_at"), lags.get(name), calendar)
    return ExtraEvent(name, _ticker(keys["ticker"]) if "ticker" in keys else "", day, date, stamp, values)


@lru_cache(_CACHED)
def _dated(date: str | None, known_at: str | None, lag: int | None, calendar: str) -> tuple[int, int, int]:
    """Return the first day at whose close a row is known, its date and the time when it became known, nanoseconds."""
    cells = {key: pa.array([text]) for key, text in (("date", date), ("known_at", known_at)) if text is not None}
    if known_at is None and lag is None:
        cells["known_at"] = pa.nulls(1, pa.string())
    rows = _rows(cells, lag, calendar)
    day = int(rows.known[0].astype("datetime64[D]").astype(np.int64))
    if day >= HORIZON[1]:
        raise EventError(f"date: known on {iso_date_of(day)}; expected a day up to 2099")
    own, stamp = (int(times[0].astype("datetime64[ns]").astype(np.int64)) for times in (rows.date, rows.stamp))
    return max(day, HORIZON[0]), own, stamp  # no bar of a stream is older


@lru_cache(_CACHED)
def _ticker(text: str) -> str:
    """Return a ticker as files have it."""
    rows = _rows({"ticker": pa.array([text]), "date": pa.array(["2000-01-01"])}, 0, "")
    assert rows.ticker is not None
    return str(rows.ticker[0])


def _rows(cells: Mapping[str, Any], lag: int | None, calendar: str) -> Any:
    """Date one row by the rules of files."""
    try:
        dated, violations = dated_rows(ExtraCells(EXTRA, cells, {}, lag, ""), ReadOptions(calendar=calendar))
    except DataError as error:
        raise EventError(str(error)) from None
    if violations:
        one = violations[0]
        found = shown_value(one.found[0]) if one.found[0] else "nothing"
        raise EventError(f"{one.column}: found {found}; expected {one.expected}")
    return dated.rows


def _values(content: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the values by column; null is no new value."""
    values = content.get("values")
    if not isinstance(values, dict) or not values:
        raise EventError(f'values: found {_shown(values)}; expected columns such as {{"sentiment": 0.3}}')
    out: dict[str, float | None] = {}
    for column, value in values.items():
        if not isinstance(column, str) or _column(column) != column:
            raise EventError(f"values: found the column {_shown(column)}; expected letters, digits and _")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        out[column] = _finite(value) if number else None
        if value is not None and out[column] is None:
            raise EventError(f"{column}: found {_shown(value)}; expected a finite number or null")
    return out


_column = lru_cache(_CACHED)(column_name)


def _finite(number: float) -> float | None:
    """Return a number as float64, None where that cannot hold it."""
    try:
        value = float(number)
    except OverflowError:
        return None
    return value if np.isfinite(value) else None


def _shown(found: object) -> str:
    return "nothing" if found is None else repr(found)[:40]
