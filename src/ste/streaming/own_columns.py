"""The user's own columns of a stream: events whose period is still open, and the tables of all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ste.features.feature_rows import needed_fields
from ste.market.extra_table import ExtraRows, ExtraTable, extra_table
from ste.schema import FeatureSet
from ste.streaming.closed_events import ClosedEvents
from ste.streaming.events import EventError, ExtraEvent
from ste.streaming.pending_periods import store
from ste.streaming.stream_calendar import StreamCalendar

_MAX_UNREAD, _OTHERS = 100, "others"


def own_columns(features: FeatureSet) -> dict[str, tuple[str, ...]]:
    """Return the columns that a feature set reads of each of the user's files, both sorted."""
    pairs = sorted(name.partition(".")[::2] for name in needed_fields(features) if "." in name)
    return {file: tuple(column for own, column in pairs if own == file) for file, _ in pairs}


class OwnColumnEvents:
    """Events with the user's own columns.

    Args:
        features: decides which columns are read.

    Attributes:
        unread: number of values by the name of a column that no feature reads.
    """

    def __init__(self, features: FeatureSet) -> None:
        self.unread: Counter[str] = Counter()
        self._columns = own_columns(features)
        self._pending: dict[tuple[str, str, int, int], ExtraEvent] = {}
        self._by_ticker: dict[str, bool] = {}

    @property
    def pending(self) -> list[ExtraEvent]:
        """Events that can still be corrected."""
        return list(self._pending.values())

    def check(self, event: ExtraEvent) -> None:
        """Raise `EventError` where an event has a ticker and those of the same name before it have none, or not."""
        if self._by_ticker.get(event.name, bool(event.ticker)) != bool(event.ticker):
            found, before = (repr(event.ticker), "none") if event.ticker else ("nothing", "one")
            raise EventError(
                f"ticker: found {found}; expected in every event of {event.name} or in none, and those before have "
                f"{before}"
            )

    def read(self, event: ExtraEvent) -> ExtraEvent | None:
        """Return an event with the columns that features read, None without one; count the others."""
        columns = self._columns.get(event.name, ())
        for column in event.values.keys() - set(columns):
            name = f"{event.name}.{column}"
            self.unread[name if name in self.unread or len(self.unread) < _MAX_UNREAD else _OTHERS] += 1
        if event.values.keys().isdisjoint(columns):
            return None
        self._by_ticker[event.name] = bool(event.ticker)
        return event._replace(values={column: event.values.get(column) for column in columns})

    def add(self, event: ExtraEvent) -> str:
        """Keep an event until its period closes; return its status (`store`)."""
        return store(self._pending, event.key, event)

    def close(self, day: int, calendar: StreamCalendar, closed: ClosedEvents) -> None:
        """Close the events of the periods that end up to a day."""
        for event in sorted(self._pending.values(), key=lambda one: one.day):
            if calendar.close_of(event.day) <= day:
                self.close_event(self._pending.pop(event.key), event.day, closed)

    def close_event(self, event: ExtraEvent, counts_from: int, closed: ClosedEvents) -> None:
        """Add an event that can no longer be corrected: a record of each column that is read, in their order."""
        for column, value in event.values.items():
            name, number = f"{event.name}.{column}", np.nan if value is None else value
            closed.add("extra", name, event.ticker, event.date, event.stamp, counts_from, number)

    def tables(self, closed: ClosedEvents) -> dict[str, ExtraTable]:
        """Return all events as tables by name of the file."""
        return {
            name: extra_table(_rows(closed, columns, name, [one for one in self.pending if one.name == name]))[0]
            for name, columns in self._columns.items()
        }

    def state(self) -> dict[str, Any]:
        """Return everything except the closed events, as JSON."""
        pending = [list(event) for event in self._pending.values()]
        return {"pending": pending, "by_ticker": dict(self._by_ticker), "unread": dict(self.unread)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        self._pending = {event.key: event for event in (ExtraEvent(*values) for values in state["pending"])}
        self._by_ticker, self.unread = dict(state["by_ticker"]), Counter(state["unread"])


def _rows(closed: ClosedEvents, columns: Iterable[str], name: str, pending: list[ExtraEvent]) -> ExtraRows:
    """Return the rows of one file, the closed ones in the order of their closes."""
    table = closed.tables["extra"].values
    records = {column: table[table["column"] == closed.names.get(f"{name}.{column}", -1)] for column in columns}
    keys = next(iter(records.values()))  # each event has a record of every column
    values = {
        column: np.append(own["value"], [_number(event.values[column]) for event in pending])
        for column, own in records.items()
    }
    names = np.array(list(closed.names), dtype=object)
    ticker = np.append(names[keys["ticker"]], np.array([event.ticker for event in pending], dtype=object))
    date, stamp = (
        np.append(keys[field], np.array([getattr(event, field) for event in pending], dtype=np.int64))
        for field in ("date", "stamp")
    )
    known = np.append(keys["day"].astype(np.int64), np.array([event.day for event in pending], dtype=np.int64))
    rows = ExtraRows(
        ticker, date.astype("datetime64[ns]"), stamp.astype("datetime64[ns]"), known.astype("datetime64[D]"), values
    )
    return rows if len(ticker) and ticker[0] else replace(rows, ticker=None)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
