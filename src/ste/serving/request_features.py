"""From a request's body to the array that a model takes.

A body that is right is checked by a few passes over its numbers; one that is wrong is walked through
again, to say where. Both apply the same rules (a property test holds them together).
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
from ste.serving.problems import MOST_FAULTS, Fault, Problem

_NUMBERS = {float, int}


def loads(body: bytes) -> Any:
    """A body as JSON.

    Raises:
        Problem: it is not; NaN and Infinity, which are not JSON, are named by their place.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" in body or b"Infinity" in body:
            faults = [*islice(_not_finite(body), MOST_FAULTS)]
            if faults:
                raise Problem(
                    "invalid-json", "NaN and Infinity are not JSON, and every number must be finite.", faults
                ) from None
        raise Problem("invalid-json", f"{error}. Expected one JSON object in UTF-8.") from None


def _not_finite(body: bytes) -> Iterator[Fault]:
    """Numbers that are not finite, in a body that is JSON otherwise."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return
    # One path for all, and nothing copied: a body may be deep and wide, and a copy of its paths gigabytes.
    path: list[str | int] = []
    pending = [_items(whole)]
    while pending:
        for key, value in pending[-1]:
            if isinstance(value, dict | list):
                path.append(key)
                pending.append(_items(value))
                break
            if isinstance(value, float) and not np.isfinite(value):
                yield Fault((*path, key), f"{_shown(value)} is not a finite number")
        else:
            pending.pop()
            del path[-1:]


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    return iter(enumerate(value if isinstance(value, list) else ()))


def feature_limits(card: ModelCard) -> list[Limits]:
    """Return the limits of each feature: the table's own, within float32."""
    known = FEATURE_SETS.get(card.feature_set)
    columns = {column.name: column for column in known.columns} if known else {}
    return [limits(columns.get(name, Column(name, "")), np.float32) for name in card.features]


class FeatureReader:
    """Reads `{"windows": …}` or `{"rows": …}` for one model.

    A row is an array of F numbers in the card's order, or an object by feature name. A window is T rows of one
    ticker, oldest first. `rows` are consecutive rows of one ticker, of which each T in turn make an example; for a
    flat model each row is one.

    Args:
        card: of the model.
        most: examples in one request.

    Attributes:
        limits: of each feature.
        low, high: the same, float64 `[F]`.
    """

    def __init__(self, card: ModelCard, most: int) -> None:
        self.card, self.most = card, most
        self.names, self.length = card.features, card.sequence_length if card.view == "sequence" else 1
        self.limits = feature_limits(card)
        self.low = np.array([limit.low for limit in self.limits])
        self.high = np.array([limit.high for limit in self.limits])
        self._take = itemgetter(*self.names) if len(self.names) > 1 else lambda row: (row[self.names[0]],)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of a body, of which one is given."""
        return ("rows",) if self.card.view == "flat" else ("windows", "rows")

    def read(self, body: bytes) -> np.ndarray:
        """Examples of a body, float32 `[B, T, F]` or `[B, F]`.

        Raises:
            Problem: what is wrong, and where.
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
                f"{len(self.names)} features. GET /v1/model names them.",
                [*islice(self.faults(document), MOST_FAULTS)],
            )
        rows = values.astype(np.float32)
        if self.card.view == "flat":
            return rows
        if "windows" in document:
            return rows.reshape(-1, self.length, len(self.names))
        return np.lib.stride_tricks.sliding_window_view(rows, self.length, axis=0).transpose(0, 2, 1)

    def _values(self, document: Any) -> np.ndarray | None:
        """Rows of a body that is right, float64 `[N, F]`; None or any error of its handling otherwise."""
        rows = self._listed(document)
        if rows is None or set(map(len, rows)) != {len(self.names)}:
            return None
        if dict in set(map(type, rows)):
            rows = [self._take(row) if type(row) is dict else row for row in rows]
        numbers = [*chain.from_iterable(rows)]
        if not set(map(type, numbers)) <= _NUMBERS:
            return None
        values = np.array(numbers, dtype=np.float64).reshape(len(rows), -1)
        return values if bool(((values >= self.low) & (values <= self.high)).all()) else None

    def _listed(self, document: Any) -> list[Any] | None:
        """The rows, one after the other; None unless there are as many as there may be."""
        if type(document) is not dict or len(document) != 1:
            return None
        ((key, found),) = document.items()
        if key not in self.keys or type(found) is not list:
            return None
        if key == "rows":
            return found if 0 <= len(found) - self.length < self.most else None
        right = (
            0 < len(found) <= self.most and set(map(type, found)) == {list} and set(map(len, found)) == {self.length}
        )
        return [*chain.from_iterable(found)] if right else None

    def faults(self, document: Any) -> Iterator[Fault]:
        """Everything wrong with a body, in its order."""
        if type(document) is not dict:
            yield Fault((), f"found {_shown(document)}, expected an object with {' or '.join(self.keys)}")
            return
        for key in (key for key in document if key not in self.keys):
            yield Fault((key,), f"no such field; expected {' or '.join(self.keys)}")
        given = [key for key in self.keys if key in document]
        if not given:
            yield Fault((self.keys[0],), f"not given; expected {' or '.join(self.keys)}")
        if len(given) > 1:
            yield Fault((given[1],), f"expected {' or '.join(self.keys)}, not both")
            return
        for key in given:
            yield from (self._windows if key == "windows" else self._rows)((key,), document[key])

    def _windows(self, path: tuple[str | int, ...], found: Any) -> Iterator[Fault]:
        if type(found) is not list or not 0 < len(found) <= self.most:
            yield Fault(path, f"found {_shown(found)}, expected an array of 1 to {self.most} windows")
            return
        for i, window in enumerate(found):
            if type(window) is not list or len(window) != self.length:
                yield Fault((*path, i), f"found {_shown(window)}, expected {self.length} rows of one ticker")
            else:
                for j, row in enumerate(window):
                    yield from self._row((*path, i, j), row)

    def _rows(self, path: tuple[str | int, ...], found: Any) -> Iterator[Fault]:
        if type(found) is not list or not 0 <= len(found) - self.length < self.most:
            bounds = f"{self.length} to {self.length + self.most - 1} rows"
            ticker = "" if self.length == 1 else " of one ticker"
            yield Fault(path, f"found {_shown(found)}, expected an array of {bounds}{ticker}")
            return
        for i, row in enumerate(found):
            yield from self._row((*path, i), row)

    def _row(self, path: tuple[str | int, ...], found: Any) -> Iterator[Fault]:
        if type(found) is dict:
            for name in self.names:
                if name not in found:
                    yield Fault((*path, name), "not given")
            known = set(self.names)
            for name in (name for name in found if name not in known):
                yield Fault((*path, name), "no such feature of this model")
            items: list[tuple[str | int, int]] = [(name, i) for i, name in enumerate(self.names) if name in found]
        elif type(found) is list and len(found) == len(self.names):
            items = [(i, i) for i in range(len(self.names))]
        else:
            yield Fault(path, f"found {_shown(found)}, expected {len(self.names)} numbers, or an object by feature")
            return
        for key, i in items:
            value = found[key]
            if type(value) not in _NUMBERS or not self.low[i] <= value <= self.high[i]:
                yield Fault((*path, key), f"{self.names[i]}: found {_shown(value)}, expected {self.limits[i].expected}")


def _shown(value: Any) -> str:
    """A value of a body in few words."""
    if isinstance(value, list | dict):
        kind, things = ("an array", "items") if isinstance(value, list) else ("an object", "fields")
        return f"{kind} of {len(value)} {things[:-1] if len(value) == 1 else things}"
    if isinstance(value, float) and np.isnan(value):
        return "NaN"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:40] + "…"
