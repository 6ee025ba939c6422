"""Events with the user's own columns, and their validation by the rules of their files.

`{"kind": "extra", "name": "mine", "ticker": "AAPL", "date": "2024-11-29", "values": {"sentiment": 0.3}}`; without
`ticker` the values hold for every ticker, and `known_at` is a day or a time.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ste.config.extra_settings import EXTRA, is_extra_name
from ste.config.read_options import ReadOptions
from ste.data.columns import shown_value
from ste.data.sources.extra_files import column_name
from ste.data.sources.extra_rows import DATED, ExtraCells, dated_rows
from ste.market.extra_table import ExtraRows
from ste.streaming.events import EventError


class ExtraEvent(NamedTuple):
    """One row of own columns.

    Attributes:
        name: of the file that a feature set names.
        rows: the row, with the day from which it is known.
    """

    name: str
    rows: ExtraRows

    @property
    def day(self) -> int:
        """First day at whose close the values are known, days since 1970."""
        return int(self.rows.known[0].astype(np.int64))


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
    lag = lags.get(name)
    if "date" not in keys and "known_at" not in keys:
        raise EventError("date: found nothing; expected a date such as 2024-11-29")
    cells = {key: pa.array([value]) for key, value in keys.items()}
    if "known_at" not in cells and lag is None:
        cells["known_at"] = pa.nulls(1, pa.string())
    values = {column: np.array([value]) for column, value in _values(content).items()}
    dated, violations = dated_rows(
        ExtraCells(f"{EXTRA}.{name}", cells, values, lag, ""), ReadOptions(calendar=calendar)
    )
    if violations:
        one = violations[0]
        found = shown_value(one.found[0]) if one.found[0] else "nothing"
        raise EventError(f"{one.column}: found {found}; expected {one.expected}")
    return ExtraEvent(name, dated.rows)


def _values(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the values by column; null is no new value."""
    values = content.get("values")
    if not isinstance(values, dict) or not values:
        raise EventError(f'values: found {_shown(values)}; expected columns such as {{"sentiment": 0.3}}')
    out = {}
    for column, value in values.items():
        if column_name(column) != column:
            raise EventError(f"values: found the column {_shown(column)}; expected letters, digits and _")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        out[column] = float(value) if number else np.nan
        if value is not None and not np.isfinite(out[column]):
            raise EventError(f"{column}: found {_shown(value)}; expected a finite number or null")
    return out


def _shown(found: object) -> str:
    return "nothing" if found is None else repr(found)[:40]
