"""Events of a stream."""

from typing import NamedTuple

_DAY = 86_400 * 10**9  # nanoseconds


class BarEvent(NamedTuple):
    """A ticker's session, prices in adjusted dollars; `raw` is the unadjusted close.

    Volume is taken as it is: whether it is adjusted for splits shows only in a ticker's bars together
    (`market.adjustment`), so the sender adjusts it.
    """

    ticker: str
    day: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    raw: float


class NewsEvent(NamedTuple):
    """News of a ticker on a day, known at that day's close."""

    ticker: str
    day: int
    items: float
    sentiment: float
    relevance: float


class MacroEvent(NamedTuple):
    """A macro figure, usable from its release day `day` on."""

    series: str
    day: int
    value: float


class PolicyEvent(NamedTuple):
    """A policy event; `id` distinguishes the events of one day."""

    id: str
    day: int
    impact: float


class CloseEvent(NamedTuple):
    """A watermark: all events of `day` and of earlier days have been sent."""

    day: int


class ExtraEvent(NamedTuple):
    """A row of the user's own columns.

    Attributes:
        name: of the file that a feature names, `$NAME.column`.
        ticker: whose values they are; empty where they hold for every ticker.
        day: first day at whose close they are known.
        date: that they describe, nanoseconds since 1970; a later one replaces an earlier one.
        stamp: when they became known, nanoseconds since 1970; a later one revises an earlier one of the same date.
        values: by column; None is no new value.
    """

    name: str
    ticker: str
    day: int
    date: int
    stamp: int
    values: dict[str, float | None]

    @property
    def first_day(self) -> int:
        """Earliest day on which it can have been sent: it may be sent before the day from which it counts."""
        return self.date // _DAY

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What a correction has in common with the event that it replaces."""
        return self.name, self.ticker, self.date, self.stamp


Event = BarEvent | NewsEvent | MacroEvent | PolicyEvent | ExtraEvent | CloseEvent
KINDS: dict[type, str] = {
    BarEvent: "bar",
    NewsEvent: "news",
    MacroEvent: "macro",
    PolicyEvent: "policy",
    ExtraEvent: "extra",
    CloseEvent: "close",
}


class EventError(ValueError):
    """An invalid event; the message gives the reason."""
