"""Parse request bodies of daily bars and compute examples with the features of training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
import pandas as pd
from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from ste.config.read_options import ReadOptions
from ste.data.columns import shown_value
from ste.data.sources.extra_blocks import ExtraBlocks
from ste.data.sources.side_files import find_relations
from ste.errors import DataError
from ste.inference.card_market import bars_calendar, check_card_bars
from ste.inference.inputs import needed_bars, rows_of_bars, windows_of_rows
from ste.inference.model_card import ModelCard
from ste.market.bar_adjustment import adjusted_bars
from ste.market.calendar import Periods
from ste.market.read_summary import ReadSummary
from ste.market.sources import Market
from ste.schema import ADJUSTED_CLOSE, MACRO_SERIES, MARKET_COLUMNS, SOURCE_NUMBERS, Column
from ste.serving.extra_request import extra_schema, read_extra
from ste.serving.problems import MAX_FAULTS, Fault, Problem
from ste.serving.request_features import loads

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

_MAX_VALUE = 1e15
"""Largest value, so that features stay within float32."""
_DAY = Annotated[
    date,
    Field(ge=date(1970, 1, 1), le=date(2099, 12, 31)),
    WithJsonSchema({"type": "string", "format": "date", "pattern": r"^(19[7-9]\d|20\d\d)-\d\d-\d\d$"}),
]
_KEYS: dict[str, Any] = {
    "ticker": Annotated[str, Field(min_length=1, max_length=32)],
    "date": _DAY,
    "release_date": _DAY,
    "series": Literal[tuple(MACRO_SERIES)],
}


def _number(column: Column) -> Any:
    high = _MAX_VALUE if column.high is None else column.high
    low = -_MAX_VALUE if column.low is None else column.low
    bounds: dict[str, Any] = {"gt": 0.0} if column.positive else {"ge": low}
    return Annotated[float, Field(**bounds, le=high, description=column.meaning)]


def _closed(name: str, fields: dict[str, Any]) -> Any:
    return with_config(_STRICT)(TypedDict(name, fields))  # type: ignore[operator]


def _rows(name: str, kind: str, optional: dict[str, Any] | None = None) -> Any:
    """Build the type of the rows of a kind of market file, with the limits of its columns."""
    numbers = {column.name: _number(column) for column in SOURCE_NUMBERS[kind]}
    row: Any = _closed(name, {**{key: (_KEYS | numbers)[key] for key in MARKET_COLUMNS[kind]}, **(optional or {})})
    # Validation stops at the first invalid row: the faults of a million rows would fill the memory.
    return Annotated[list[row], FailFast()]


_ADJUSTED = {ADJUSTED_CLOSE.name: NotRequired[_number(ADJUSTED_CLOSE)]}
REQUEST: TypeAdapter[dict[str, Any]] = TypeAdapter(
    _closed(
        "BarsRequest",
        {
            "bars": Annotated[_rows("BarInput", "bars", _ADJUSTED), Field(min_length=1)],
            "news": NotRequired[_rows("NewsInput", "news")],
            "macro": NotRequired[_rows("MacroInput", "macro")],
            "policy": NotRequired[_rows("PolicyInput", "policy")],
            "extra": NotRequired[extra_schema(_MAX_VALUE)],
            "every": NotRequired[
                Annotated[bool, Field(description="Predict every period of the bars, not only each ticker's latest.")]
            ],
        },
    )
)
"""Daily market data; weekly models predict complete weeks."""
_MESSAGES = {
    "missing": "missing",
    "extra_forbidden": "unknown field",
    "date_from_datetime_parsing": "expected a date such as 2024-11-29",
    "date_parsing": "expected a date such as 2024-11-29",
    "date_type": "expected a date such as 2024-11-29",
}


@dataclass(frozen=True)
class BarExamples:
    """Examples of a request with bars.

    Attributes:
        features: float32 `[E, *card.shape]`.
        tickers: ticker of each example, E of them.
        dates: date of each example's last close, datetime64 `[E]`.
        without: tickers with too few bars for an example.
        notes: notes on dropped, adjusted or filled values.
    """

    features: np.ndarray
    tickers: list[str]
    dates: np.ndarray
    without: list[str]
    notes: list[str]


def examples_of_bars(body: bytes, card: ModelCard) -> BarExamples:
    """Compute the examples of a body: each ticker's latest complete period, or with `every` all of them.

    Args:
        body: JSON of `REQUEST`.
        card: card of the model.

    Raises:
        Problem: the body is invalid; lists its faults.
    """
    request = _request(body)
    frames = {kind: _frame(request, kind) for kind in ("bars", "news", "macro", "policy")}
    faults = [*islice(_contradictions(frames), MAX_FAULTS)]
    if faults:
        raise Problem("invalid-request", "The bars are inconsistent.", faults)
    own, faults = read_extra(request.get("extra", {}), ReadOptions(calendar=card.calendar), card.extra_lag)
    if faults:
        raise Problem("invalid-request", "The columns of extra cannot be used.", faults[:MAX_FAULTS])
    summary = ReadSummary()
    bars = frames["bars"]
    assert bars is not None
    try:
        periods = Periods(card.frequency, bars_calendar(card, bars))
        adjusted = adjusted_bars(bars, summary, periods=periods, by_model=True)
        # Too few bars for a spacing are taken as those of training.
        summary.spacing = summary.spacing or card.spacing
        extra = ExtraBlocks(own, summary)
        columns = extra.of(adjusted)
        extra.finish(summary.tickers, adjusted["date"].max())
        news, macro, policy = (frames[kind] for kind in ("news", "macro", "policy"))
        market = Market(adjusted, news, macro, policy, periods.calendar, summary, columns)
        check_card_bars(card, market)
        length = 1 if card.view == "flat" else card.sequence_length
        rows = rows_of_bars(market, card, None if request.get("every") else length)
    except DataError as error:
        raise Problem("invalid-request", str(error), [Fault(("bars",), str(error))]) from None
    examples = windows_of_rows(rows, card, market.periods(card.frequency)) if len(rows) else None
    all_tickers = sorted(set(bars["ticker"]))
    if examples is None or not len(examples):
        detail = f"No ticker has {needed_bars(card)}. Give more bars."
        raise Problem(
            "invalid-request", detail, [Fault(("bars",), f"found {len(bars)} bars of {len(all_tickers)} tickers")]
        )
    if not np.isfinite(examples.features).all():
        raise Problem(
            "invalid-request", "The features of these bars are not finite numbers.", [Fault(("bars",), "too large")]
        )
    tickers = examples.ticker.tolist()
    without = sorted(set(all_tickers) - set(tickers))
    return BarExamples(examples.features, tickers, examples.date, without, summary.notes())


def _request(body: bytes) -> dict[str, Any]:
    loads(body)  # raises the same problem for invalid JSON on both routes
    try:
        return REQUEST.validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        faults = [Fault(tuple(one["loc"]), _MESSAGES.get(one["type"], one["msg"])) for one in errors[:MAX_FAULTS]]
        raise Problem("invalid-request", "The body does not match the schema BarsRequest.", faults) from None


def _contradictions(frames: Mapping[str, pd.DataFrame | None]) -> Iterator[Fault]:
    """Find violations across fields: `adj_close` in some bars only, and `find_relations`."""
    for kind, frame in frames.items():
        if frame is None:
            continue
        if ADJUSTED_CLOSE.name in frame:
            missing = frame[ADJUSTED_CLOSE.name].isna().to_numpy()
            for row in np.flatnonzero(missing != missing[0]):
                yield Fault((kind, int(row), ADJUSTED_CLOSE.name), "expected in every bar or in none")
        for found in find_relations(frame, kind):
            for row, value in zip(found.rows.tolist(), found.found, strict=True):
                yield Fault((kind, row, found.column), f"found {shown_value(value)}, expected {found.expected}")


def _frame(request: Any, name: str) -> pd.DataFrame | None:
    if not request.get(name):
        return None
    frame = pd.DataFrame(request[name])
    for column in ("date", "release_date"):
        if column in frame:
            frame[column] = pd.to_datetime(frame[column]).astype("datetime64[ns]")
    return frame
