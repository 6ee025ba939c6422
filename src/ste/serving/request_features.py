"""Parse request bodies of features into the arrays of a model, by a schema of its card."""

import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import Annotated, Any, NotRequired

import numpy as np
import orjson
from pydantic import (
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    Strict,
    Tag,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from ste.data.columns import Limits, limits
from ste.inference.model_card import ModelCard
from ste.serving.problems import MAX_FAULTS, Fault, Problem

_ARRAY, _OBJECT = "array", "object"
_MESSAGES = {"missing": "missing", "extra_forbidden": "unknown field"}


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
    return [limits(column, np.float32) for column in card.feature_set.columns]


def request_schema(card: ModelCard, max_examples: int) -> TypeAdapter[Any]:
    """Build the schema of `{"windows": …}` or `{"rows": …}` for a model.

    A row is an array of F numbers in the card's order, or an object by feature name. A window is T rows of one ticker,
    oldest first. `rows` are consecutive rows of one ticker: every T consecutive rows make an example; for a flat model
    every row.

    Args:
        card: card of the model.
        max_examples: maximum number of examples in one request.
    """
    meanings = {column.name: column.meaning for column in card.feature_set.columns}
    numbers: dict[str, Any] = {
        name: Annotated[
            float,
            Strict(),
            Field(ge=limit.low, le=limit.high, description=f"{name}: {meanings.get(name) or 'a feature'}"),
        ]
        for name, limit in zip(card.features, feature_limits(card), strict=True)
    }
    array: Any = tuple[tuple(numbers.values())]  # type: ignore[misc]
    by_name: Any = with_config(ConfigDict(extra="forbid"))(TypedDict("NamedRow", numbers))  # type: ignore[operator]
    row: Any = Annotated[Annotated[array, Tag(_ARRAY)] | Annotated[by_name, Tag(_OBJECT)], Discriminator(_kind_of_row)]
    length = card.sequence_length if card.view == "sequence" else 1
    most = length + max_examples - 1
    fields: dict[str, Any] = {
        "rows": NotRequired[Annotated[list[row], Field(min_length=length, max_length=most), FailFast()]]
    }
    if card.view == "sequence":
        window = Annotated[list[row], Field(min_length=length, max_length=length)]
        windows = Annotated[list[window], Field(min_length=1, max_length=max_examples), FailFast()]
        fields["windows"] = NotRequired[windows]
    one_field = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1})
    return TypeAdapter(with_config(one_field)(TypedDict("PredictRequest", fields)))  # type: ignore[operator]


def _kind_of_row(row: Any) -> str:
    return _OBJECT if isinstance(row, dict) else _ARRAY


class FeatureReader:
    """Parse the bodies of one model (`request_schema`).

    Args:
        card: card of the model.
        max_examples: maximum number of examples in one request.
    """

    def __init__(self, card: ModelCard, max_examples: int) -> None:
        self.card = card
        self._schema = request_schema(card, max_examples)
        self._limits = feature_limits(card)

    def read(self, body: bytes) -> np.ndarray:
        """Parse the examples of a body, float32 `[B, T, F]` or `[B, F]`; see `read_with_groups`."""
        return self.read_with_groups(body)[0]

    def read_with_groups(self, body: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Parse the examples of a body and their dates.

        The windows of a request are taken for the tickers of one date, and so are the rows of a flat model. The
        examples of consecutive `rows` of one ticker are of different dates.

        Returns:
            Features, float32 `[B, T, F]` or `[B, F]`, and groups, int64 `[B]`, equal for examples of one date.

        Raises:
            Problem: the body is invalid; lists the faults of its first invalid example.
        """
        document = loads(body)
        try:
            valid = self._schema.validate_python(document)
        except ValidationError as error:
            raise self._problem(islice(self._faults(error), MAX_FAULTS)) from None
        if len(valid) != 1:
            keys = " or ".join(("rows",) if self.card.view == "flat" else ("windows", "rows"))
            raise self._problem([Fault((), f"found {_format(document)}, expected one field: {keys}")])
        ((key, items),) = valid.items()
        rows = chain.from_iterable(items) if key == "windows" else items
        numbers = chain.from_iterable(row.values() if isinstance(row, dict) else row for row in rows)
        values = np.fromiter(numbers, dtype=np.float32).reshape(-1, len(self.card.features))
        if self.card.view == "flat" or key == "windows":
            examples = values.reshape(-1, *self.card.shape)
            return examples, np.zeros(len(examples), dtype=np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(values, self.card.sequence_length, axis=0)
        return windows.transpose(0, 2, 1), np.arange(len(windows))

    def _problem(self, faults: Any) -> Problem:
        detail = (
            f"The body does not fit model {self.card.name} of {len(self.card.features)} features. GET /v1/model lists "
            "them."
        )
        return Problem("invalid-request", detail, [*faults])

    def _faults(self, error: ValidationError) -> Iterator[Fault]:
        for one in error.errors(include_url=False, include_context=False):
            kind, found = one["type"], _format(one["input"])
            path = tuple(part for part in one["loc"] if part not in (_ARRAY, _OBJECT))
            if kind in _MESSAGES:
                yield Fault(path, _MESSAGES[kind])
            elif {_ARRAY, _OBJECT} & set(one["loc"][:-1]):  # a value within a row
                at = path[-1] if isinstance(path[-1], int) else self.card.features.index(path[-1])
                yield Fault(path, f"{self.card.features[at]}: found {found}, expected {self._limits[at].expected}")
            else:
                yield Fault(path, f"found {found}; {one['msg']}")


def _format(value: Any) -> str:
    """Format a value of a body briefly."""
    if isinstance(value, list | dict):
        kind, things = ("an array", "items") if isinstance(value, list) else ("an object", "fields")
        return f"{kind} of {len(value)} {things[:-1] if len(value) == 1 else things}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:40] + "…"
