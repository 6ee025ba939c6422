"""Incremental computation of the features of `ste.features.feature_rows`.

The rows equal those that the batch computes from the same events, to the last bit. Only the order of the days' closes
matters: within an open period, events may arrive in any order and may be corrected.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ste.market.calendar import Periods
from ste.market.sources import MACRO_NEUTRAL
from ste.schema import FEATURE_SETS
from ste.streaming.events import KINDS, BarEvent, CloseEvent, Event, MacroEvent, NewsEvent, PolicyEvent
from ste.streaming.pending_periods import OpenPeriod, store
from ste.streaming.stream_calendar import StreamCalendar
from ste.streaming.ticker_state import TickerState

CLOSES = np.dtype([("ticker", "<u4"), ("close", "<f8")])
"""One session's close of a ticker, identified by its number."""

_EVENT_TYPES: dict[str, Any] = {"bar": BarEvent, "news": NewsEvent, "policy": PolicyEvent}


@dataclass(frozen=True)
class PeriodRows:
    """Feature rows of N tickers at one close.

    Attributes:
        day: day of the close.
        period_index: index of the period; consecutive periods differ by 1.
        final: whether the period ends with this close.
        tickers: ticker symbols, sorted, N of them.
        values: features, float64 `[N, F]`.
    """

    day: int
    period_index: int
    final: bool
    tickers: list[str]
    values: np.ndarray


class RunningFeatures:
    """Compute the rows of every ticker as its periods close.

    The watermark passes a day when an event of a day more than `max_delay` days later arrives, or a `CloseEvent` of
    that day or a later one. A period closes when the watermark passes its last session.

    Args:
        features: name of the feature set.
        periods: of the rows.
        max_delay: days that events may arrive late.
        provisional: also return rows at the sessions of a week or month before its last one, as if it ended there.

    Attributes:
        watermark: last closed day; None before the first event.
        latest: latest day of an event.
        counts: number of events by kind and status, such as `bar.used`.
    """

    def __init__(self, features: str, periods: Periods, max_delay: int = 0, provisional: bool = False) -> None:
        self.calendar = StreamCalendar(periods)
        self.watermark: int | None = None
        self.latest: int | None = None
        self.counts: Counter[str] = Counter()
        self._features = features
        self._max_delay = max_delay
        self._provisional = provisional and periods.frequency != "daily"
        self._tickers: dict[str, TickerState] = {}
        self._open: dict[int, OpenPeriod] = {}
        self._releases: dict[tuple[str, int], MacroEvent] = {}
        self._levels: dict[str, tuple[int, float]] = {}
        self._new_closes: list[tuple[str, float]] = []

    def feed(self, event: Event) -> list[PeriodRows]:
        """Process an event; return the rows of the periods that it closes, sorted by day."""
        self.latest = event.day if self.latest is None else max(self.latest, event.day)
        rows = self._advance(event.day if isinstance(event, CloseEvent) else event.day - 1 - self._max_delay)
        self.counts[f"{KINDS[type(event)]}.{self._add(event)}"] += 1
        return rows

    def finish(self) -> list[PeriodRows]:
        """End the stream: close the latest day and return the rows of the periods that end with it."""
        return [] if self.latest is None else self._advance(self.latest)

    def take_closes(self) -> np.ndarray:
        """Return the closes used since the last call, `CLOSES` `[M]`; `restore` needs all of them."""
        numbers = {name: number for number, name in enumerate(self._tickers)}
        taken = np.array([(numbers[name], close) for name, close in self._new_closes], dtype=CLOSES)
        self._new_closes = []
        return taken

    def state(self) -> dict[str, Any]:
        """Return everything except the indicators, as JSON."""
        return {
            "watermark": self.watermark,
            "latest": self.latest,
            "counts": dict(self.counts),
            "tickers": list(self._tickers),
            "raw": [ticker.latest[1] for ticker in self._tickers.values()],
            "days": [ticker.day for ticker in self._tickers.values()],
            "sessions": [ticker.sessions for ticker in self._tickers.values()],
            "open": [
                [KINDS[type(event)], *event] for _, period in sorted(self._open.items()) for event in period.events()
            ],
            "releases": [list(release) for release in self._releases.values()],
            "levels": {series: list(level) for series, level in self._levels.items()},
        }

    def restore(self, state: dict[str, Any], closes: np.ndarray) -> None:
        """Restore a state.

        Args:
            state: return value of `state`.
            closes: all that `take_closes` had returned by then, `CLOSES` `[M]`.
        """
        self.watermark, self.latest = state["watermark"], state["latest"]
        self.counts = Counter(state["counts"])
        by_ticker = closes[np.argsort(closes["ticker"], kind="stable")]
        ends = np.searchsorted(by_ticker["ticker"], np.arange(len(state["tickers"]) + 1))
        self._tickers = {
            name: TickerState.from_closes(self._features, by_ticker["close"][end - count : end].tolist(), day, raw)
            for name, raw, day, count, end in zip(
                *(state[key] for key in ("tickers", "raw", "days", "sessions")), ends[1:].tolist(), strict=True
            )
        }
        self._open = {}
        for kind, *values in state["open"]:
            event = _EVENT_TYPES[kind](*values)
            self._period_of(event).add(event)
        self._releases = {(series, day): MacroEvent(series, day, value) for series, day, value in state["releases"]}
        self._levels = {series: (day, value) for series, (day, value) in state["levels"].items()}
        self._new_closes = []

    def _add(self, event: Event) -> str:
        """Store an event in its period; return its status."""
        if isinstance(event, CloseEvent):
            return "used"
        late = self.watermark is not None and self.calendar.close_of(event.day) <= self.watermark
        if isinstance(event, MacroEvent):
            if not late:
                return store(self._releases, (event.series, event.day), event)
            _set_level(self._levels, event)  # a late figure counts from now on
            return "late"
        return "late" if late else self._period_of(event).add(event)

    def _period_of(self, event: BarEvent | NewsEvent | PolicyEvent) -> OpenPeriod:
        return self._open.setdefault(self.calendar.close_of(event.day), OpenPeriod())

    def _advance(self, day: int) -> list[PeriodRows]:
        """Move the watermark to a day; return the rows of the closes that it passes."""
        before, rows = self.watermark, []
        if before is not None and day <= before:
            return []
        self.watermark = day
        for close in sorted(self._open):
            if self._provisional:
                days = {each for bars in self._open[close].bars.values() for each in bars}
                sessions = [each for each in days if (before is None or each > before) and each < close and each <= day]
                rows += [self._rows(close, each, final=False) for each in sorted(sessions)]
            if close > day:
                break
            rows.append(self._rows(close, close, final=True))
            del self._open[close]
        self._settle_releases(day)
        return [each for each in rows if each.tickers]

    def _rows(self, close: int, day: int, *, final: bool) -> PeriodRows:
        """Compute the rows at the end of `day` in the period that ends with `close`."""
        period = self._open[close]
        names, values = [], []
        common = self._common_features(period, day) if self._features == "full" else []
        for name in sorted(period.bars):
            traded = day in period.bars[name]
            if not final and not (traded and name in self._tickers):
                continue
            bars = period.bars_until(name, day)
            ticker = self._updated(name, bars, final)
            if traded and ticker.ready:
                news = period.news_features(name, day) if self._features == "full" else []
                names.append(name)
                values.append([*ticker.features(bars), *news, *common])
        return PeriodRows(
            day=day,
            period_index=self.calendar.period_index(close),
            final=final,
            tickers=names,
            values=np.array(values, dtype=np.float64).reshape(-1, len(FEATURE_SETS[self._features].names)),
        )

    def _updated(self, name: str, bars: list[BarEvent], final: bool) -> TickerState:
        """Update a ticker with bars: in place if they are final, otherwise a copy."""
        if not final:
            ticker = self._tickers[name].copy()
        else:
            ticker = self._tickers.setdefault(name, TickerState(self._features, []))
            self._new_closes += [(name, bar.close) for bar in bars]
        for bar in bars:
            ticker.update(bar)
        return ticker

    def _common_features(self, period: OpenPeriod, day: int) -> list[float]:
        """Compute macro and policy features, which all tickers share."""
        levels = dict(self._levels)
        for release in self._releases.values():
            if release.day <= day:
                _set_level(levels, release)
        macro = [levels.get(series, (0, neutral))[1] for series, neutral in MACRO_NEUTRAL.items()]
        return [*macro, *period.policy_features(day)]

    def _settle_releases(self, watermark: int) -> None:
        """Turn releases of closed periods into levels, after which they can no longer be corrected."""
        for key in [key for key in self._releases if self.calendar.close_of(key[1]) <= watermark]:
            _set_level(self._levels, self._releases.pop(key))


def _set_level(levels: dict[str, tuple[int, float]], release: MacroEvent) -> None:
    """Set a series to a release unless it has a newer one."""
    if release.series not in levels or levels[release.series][0] <= release.day:
        levels[release.series] = (release.day, release.value)
