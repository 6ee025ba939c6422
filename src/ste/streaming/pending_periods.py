"""Events of periods that are still open."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ste.streaming.events import BarEvent, NewsEvent, PolicyEvent


@dataclass
class OpenPeriod:
    """Events of one period: bars and news by ticker and day, policy events by day and id."""

    bars: dict[str, dict[int, BarEvent]] = field(default_factory=dict)
    news: dict[str, dict[int, NewsEvent]] = field(default_factory=dict)
    policy: dict[tuple[int, str], PolicyEvent] = field(default_factory=dict)

    def add(self, event: BarEvent | NewsEvent | PolicyEvent) -> str:
        """Store an event; return its status (`store`)."""
        if isinstance(event, PolicyEvent):
            return store(self.policy, (event.day, event.id), event)
        by_ticker: dict[str, Any] = self.bars if isinstance(event, BarEvent) else self.news
        return store(by_ticker.setdefault(event.ticker, {}), event.day, event)

    def events(self) -> Iterator[BarEvent | NewsEvent | PolicyEvent]:
        """Iterate over all events; those of one day in their order of arrival."""
        for bars in self.bars.values():
            yield from bars.values()
        for news in self.news.values():
            yield from news.values()
        yield from self.policy.values()


def store(events: dict[Any, Any], key: Any, event: Any) -> str:
    """Store an event under its key.

    Returns:
        `used` for a new key, `duplicate` for the same event again, `corrected` if it replaces another one.
    """
    before = events.get(key)
    events[key] = event
    return "used" if before is None else "duplicate" if before == event else "corrected"
