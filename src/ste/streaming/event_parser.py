"""Parse the events of a stream and check them.

An event is one JSON object. Its bounds are those of the market files (`ste.data.sources.market_files`).

| kind | fields |
|---|---|
| bar | ticker, date, open, high, low, close, volume, [adj_close or raw_close] |
| news | ticker, date, count, sentiment, relevance |
| macro | series, release_date, value |
| policy | date, impact, [id] |
| extra | name, [ticker], date and/or known_at, values (`ste.streaming.extra_events`) |
| close | date |
"""

from collections.abc import Callable, Mapping
from math import isfinite, nan
from sys import float_info
from typing import Any

from ste.data.columns import Limits, is_below, limits
from ste.market.sources import RAW_CLOSE
from ste.schema import ADJUSTED_CLOSE, MACRO_SERIES, SOURCE_NUMBERS
from ste.streaming.events import BarEvent, CloseEvent, Event, EventError, ExtraEvent, MacroEvent, NewsEvent, PolicyEvent
from ste.streaming.extra_events import HORIZON, parse_extra
from ste.streaming.stream_calendar import StreamCalendar, day_of, iso_date_of

_LIMITS = {
    **{column.name: limits(column) for columns in SOURCE_NUMBERS.values() for column in columns},
    ADJUSTED_CLOSE.name: limits(ADJUSTED_CLOSE),
    RAW_CLOSE: limits(ADJUSTED_CLOSE),
}
_MACRO_LIMITS = {series: limits(column) for series, column in MACRO_SERIES.items()}
_NAME = 64  # characters of a ticker or an id


class EventParser:
    """Parse the events of one stream.

    Args:
        calendar: of the exchange.
        lags: days from `date` on after which own columns without `known_at` are known, by name of the file.
    """

    def __init__(self, calendar: StreamCalendar, lags: Mapping[str, int]) -> None:
        self._calendar, self._lags = calendar, lags

    def parse(self, content: Any, latest: int | None = None) -> Event:
        """Parse an event from its JSON object.

        Args:
            content: parsed JSON.
            latest: last valid day; None allows any.

        Raises:
            EventError: a field is missing or invalid.
        """
        if not isinstance(content, dict):
            raise EventError('expected a JSON object such as {"kind": "bar", ...}')
        kind = content.get("kind")
        if kind == "extra":
            event: Event = parse_extra(content, self._calendar.name, self._lags)
        else:
            build = _BUILDERS.get(kind) if isinstance(kind, str) else None
            if build is None:
                raise EventError(f"kind: found {_format(kind)}; expected one of {', '.join((*_BUILDERS, 'extra'))}")
            event = build(content)
        day = event.first_day if isinstance(event, ExtraEvent) else event.day
        if latest is not None and day > latest:
            raise EventError(f"date: found {iso_date_of(day)}, which lies in the future")
        if isinstance(event, BarEvent) and not self._calendar.is_session(event.day):
            raise EventError(f"date: found {iso_date_of(event.day)}, which is no session of the exchange")
        return event


def _bar(content: dict[str, Any]) -> BarEvent:
    ticker, day = _name(content, "ticker"), _day(content, "date")
    opened, high, low, close, volume = (_number(content, name) for name in ("open", "high", "low", "close", "volume"))
    if is_below(high, low):
        raise EventError(f"high: found {high:g} below the low {low:g}")
    adjusted = content.get(ADJUSTED_CLOSE.name) is not None
    if content.get(RAW_CLOSE) is not None:
        if adjusted:
            raise EventError("raw_close: found next to adj_close; expected one of the two")
        return BarEvent(ticker, day, opened, high, low, close, volume, _number(content, RAW_CLOSE))
    if not adjusted:
        return BarEvent(ticker, day, opened, high, low, close, volume, close)
    ratio = _number(content, ADJUSTED_CLOSE.name) / close
    bar = BarEvent(ticker, day, opened * ratio, high * ratio, low * ratio, close * ratio, volume, close)
    if not (min(bar.open, bar.low, bar.close) >= float_info.min and isfinite(max(bar.open, bar.high, bar.close))):
        raise EventError(f"adj_close: found {_format(content['adj_close'])} with a close of {close:g}")
    return bar


def _news(content: dict[str, Any]) -> NewsEvent:
    ticker, day = _name(content, "ticker"), _day(content, "date")
    return NewsEvent(ticker, day, *(_number(content, name) for name in ("count", "sentiment", "relevance")))


def _macro(content: dict[str, Any]) -> MacroEvent:
    series = content.get("series")
    if not isinstance(series, str) or series not in MACRO_SERIES:
        raise EventError(f"series: found {_format(series)}; expected one of {', '.join(MACRO_SERIES)}")
    return MacroEvent(series, _day(content, "release_date"), _number(content, "value", _MACRO_LIMITS[series]))


def _policy(content: dict[str, Any]) -> PolicyEvent:
    known = content.get("id")
    name = "" if known is None else str(known) if isinstance(known, int) else _name(content, "id")
    return PolicyEvent(name, _day(content, "date"), _number(content, "impact"))


def _close(content: dict[str, Any]) -> CloseEvent:
    return CloseEvent(_day(content, "date"))


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
        raise EventError(f"{key}: found {_format(found)}; expected a name of 1 to {_NAME} characters")
    return found


def _day(content: dict[str, Any], key: str) -> int:
    found = content.get(key)
    try:
        day = day_of(found) if isinstance(found, str) else None
    except ValueError:
        day = None
    if day is None:
        raise EventError(f"{key}: found {_format(found)}; expected a date such as 2024-11-29")
    if not HORIZON[0] <= day < HORIZON[1]:
        raise EventError(f"{key}: found {found}; expected a date from 1950 to 2099")
    return day


def _number(content: dict[str, Any], key: str, limit: Limits | None = None) -> float:
    found = content.get(key)
    limit = limit or _LIMITS[key]
    number = float(found) if isinstance(found, int | float) and not isinstance(found, bool) else nan
    if limit.low <= number <= limit.high:
        return number
    raise EventError(f"{key}: found {_format(found)}; expected {limit.expected}")


def _format(found: object) -> str:
    return "nothing" if found is None else repr(found)[:40]
