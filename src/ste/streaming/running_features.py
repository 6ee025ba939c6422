"""The features of `ste.features.feature_rows`, kept up to date event by event.

The rows of a stream are those that the batch computes of the same events, to the last bit. Only the order of the
days' closes matters: within a period that is open, events may come in any order and may be corrected.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ste.market.daily import MACRO_NEUTRAL
from ste.schema import FEATURE_SETS
from ste.streaming.events import KINDS, Bar, Close, Event, Macro, News, Policy
from ste.streaming.pending_periods import Pending, put
from ste.streaming.running_indicators import Indicators
from ste.streaming.stream_calendar import Calendar
from ste.streaming.ticker_state import Ticker

CLOSES = np.dtype([("ticker", "<u4"), ("close", "<f8")])
"""One session's close of a ticker, by its number."""

_BY_NAME: dict[str, Any] = {"bar": Bar, "news": News, "policy": Policy}


@dataclass(frozen=True)
class Rows:
    """What is known of N tickers at a close.

    Attributes:
        day: of the close.
        number: of the period; neighbours differ by 1.
        final: whether the period ends with this close.
        tickers: sorted, N of them.
        values: features, float64 `[N, F]`.
        close: adjusted, dollars `[N]`.
        volatility: of daily log returns over 20 sessions, `[N]`.
    """

    day: int
    number: int
    final: bool
    tickers: list[str]
    values: np.ndarray
    close: np.ndarray
    volatility: np.ndarray


class RunningFeatures:
    """Rows of every ticker as its periods close.

    A day is over when an event of a day more than `delay` days later comes in, or a `Close` of it or of a later
    one. A period closes when its last session is over.

    Args:
        features: name of the feature set.
        frequency: `weekly` or `daily`.
        delay: days that events may come late.
        provisional: give rows as well at the sessions of a week before its last, as if it ended there.

    Attributes:
        over: last day that is over; None before the first event.
        latest: last day that an event told of.
        counts: events by kind and what became of them, such as `bar.used`.
    """

    def __init__(self, features: str, frequency: str, delay: int = 0, provisional: bool = False) -> None:
        self.calendar = Calendar(frequency)
        self.over: int | None = None
        self.latest: int | None = None
        self.counts: Counter[str] = Counter()
        self._features = features
        self._delay = delay
        self._provisional = provisional and frequency == "weekly"
        self._tickers: dict[str, Ticker] = {}
        self._numbers: dict[str, int] = {}
        self._open: dict[int, Pending] = {}
        self._releases: dict[tuple[str, int], Macro] = {}
        self._levels: dict[str, tuple[int, float]] = {}
        self._new_closes: list[tuple[int, float]] = []

    def feed(self, event: Event) -> list[Rows]:
        """Take an event; the rows of what closed before it, in order of their days."""
        self.latest = event.day if self.latest is None else max(self.latest, event.day)
        rows = self._end(event.day if isinstance(event, Close) else event.day - 1 - self._delay)
        self.counts[f"{KINDS[type(event)]}.{self._take(event)}"] += 1
        return rows

    def finish(self) -> list[Rows]:
        """The rows of what the end of the stream closes: nothing more of its last day is to come."""
        return [] if self.latest is None else self._end(self.latest)

    def take_closes(self) -> np.ndarray:
        """Closes that were used since the last call, `CLOSES` `[M]`: what `restore` needs besides the state."""
        taken, self._new_closes = np.array(self._new_closes, dtype=CLOSES), []
        return taken

    def state(self) -> dict[str, Any]:
        """All that is known but the indicators, as JSON has it."""
        return {
            "over": self.over,
            "latest": self.latest,
            "counts": dict(self.counts),
            "tickers": list(self._numbers),
            "raw": [self._tickers[name].raw for name in self._numbers],
            "open": [
                [KINDS[type(event)], *event] for _, pending in sorted(self._open.items()) for event in pending.events()
            ],
            "releases": [list(release) for release in self._releases.values()],
            "levels": {series: list(level) for series, level in self._levels.items()},
        }

    def restore(self, state: dict[str, Any], closes: np.ndarray) -> None:
        """Go on from a state.

        Args:
            state: of `state`.
            closes: all that `take_closes` had given by then, `CLOSES` `[M]`.
        """
        self.over, self.latest, self.counts = state["over"], state["latest"], Counter(state["counts"])
        self._numbers = {name: number for number, name in enumerate(state["tickers"])}
        by_ticker = closes[np.argsort(closes["ticker"], kind="stable")]
        ends = np.searchsorted(by_ticker["ticker"], np.arange(len(self._numbers) + 1))
        self._tickers = {
            name: Ticker(Indicators.of(self._features, by_ticker["close"][a:b]), raw)
            for name, raw, a, b in zip(self._numbers, state["raw"], ends[:-1], ends[1:], strict=True)
        }
        self._open = {}
        for kind, *values in state["open"]:
            self._pending(event := _BY_NAME[kind](*values)).put(event)
        self._releases = {(series, day): Macro(series, day, value) for series, day, value in state["releases"]}
        self._levels = {series: (day, value) for series, (day, value) in state["levels"].items()}
        self._new_closes = []

    def _take(self, event: Event) -> str:
        """Keep an event for its period; what became of it."""
        if isinstance(event, Close):
            return "used"
        late = self.over is not None and self.calendar.close_of(event.day) <= self.over
        if isinstance(event, Macro):
            if not late:
                return put(self._releases, (event.series, event.day), event)
            _release(self._levels, event)  # a figure stands until the next: known from now on
        return "late" if late else self._pending(event).put(event)  # type: ignore[arg-type]

    def _pending(self, event: Bar | News | Policy) -> Pending:
        return self._open.setdefault(self.calendar.close_of(event.day), Pending())

    def _end(self, day: int) -> list[Rows]:
        """All days up to this one are over."""
        before, rows = self.over, []
        if before is not None and day <= before:
            return []
        self.over = day
        for close in sorted(self._open):
            if self._provisional:
                told = {each for bars in self._open[close].bars.values() for each in bars}
                sessions = [each for each in told if (before is None or each > before) and each < close and each <= day]
                rows += [self._rows(close, each, final=False) for each in sorted(sessions)]
            if close > day:
                break
            rows.append(self._rows(close, close, final=True))
            del self._open[close]
        self._settle()
        return [each for each in rows if each.tickers]

    def _rows(self, close: int, day: int, *, final: bool) -> Rows:
        """At the end of a day of the period that ends with `close`."""
        pending = self._open[close]
        names, values, closes, volatility = [], [], [], []
        common = self._common(pending, day, final) if self._features == "full" else []
        for name in sorted(pending.bars):
            traded = day in pending.bars[name]
            if not final and not (traded and name in self._tickers):
                continue
            bars = pending.bars_of(name, day)
            ticker = self._after(name, bars, final)
            if traded and ticker.indicators.ready:
                news = pending.news_of(name, day) if self._features == "full" else []
                names.append(name)
                values.append([*ticker.features(bars), *news, *common])
                closes.append(bars[-1].close)
                volatility.append(ticker.indicators.volatility)
        return Rows(
            day=day,
            number=self.calendar.number(close),
            final=final,
            tickers=names,
            values=np.array(values, dtype=np.float64).reshape(-1, len(FEATURE_SETS[self._features].names)),
            close=np.array(closes, dtype=np.float64),
            volatility=np.array(volatility, dtype=np.float64),
        )

    def _after(self, name: str, bars: list[Bar], final: bool) -> Ticker:
        """The ticker after these bars: itself if they are final, else a copy."""
        if not final:
            ticker = self._tickers[name].copy()
        else:
            ticker = self._tickers.setdefault(name, Ticker(Indicators(self._features, [])))
            number = self._numbers.setdefault(name, len(self._numbers))
            self._new_closes += [(number, bar.close) for bar in bars]
        for bar in bars:
            ticker.update(bar)
        return ticker

    def _common(self, pending: Pending, day: int, final: bool) -> list[float]:
        """Macro and policy features, the same for every ticker."""
        levels = dict(self._levels)
        for release in self._releases.values():
            if release.day <= day:
                _release(levels, release)
        known = [levels.get(series, (0, neutral))[1] for series, neutral in MACRO_NEUTRAL.items()]
        return [*known, *pending.policy_of(day)]

    def _settle(self) -> None:
        """Releases of closed periods become levels: they can no longer be corrected."""
        assert self.over is not None
        for key in [key for key in self._releases if self.calendar.close_of(key[1]) <= self.over]:
            _release(self._levels, self._releases.pop(key))


def _release(levels: dict[str, tuple[int, float]], release: Macro) -> None:
    """Let a figure stand unless a newer one does."""
    if release.series not in levels or levels[release.series][0] <= release.day:
        levels[release.series] = (release.day, release.value)
