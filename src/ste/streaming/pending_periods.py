"""What has been told of a period that has not closed yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ste.streaming.events import Bar, News, Policy

TOLD = ("used", "duplicate", "corrected")
"""What became of an event that came in time: kept, the same as one before, or in its place."""

_PAIRWISE = 8  # values from which NumPy no longer adds one after the other


@dataclass
class Pending:
    """Events of one period by ticker and day, or for policy by day and id."""

    bars: dict[str, dict[int, Bar]] = field(default_factory=dict)
    news: dict[str, dict[int, News]] = field(default_factory=dict)
    policy: dict[tuple[int, str], Policy] = field(default_factory=dict)

    def put(self, event: Bar | News | Policy) -> str:
        """Keep an event; one of `TOLD`."""
        if isinstance(event, Policy):
            return put(self.policy, (event.day, event.id), event)
        kept: dict[str, Any] = self.bars if isinstance(event, Bar) else self.news
        return put(kept.setdefault(event.ticker, {}), event.day, event)

    def events(self) -> Iterator[Bar | News | Policy]:
        """All of them; those of one day in the order that they came in."""
        for bars in self.bars.values():
            yield from bars.values()
        for news in self.news.values():
            yield from news.values()
        yield from self.policy.values()

    def bars_of(self, ticker: str, day: int) -> list[Bar]:
        """A ticker's bars up to a day, by day."""
        kept = self.bars[ticker]
        return [kept[each] for each in sorted(kept) if each <= day]

    def news_of(self, ticker: str, day: int) -> list[float]:
        """Sentiment, count and relevance of a ticker up to a day, as `data.features.news_features` has them."""
        kept = self.news.get(ticker, {})
        items = [kept[each] for each in sorted(kept) if each <= day]
        count = segment_sum([item.items for item in items])
        sentiment = segment_sum([item.sentiment * item.items for item in items])
        relevance = segment_sum([item.relevance * item.items for item in items])
        return [sentiment / max(count, 1.0), count, relevance / max(count, 1.0)]

    def policy_of(self, day: int) -> list[float]:
        """Number and summed impact of the events up to a day."""
        items = sorted((item for item in self.policy.values() if item.day <= day), key=lambda item: item.day)
        return [float(len(items)), segment_sum([item.impact for item in items])]


def put(kept: dict[Any, Any], key: Any, event: Any) -> str:
    """Keep an event under a key; one of `TOLD`."""
    before = kept.get(key)
    kept[key] = event
    return "used" if before is None else "duplicate" if before == event else "corrected"


def segment_sum(values: list[float]) -> float:
    """The sum of a segment in the order of operations of `np.add.reduceat`, which the batch takes."""
    if len(values) > _PAIRWISE:
        return float(np.add.reduceat(np.array(values), [0])[0])
    rest = 0.0
    for value in values[1:]:
        rest += value
    return values[0] + rest if values else 0.0
