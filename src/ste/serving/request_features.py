"""Parse request bodies of features into the arrays of a model.

A valid body is checked by a few vectorized passes. An invalid one is walked again to locate its faults. Both apply the
same rules, and a property test compares them.
"""

import json
from collections.abc import Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from ste.data.columns import Limits, limits
from ste.inference.model_card import ModelCard
from ste.schema import FEATURE_SETS, Column
from ste.serving.problems import MAX_FAULTS, Fault, Problem

_NUMBERS = {float, int}


def loads(body: bytes) -> Any:
    """Parse a body as JSON.

    Raises:
        Problem: it is not valid JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = " NaN and Infinity are not JSON." if b"NaN" in body or b"Infinity" in body else ""
        raise Problem("invalid-json", f"{error}. Expected one JSON object in UTF-8.{hint}") from None


def feature_limits(card: ModelCard) -> list[Limits]:
    """Return the limits of each feature: the table's own, within float32."""
    columns = {column.name: column for column in FEATURE_SETS[card.feature_set].columns}
    return [limits(columns.get(name, Column(name, "")), np.float32) for name in card.features]


class FeatureReader:
    """Parse `{"windows": …}` or `{"rows": …}` for one model.

    A row is an array of F numbers in the card's order, or an object by feature name. A window is T rows of one
    ticker, oldest first. `rows` are consecutive rows of one ticker: every T consecutive rows make an example; for a
    flat model every row.

    Args:
        card: card of the model.
        max_examples: maximum number of examples in one request.

    Attributes:
        limits: limits of each feature.
        low, high: their bounds, float64 `[F]`.
    """

    def __init__(self, card: ModelCard, max_examples: int) -> None:
        self.card, self.max_examples = card, max_examples
        self.names, self.length = card.features, card.sequence_length if card.view == "sequence" else 1
        self.limits = feature_limits(card)
        self.low = np.array([limit.low for limit in self.limits])
        self.high = np.array([limit.high for limit in self.limits])
        self._take = itemgetter(*self.names) if len(self.names) > 1 else lambda row: (row[self.names[0]],)

    @property
    def keys(self) -> tuple[str, ...]:
        """Valid keys of a body; it has exactly one."""
        return ("rows",) if self.card.view == "flat" else ("windows", "rows")

    def read(self, body: bytes) -> np.ndarray:
        """Parse the examples of a body, float32 `[B, T, F]` or `[B, F]`.

        Raises:
            Problem: the body is invalid; lists its faults.
        """
        document = loads(body)
        try:
            values = self._values(document)
        except (TypeError, ValueError, KeyError, AttributeError):
            values = None
        if values is None:
            raise Problem(
                "invalid-request",
                f"The body does not fit model {self.card.name}: {' or '.join(self.keys)} of "
                f"{len(self.names)} features. GET /v1/model lists them.",
                [*islice(self.faults(document), MAX_FAULTS)],
            )
        rows = values.astype(np.float32)
        if self.card.view == "flat":
            return rows
        if "windows" in document:
            return rows.reshape(-1, self.length, len(self.names))
        return np.lib.stride_tricks.sliding_window_view(rows, self.length, axis=0).transpose(0, 2, 1)

    def _values(self, document: Any) -> np.ndarray | None:
        """Return the rows of a valid body, float64 `[N, F]`; return None or raise for an invalid one."""
        rows = self._row_list(document)
        if rows is None or set(map(len, rows)) != {len(self.names)}:
            return None
        if dict in set(map(type, rows)):
            rows = [self._take(row) if type(row) is dict else row for row in rows]
        numbers = [*chain.from_iterable(rows)]
        if not set(map(type, numbers)) <= _NUMBERS:
            return None
        values = np.array(numbers, dtype=np.float64).reshape(len(rows), -1)
        return values if bool(((values >= self.low) & (values <= self.high)).all()) else None

    def _row_list(self, document: Any) -> list[Any] | None:
        """Return all rows in order; None if their number is invalid."""
        if type(document) is not dict or len(document) != 1:
            return None
        ((key, items),) = document.items()
        if key not in self.keys or type(items) is not list:
            return None
        if key == "rows":
            return items if 0 <= len(items) - self.length < self.max_examples else None
        if not 0 < len(items) <= self.max_examples or set(map(type, items)) != {list}:
            return None
        return [*chain.from_iterable(items)] if set(map(len, items)) == {self.length} else None

    def faults(self, document: Any) -> Iterator[Fault]:
        """Locate the faults of a body, in its order."""
        if type(document) is not dict:
            yield Fault((), f"found {_format(document)}, expected an object with {' or '.join(self.keys)}")
            return
        for key in (key for key in document if key not in self.keys):
            yield Fault((key,), f"unknown field; expected {' or '.join(self.keys)}")
        given = [key for key in self.keys if key in document]
        if not given:
            yield Fault((self.keys[0],), f"missing; expected {' or '.join(self.keys)}")
        if len(given) > 1:
            yield Fault((given[1],), f"expected {' or '.join(self.keys)}, not both")
            return
        for key in given:
            yield from (self._windows if key == "windows" else self._rows)((key,), document[key])

    def _windows(self, path: tuple[str | int, ...], found: Any) -> Iterator[Fault]:
        if type(found) is not list or not 0 < len(found) <= self.max_examples:
            yield Fault(path, f"found {_format(found)}, expected an array of 1 to {self.max_examples} windows")
            return
        for i, window in enumerate(found):
            if type(window) is not list or len(window) != self.length:
                yield Fault((*path, i), f"found {_format(window)}, expected {self.length} rows of one ticker")
            else:
                for j, row in enumerate(window):
                    yield from self._row((*path, i, j), row)

    def _rows(self, path: tuple[str | int, ...], found: Any) -> Iterator[Fault]:
        if type(found) is not list or not 0 <= len(found) - self.length < self.max_examples:
            bounds = f"{self.length} to {self.length + self.max_examples - 1} rows"
            ticker = "" if self.length == 1 else " of one ticker"
            yield Fault(path, f"found {_format(found)}, expected an array of {bounds}{ticker}")
            return
        for i, row in enumerate(found):
            yield from self._row((*path, i), row)

    def _row(self, path: tuple[str | int, ...], found: Any) -> Iterator[Fault]:
        if type(found) is dict:
            for name in self.names:
                if name not in found:
                    yield Fault((*path, name), "missing")
            valid = set(self.names)
            for name in (name for name in found if name not in valid):
                yield Fault((*path, name), "not a feature of this model")
            items: list[tuple[str | int, int]] = [(name, i) for i, name in enumerate(self.names) if name in found]
        elif type(found) is list and len(found) == len(self.names):
            items = [(i, i) for i in range(len(self.names))]
        else:
            yield Fault(path, f"found {_format(found)}, expected {len(self.names)} numbers, or an object by feature")
            return
        for key, i in items:
            value = found[key]
            if type(value) not in _NUMBERS or not self.low[i] <= value <= self.high[i]:
                yield Fault(
                    (*path, key), f"{self.names[i]}: found {_format(value)}, expected {self.limits[i].expected}"
                )


def _format(value: Any) -> str:
    """Format a value of a body briefly."""
    if isinstance(value, list | dict):
        kind, things = ("an array", "items") if isinstance(value, list) else ("an object", "fields")
        return f"{kind} of {len(value)} {things[:-1] if len(value) == 1 else things}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:40] + "…"
