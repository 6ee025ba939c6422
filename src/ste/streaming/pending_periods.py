"""Events of periods that are still open."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ste.streaming.events import BarEvent, NewsEvent, PolicyEvent

_PAIRWISE = 8  # from this many values on NumPy no longer adds sequentially


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

    def bars_until(self, ticker: str, day: int) -> list[BarEvent]:
        """Return a ticker's bars up to a day, sorted by day."""
        bars = self.bars[ticker]
        return [bars[each] for each in sorted(bars) if each <= day]

    def news_features(self, ticker: str, day: int) -> list[float]:
        """Compute sentiment, count and relevance of a ticker up to a day (as `ste.features.feature_rows` does)."""
        news = self.news.get(ticker, {})
        items = [news[each] for each in sorted(news) if each <= day]
        count = segment_sum([item.items for item in items])
        sentiment = segment_sum([item.sentiment * item.items for item in items])
        relevance = segment_sum([item.relevance * item.items for item in items])
        return [sentiment / max(count, 1.0), count, relevance / max(count, 1.0)]

    def policy_features(self, day: int) -> list[float]:
        """Compute number and summed impact of the policy events up to a day."""
        items = sorted((item for item in self.policy.values() if item.day <= day), key=lambda item: item.day)
        return [float(len(items)), segment_sum([item.impact for item in items])]


def store(events: dict[Any, Any], key: Any, event: Any) -> str:
    """Store an event under its key.

    Returns:
        `used` for a new key, `duplicate` for the same event again, `corrected` if it replaces another one.
    """
    before = events.get(key)
    events[key] = event
    return "used" if before is None else "duplicate" if before == event else "corrected"


def segment_sum(values: list[float]) -> float:
    """Sum values in the order of operations of `np.add.reduceat`, so that the result equals the batch's bit by bit."""
    if len(values) > _PAIRWISE:
        return float(np.add.reduceat(np.array(values), [0])[0])
    rest = 0.0
    for value in values[1:]:
        rest += value
    return values[0] + rest if values else 0.0
