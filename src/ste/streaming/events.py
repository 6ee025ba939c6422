"""What a stream is made of, and the checks of what comes in.

An event is one JSON object. Its bounds are those of the market files (`ste.data.sources.market_files`).

| kind | fields |
|---|---|
| bar | ticker, date, open, high, low, close, volume, [adj_close] |
| news | ticker, date, count, sentiment, relevance |
| macro | series, release_date, value |
| policy | date, impact, [id] |
| close | date |
"""

from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any, NamedTuple

from ste.data.columns import Limits, is_below, limits
from ste.schema import ADJUSTED_CLOSE, MACRO_SERIES, SOURCE_NUMBERS
from ste.streaming.stream_calendar import Calendar, day_of, text_of

_HORIZON = (day_of("1950-01-01"), day_of("2100-01-01"))
_LIMITS = {
    **{column.name: limits(column) for columns in SOURCE_NUMBERS.values() for column in columns},
    ADJUSTED_CLOSE.name: limits(ADJUSTED_CLOSE),
}
_MACRO_LIMITS = {series: limits(column) for series, column in MACRO_SERIES.items()}
_NAME = 64  # characters of a ticker or an id


class Bar(NamedTuple):
    """A ticker's session on the adjusted scale, dollars and shares; `raw` is the close as traded."""

    ticker: str
    day: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    raw: float


class News(NamedTuple):
    """A ticker's news of a day, known at that day's close."""

    ticker: str
    day: int
    items: float
    sentiment: float
    relevance: float


class Macro(NamedTuple):
    """A figure that may be used from `day` on."""

    series: str
    day: int
    value: float


class Policy(NamedTuple):
    """A policy event; `id` tells those of one day apart."""

    id: str
    day: int
    impact: float


class Close(NamedTuple):
    """All that belongs to `day` and the days before it has been sent."""

    day: int


Event = Bar | News | Macro | Policy | Close
KINDS: dict[type, str] = {Bar: "bar", News: "news", Macro: "macro", Policy: "policy", Close: "close"}


class EventError(ValueError):
    """An event that cannot be used; the message says why."""


def event_of(content: Any, calendar: Calendar, latest: int | None = None) -> Event:
    """An event from its JSON object.

    Args:
        content: as parsed.
        calendar: of the exchange.
        latest: last day that an event may carry; None allows any.

    Raises:
        EventError: a field is missing or impossible.
    """
    if not isinstance(content, dict):
        raise EventError('expected a JSON object such as {"kind": "bar", ...}')
    kind = content.get("kind")
    build = _BUILDERS.get(kind) if isinstance(kind, str) else None
    if build is None:
        raise EventError(f"kind: found {_shown(kind)}; expected one of {', '.join(_BUILDERS)}")
    event: Event = build(content)
    if latest is not None and event.day > latest:
        raise EventError(f"date: found {text_of(event.day)}, which lies in the future")
    if isinstance(event, Bar) and not calendar.is_session(event.day):
        raise EventError(f"date: found {text_of(event.day)}, which is no session of the exchange")
    return event


def _bar(content: dict[str, Any]) -> Bar:
    ticker, day = _name(content, "ticker"), _day(content, "date")
    opened, high, low, close, volume = (_number(content, name) for name in ("open", "high", "low", "close", "volume"))
    if is_below(high, low):
        raise EventError(f"high: found {high:g} below the low {low:g}")
    if content.get("adj_close") is None:
        return Bar(ticker, day, opened, high, low, close, volume, close)
    ratio = _number(content, ADJUSTED_CLOSE.name) / close
    shares = volume / ratio if ratio > 0 else inf
    bar = Bar(ticker, day, opened * ratio, high * ratio, low * ratio, close * ratio, shares, close)
    if not (min(bar.open, bar.low, bar.close) > 0 and isfinite(max(bar.open, bar.high, bar.close, shares))):
        raise EventError(f"adj_close: found {_shown(content['adj_close'])} with a close of {close:g}")
    return bar


def _news(content: dict[str, Any]) -> News:
    ticker, day = _name(content, "ticker"), _day(content, "date")
    return News(ticker, day, *(_number(content, name) for name in ("count", "sentiment", "relevance")))


def _macro(content: dict[str, Any]) -> Macro:
    series = content.get("series")
    if not isinstance(series, str) or series not in MACRO_SERIES:
        raise EventError(f"series: found {_shown(series)}; expected one of {', '.join(MACRO_SERIES)}")
    return Macro(series, _day(content, "release_date"), _number(content, "value", _MACRO_LIMITS[series]))


def _policy(content: dict[str, Any]) -> Policy:
    known = content.get("id")
    name = "" if known is None else str(known) if isinstance(known, int) else _name(content, "id")
    return Policy(name, _day(content, "date"), _number(content, "impact"))


def _close(content: dict[str, Any]) -> Close:
    return Close(_day(content, "date"))


_BUILDERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "bar": _bar,
    "news": _news,
    "macro": _macro,
    "policy": _policy,
    "close": _close,
}


def _name(content: dict[str, Any], key: str) -> str:
    found = content.get(key)
    if not isinstance(found, str) or not 0 < len(found) <= _NAME:
        raise EventError(f"{key}: found {_shown(found)}; expected a name of 1 to {_NAME} characters")
    return found


def _day(content: dict[str, Any], key: str) -> int:
    found = content.get(key)
    try:
        day = day_of(found) if isinstance(found, str) else None
    except ValueError:
        day = None
    if day is None:
        raise EventError(f"{key}: found {_shown(found)}; expected a date such as 2024-11-29")
    if not _HORIZON[0] <= day < _HORIZON[1]:
        raise EventError(f"{key}: found {found}; expected a date from 1950 to 2099")
    return day


def _number(content: dict[str, Any], key: str, limit: Limits | None = None) -> float:
    found = content.get(key)
    limit = limit or _LIMITS[key]
    number = float(found) if isinstance(found, int | float) and not isinstance(found, bool) else nan
    if limit.low <= number <= limit.high:
        return number
    raise EventError(f"{key}: found {_shown(found)}; expected {limit.expected}")


def _shown(found: object) -> str:
    return "nothing" if found is None else repr(found)[:40]
