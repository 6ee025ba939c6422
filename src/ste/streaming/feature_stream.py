"""Feature rows of a stream: its bars are saved, and `ste.features.feature_rows` computes the rows of each close.

Only the order of the days' closes matters: within an open period, events may arrive in any order and may be corrected.
The rows of a close are computed when they are asked for, or before an event that would change them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ste.features.feature_rows import is_cross_sectional
from ste.market.calendar import Periods
from ste.schema import FeatureSet
from ste.streaming.close_rows import PeriodRows, rows_at
from ste.streaming.closed_events import ClosedEvents
from ste.streaming.events import (
    KINDS,
    BarEvent,
    CloseEvent,
    Event,
    ExtraEvent,
    MacroEvent,
    NewsEvent,
    PolicyEvent,
)
from ste.streaming.own_columns import OwnColumnEvents
from ste.streaming.pending_periods import OpenPeriod, store
from ste.streaming.stream_calendar import StreamCalendar
from ste.streaming.stream_market import bar_values, market_of, needed_kinds

_EVENT_TYPES: dict[str, Any] = {"bar": BarEvent, "news": NewsEvent, "policy": PolicyEvent}


class PassedClose(NamedTuple):
    """A close whose rows are not computed yet.

    Attributes:
        day: of the close.
        end: last session of its period; a later one than `day` for a provisional row.
    """

    day: int
    end: int

    @property
    def final(self) -> bool:
        """Whether the period ends with it."""
        return self.day == self.end


class FeatureStream:
    """Compute the rows of every ticker as its periods close.

    The watermark passes a day when an event of a day more than `max_delay` days later arrives, or a `CloseEvent` of
    that day or a later one. A period closes when the watermark passes its last session.

    Args:
        features: the feature set.
        periods: of the rows.
        max_delay: days that events may arrive late.
        provisional: also return rows at the sessions of a week or month before its last one, as if it ended there.

    Attributes:
        watermark: last closed day; None before the first event.
        latest: latest day of an event.
        counts: number of events by kind and status, such as `bar.used`.
        own_columns: the user's own.
    """

    def __init__(self, features: FeatureSet, periods: Periods, max_delay: int = 0, provisional: bool = False) -> None:
        self.calendar = StreamCalendar(periods)
        self.watermark: int | None = None
        self.latest: int | None = None
        self.counts: Counter[str] = Counter()
        self._features = features
        self._periods = periods
        self._kinds = needed_kinds(features)
        self._max_delay = max_delay
        self._provisional = provisional and periods.frequency != "daily"
        self._closed = ClosedEvents()
        self._open: dict[int, OpenPeriod] = {}
        self._releases: dict[tuple[str, int], MacroEvent] = {}
        self._newest_release: dict[str, int] = {}  # day of each series' newest figure among the closed ones
        self.own_columns = OwnColumnEvents(features)
        self._passed: list[PassedClose] = []

    def feed(self, event: Event) -> list[PeriodRows]:
        """Process an event; return the rows of earlier closes if the event would change them, sorted by day."""
        day = event.first_day if isinstance(event, ExtraEvent) else event.day
        self.latest = day if self.latest is None else max(self.latest, day)
        self._advance(day if isinstance(event, CloseEvent) else day - 1 - self._max_delay)
        late = self.watermark is not None and self.calendar.close_of(event.day) <= self.watermark
        rows = self.rows() if self._passed and self._changes_passed(event, late) else []
        self.counts[f"{KINDS[type(event)]}.{self._add(event, late)}"] += 1
        return rows

    def rows(self) -> list[PeriodRows]:
        """Compute the rows of the closes that the watermark has passed since the last call, sorted by day."""
        passed, self._passed = self._passed, []
        final = [close.day for close in passed if close.final]
        computed = self._compute(final) if final else {}
        for day, end in (close for close in passed if not close.final):
            computed |= self._compute([day], self._open.get(end, OpenPeriod()))
        if not is_cross_sectional(self._features):  # else earlier rows of the other tickers count
            self._closed.drop_earlier_histories()
        return [computed[close.day] for close in passed if close.day in computed]

    def finish(self) -> list[PeriodRows]:
        """End the stream: close the latest day and return the rows of the closes that were passed."""
        if self.latest is not None:
            self._advance(self.latest)
        return self.rows()

    def take_records(self) -> dict[str, np.ndarray]:
        """Return the events closed since the last call by kind, `closed_events.RECORDS`; `restore` needs all."""
        return self._closed.take()

    def state(self) -> dict[str, Any]:
        """Return everything except the closed events, as JSON."""
        return {
            "watermark": self.watermark,
            "latest": self.latest,
            "counts": dict(self.counts),
            "names": list(self._closed.names),
            "open": [
                [KINDS[type(event)], *event] for _, period in sorted(self._open.items()) for event in period.events()
            ],
            "releases": [list(release) for release in self._releases.values()],
            "newest_release": dict(self._newest_release),
            "passed": [list(close) for close in self._passed],
            "own_columns": self.own_columns.state(),
        }

    def restore(self, state: dict[str, Any], records: Mapping[str, np.ndarray]) -> None:
        """Restore a state.

        Args:
            state: return value of `state`.
            records: all that `take_records` had returned by then, by kind.
        """
        self.watermark, self.latest = state["watermark"], state["latest"]
        self.counts = Counter(state["counts"])
        self._closed = ClosedEvents.from_records(state["names"], records)
        self._open = {}
        for kind, *values in state["open"]:
            event = _EVENT_TYPES[kind](*values)
            self._period_of(event).add(event)
        self._releases = {(series, day): MacroEvent(series, day, value) for series, day, value in state["releases"]}
        self._newest_release = dict(state["newest_release"])
        self._passed = [PassedClose(*close) for close in state["passed"]]
        self.own_columns.restore(state["own_columns"])

    def _add(self, event: Event, late: bool) -> str:
        """Store an event; return its status."""
        if isinstance(event, CloseEvent):
            return "used"
        if isinstance(event, MacroEvent):
            if not late:
                return store(self._releases, (event.series, event.day), event)
            self._close_release(event, self._first_open_day())  # a late figure counts from now on
            return "late"
        if isinstance(event, ExtraEvent):
            return self._add_own(event, late)
        return "late" if late else self._period_of(event).add(event)

    def _add_own(self, event: ExtraEvent, late: bool) -> str:
        own = self.own_columns.read(event)
        if own is None:
            return "unread"
        if not late:
            return self.own_columns.add(own)
        self.own_columns.close_event(own, self._first_open_day(), self._closed)
        return "late"

    def _period_of(self, event: BarEvent | NewsEvent | PolicyEvent) -> OpenPeriod:
        return self._open.setdefault(self.calendar.close_of(event.day), OpenPeriod())

    def _changes_passed(self, event: Event, late: bool) -> bool:
        """Return whether an event would change the rows of a close that was passed before it."""
        if late or isinstance(event, CloseEvent):
            return isinstance(event, MacroEvent | ExtraEvent)
        return event.day <= (self.watermark or 0) and not all(close.final for close in self._passed)

    def _advance(self, day: int) -> None:
        """Move the watermark to a day; note the closes that it passes."""
        before = self.watermark
        if before is not None and day <= before:
            return
        self.watermark = day
        for end in sorted(self._open):
            if self._provisional:
                days = {each for bars in self._open[end].bars.values() for each in bars}
                sessions = [each for each in days if (before is None or each > before) and each < end and each <= day]
                self._passed += [PassedClose(each, end) for each in sorted(sessions)]
            if end > day:
                break
            self._close_period(self._open.pop(end))
            self._passed.append(PassedClose(end, end))
        for release in sorted(self._releases.values(), key=lambda one: one.day):
            if self.calendar.close_of(release.day) <= day:
                self._close_release(self._releases.pop((release.series, release.day)), release.day)
        self.own_columns.close(day, self.calendar, self._closed)

    def _close_period(self, period: OpenPeriod) -> None:
        for ticker, bars in period.bars.items():
            for day in sorted(bars):
                self._closed.add_bar(ticker, bar_values(bars[day]))
            for day, news in sorted(period.news.get(ticker, {}).items()):
                if "news" in self._kinds:  # of tickers with bars alone: a period without one has no row
                    self._closed.add("news", ticker, day, *news[2:])
        if "policy" in self._kinds:
            for event in sorted(period.policy.values(), key=lambda one: one.day):
                self._closed.add("policy", event.day, event.impact)

    def _close_release(self, release: MacroEvent, counts_from: int) -> None:
        """Add a figure that can no longer be corrected, unless a newer one of the series is known."""
        if "macro" in self._kinds and self._newest_release.get(release.series, release.day) <= release.day:
            self._newest_release[release.series] = release.day
            self._closed.add("macro", release.series, counts_from, release.value)

    def _first_open_day(self) -> int:
        """Return the day after the last closed period."""
        assert self.watermark is not None
        day = self.watermark + 1
        while self.calendar.close_of(day - 1) > self.watermark:
            day -= 1
        return day

    def _compute(self, days: Sequence[int], still_open: OpenPeriod | None = None) -> dict[int, PeriodRows]:
        """Compute the rows at the ends of periods, or at one session of a period that had not ended, by day."""
        releases = list(self._releases.values())
        market = market_of(self._closed, self._features, self._periods, days, still_open, releases, self.own_columns)
        return rows_at(market, self._features, self._periods.frequency, days, final=still_open is None)
