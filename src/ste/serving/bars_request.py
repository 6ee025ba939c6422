"""From daily bars in a request's body to examples, by the features that training computed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
import pandas as pd
from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from ste.errors import DataError
from ste.inference.inputs import rows_of_bars, windows_of_rows
from ste.inference.model_card import ModelCard
from ste.market.bar_adjustment import adjusted_bars
from ste.market.daily import Market
from ste.schema import FEATURE_SETS, MACRO, PERIOD
from ste.serving.problems import MOST_FAULTS, Fault, Problem
from ste.serving.request_features import loads

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Ticker = Annotated[str, Field(min_length=1, max_length=32)]
Day = Annotated[
    date,
    Field(ge=date(1970, 1, 1), le=date(2099, 12, 31)),
    WithJsonSchema({"type": "string", "format": "date", "pattern": r"^(19[7-9]\d|20\d\d)-\d\d-\d\d$"}),
]
Price = Annotated[float, Field(gt=0.0, le=1e9, description="Dollars.")]


@with_config(_STRICT)
class Bar(TypedDict):
    """A session of a ticker."""

    ticker: Ticker
    date: Day
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Annotated[float, Field(ge=0.0, le=1e15, description="Shares.")]
    adj_close: NotRequired[
        Annotated[float, Field(gt=0.0, le=1e9, description="With dividends and splits; of all bars or of none.")]
    ]


@with_config(_STRICT)
class News(TypedDict):
    """A ticker's news of a day, known at its close."""

    ticker: Ticker
    date: Day
    count: Annotated[float, Field(ge=0.0, le=1e9)]
    sentiment: Annotated[float, Field(ge=-1.0, le=1.0)]
    relevance: Annotated[float, Field(ge=0.0, le=1.0)]


@with_config(_STRICT)
class Release(TypedDict):
    """A macro figure, used from its release date on."""

    series: Literal["gdp_growth", "inflation", "unemployment", "interest_rate", "vix"]
    release_date: Day
    value: Annotated[float, Field(ge=-1e6, le=1e6, description="Percent.")]


@with_config(_STRICT)
class Policy(TypedDict):
    """A policy event."""

    date: Day
    impact: Annotated[float, Field(ge=0.0, le=1e6, description="Quarter points.")]


@with_config(_STRICT)
class BarsRequest(TypedDict):
    """Daily sources; a model of weekly rows is asked about complete weeks."""

    # The first row at fault ends the reading: faults of a million rows would fill the memory.
    bars: Annotated[list[Bar], Field(min_length=1), FailFast()]
    news: NotRequired[Annotated[list[News], FailFast()]]
    macro: NotRequired[Annotated[list[Release], FailFast()]]
    policy: NotRequired[Annotated[list[Policy], FailFast()]]
    every: NotRequired[
        Annotated[bool, Field(description="Every period the bars allow, not only each ticker's newest.")]
    ]


REQUEST = TypeAdapter(BarsRequest)
_WORDS = {
    "missing": "not given",
    "extra_forbidden": "no such field",
    "date_from_datetime_parsing": "expected a date such as 2024-11-29",
    "date_parsing": "expected a date such as 2024-11-29",
    "date_type": "expected a date such as 2024-11-29",
}


@dataclass(frozen=True)
class Asked:
    """Examples of a request.

    Attributes:
        features: float32 `[E, *card.shape]`.
        tickers: `[E]`.
        dates: datetime64 `[E]`, close of each example's last period.
        without: tickers that no example can be made of.
        notes: what was dropped, adjusted or filled.
    """

    features: np.ndarray
    tickers: list[str]
    dates: np.ndarray
    without: list[str]
    notes: list[str]


def examples_of_bars(body: bytes, card: ModelCard) -> Asked:
    """Examples of a body: each ticker's newest complete period, or with `every` all of them.

    Args:
        body: JSON of `BarsRequest`.
        card: of the model that will read them.

    Raises:
        Problem: what is wrong, and where.
    """
    request = _request(body)
    faults = [*islice(_contradictions(request), MOST_FAULTS)]
    if faults:
        raise Problem("invalid-request", "The bars contradict themselves or each other.", faults)
    notes: list[str] = []
    frames = {name: _frame(request, name) for name in ("news", "macro", "policy")}
    bars = _frame(request, "bars")
    assert bars is not None
    try:
        market = Market(adjusted_bars(bars, notes), notes=notes, **frames)
        length = 1 if card.view == "flat" else card.sequence_length
        rows = rows_of_bars(market, card, None if request.get("every") else length)
    except DataError as error:
        raise Problem("invalid-request", str(error), [Fault(("bars",), str(error))]) from None
    asked = windows_of_rows(rows, card) if len(rows) else None
    every = sorted(set(bars["ticker"]))
    if asked is None or not len(asked):
        lookback, period = FEATURE_SETS[card.feature_set].lookback, PERIOD[card.frequency]
        periods = period if length == 1 else f"{period}s in a row"
        detail = (
            f"No ticker has {length} complete {periods} after the {lookback} sessions that a row looks back on. "
            "Give more bars."
        )
        raise Problem("invalid-request", detail, [Fault(("bars",), f"found {len(bars)} bars of {len(every)} tickers")])
    if not np.isfinite(asked.features).all():
        raise Problem(
            "invalid-request", "The features of these bars are not finite numbers.", [Fault(("bars",), "too large")]
        )
    tickers = asked.ticker.tolist()
    return Asked(asked.features, tickers, asked.date, sorted(set(every) - set(tickers)), notes)


def _request(body: bytes) -> BarsRequest:
    loads(body)  # the one way to say that a body is not JSON
    try:
        return REQUEST.validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        faults = [Fault(tuple(one["loc"]), _WORDS.get(one["type"], one["msg"])) for one in found[:MOST_FAULTS]]
        raise Problem("invalid-request", "The body is not bars as they are described.", faults) from None


def _contradictions(request: BarsRequest) -> Iterator[Fault]:
    """What no schema says: bars twice, a high below the low, some bars adjusted, macro figures beyond their limits."""
    adjusted = "adj_close" in request["bars"][0]
    for i, bar in enumerate(request["bars"]):
        if bar["high"] < bar["low"] * (1 - 1e-6):
            yield Fault(("bars", i, "high"), f"found {bar['high']:g}, expected a high not below the low {bar['low']:g}")
        if ("adj_close" in bar) != adjusted:
            yield Fault(("bars", i, "adj_close"), "expected in every bar or in none")
    dated: dict[str, Sequence[Bar | News]] = {"bars": request["bars"], "news": request.get("news", ())}
    for name, rows in dated.items():
        seen: dict[tuple[str, date], int] = {}
        for i, row in enumerate(rows):
            first = seen.setdefault((row["ticker"], row["date"]), i)
            if first != i:
                yield Fault((name, i), f"{row['ticker']} {row['date']} is at {first} too, expected once")
    limits = {column.name.removeprefix("macro_"): column for column in MACRO}
    for i, release in enumerate(request.get("macro", ())):
        low, high = limits[release["series"]].low, limits[release["series"]].high
        if (low is not None and release["value"] < low) or (high is not None and release["value"] > high):
            yield Fault(
                ("macro", i, "value"), f"found {release['value']:g}, expected {release['series']} within its limits"
            )


def _frame(request: Any, name: str) -> pd.DataFrame | None:
    if not request.get(name):
        return None
    frame = pd.DataFrame(request[name])
    for column in ("date", "release_date"):
        if column in frame:
            frame[column] = pd.to_datetime(frame[column]).astype("datetime64[ns]")
    return frame
