"""The rows of a stream are the batch's bit for bit, for random expressions, markets, orders of events and restarts."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import ste
from ste.features.feature_rows import feature_rows, look_back
from ste.market.calendar import NEW_YORK, Periods
from ste.market.extra_table import ExtraRows, ExtraTable, extra_table
from ste.market.sources import Market
from ste.registry import FEATURE_FUNCTIONS
from ste.schema import MACRO_SERIES, Column, FeatureSet
from ste.streaming.close_rows import PeriodRows
from ste.streaming.closed_events import RECORDS
from ste.streaming.events import Event, ExtraEvent, MacroEvent, PolicyEvent
from ste.streaming.feature_stream import FeatureStream
from ste.streaming.sufficient_bars import sufficient_bars
from test_streaming_features import changed, events_of, frame_of

SESSIONS = {"daily": 60, "weekly": 80, "monthly": 150}
MAX_LOOK_BACK = {"daily": 30, "weekly": 40, "monthly": 100}
FEW_SESSIONS = {"daily": 60, "weekly": 50, "monthly": 80}
"""Where each session has provisional rows, which are a computation of their own."""
FEW_LOOK_BACK = {"daily": 40, "weekly": 35, "monthly": 50}
DAY = 86_400 * 10**9  # nanoseconds
KINDS = ("finite", "recursive", "cross", "both")
OWN = ("$mine.sent", "$mine.size", "$rates.short")
ROLLING = tuple(
    name
    for name in ("Mean", "Std", "Max", "Min", "Sum", "Rank", "Quantile", "Slope", "IdxMax", "WMA", "Mad", "Skew")
    if name in FEATURE_FUNCTIONS
)


@ste.register("feature", lookback=lambda n: n)
def above_mean(values: np.ndarray, n: int) -> np.ndarray:
    """The highest of n values less their mean; a function of a user."""
    windows = np.lib.stride_tricks.sliding_window_view(values, n)
    return np.append(np.full(n - 1, np.nan), windows.max(axis=1) - windows.mean(axis=1))


class Expressions:
    """Random expressions over bars and periods.

    Args:
        rng: random numbers.
        kind: of `KINDS`: which operators may occur besides those of finite windows.
    """

    def __init__(self, rng: np.random.Generator, kind: str) -> None:
        self.rng = rng
        self.recursive, self.cross = kind in ("recursive", "both"), kind in ("cross", "both")

    def one_of(self, *choices: str) -> str:
        return str(self.rng.choice(choices))

    def by_bar(self, depth: int) -> str:
        """An expression with a value per bar."""
        if depth == 0:
            series = self.one_of(*MACRO_SERIES)
            bars = ("$close", "$open", "$high", "$volume", "$raw_close", "$vwap", f"$macro_{series}")
            return self.one_of(*OWN) if self.rng.random() < 0.3 else self.one_of(*bars)
        return self._call(self.by_bar, depth, ["TA.SMA({x}, {n})", "TA.RSI({x}, {n})", "above_mean({x}, {n})"])

    def by_period(self, depth: int) -> str:
        """An expression with a value per period."""
        if depth == 0:
            name = self.one_of("news_count", "news_sentiment", "news_relevance", "policy_event_count")
            aggregate = self.one_of("PMax", "PMin", "PSum", "PMean", "PFirst", "PLast", "PCount")
            return self.one_of(f"${name}", "$policy_impact_score", f"{aggregate}({self.by_bar(1)})")
        return self._call(self.by_period, depth, [])

    def _call(self, inner: Any, depth: int, talib: list[str]) -> str:
        x, y, n = inner(depth - 1), inner(int(self.rng.integers(0, depth))), int(self.rng.integers(3, 7))
        forms = ["Ref({x}, {n})", "Delta({x}, {n})", "({x} + {y})", "({x} / ({y} + 1e-9))", "Greater({x}, {y})"]
        forms += ["If({x} > {y}, {x}, {y})", "Log(Abs({x}) + 1)", "({x} - Ref({x}, 1))"]
        forms += [f"{name}({{x}}, {{n}}{', 0.4' * (name == 'Quantile')})" for name in ROLLING]
        if self.recursive:
            forms += ["EMA({x}, {n})", *talib] * 2
        if self.cross:
            forms += ["CSRank({x})", "CSZScore({x})", "CSDemean({x})"] * 2
        return self.one_of(*forms).format(x=x, y=y, n=n)


def random_features(rng: np.random.Generator, kind: str, frequency: str, longest: int) -> FeatureSet:
    """Four columns, two of them per bar; undefined values are filled so that most rows exist."""
    while True:
        make = Expressions(rng, kind)
        texts = [each(int(rng.integers(0, 4))) for each in (make.by_bar, make.by_bar, make.by_period, make.by_period)]
        fills = [0.0, None, 0.0, 0.0]
        columns = tuple(Column(f"f{at}", expr=text, fill=fills[at]) for at, text in enumerate(texts))
        features = FeatureSet("random", columns)
        if look_back(features, Periods(frequency).bars) <= longest:
            return features


def random_market(rng: np.random.Generator, sessions: int) -> Market:
    """Four tickers with missing bars; one is delisted, one comes late, and one trades again after a long gap."""
    days = NEW_YORK.sessions(pd.Timestamp("2020-01-02"), pd.Timestamp("2024-12-31"))[-sessions - 90 :]
    missing = rng.choice([0.0, 0.05, 0.3])
    frames = []
    for number in range(4):
        own = days[90:][rng.random(sessions) >= missing * (number > 0)]
        if number == 1:
            own = own[: int(rng.integers(len(own) // 2, len(own)))]
        if number == 2:
            own = own[int(rng.integers(0, len(own) // 2)) :]
        if number == 3 and rng.random() < 0.7:
            own = days[:20].append(own[own > days[19] + pd.Timedelta(days=int(rng.integers(80, 110)))])
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, len(own))))
        opened = close * np.exp(rng.normal(0, 0.01, len(own)))
        prices = {"open": opened, "high": np.maximum(opened, close) * 1.01, "low": np.minimum(opened, close) * 0.99}
        volume = rng.integers(0, 9, len(own)).astype(float)
        raw = close * rng.choice([1.0, 2.0])
        frames.append(
            pd.DataFrame(
                {"ticker": f"T{number}", "date": own, **prices, "close": close, "volume": volume, "raw_close": raw}
            )
        )
    every = pd.date_range(days[0], days[-1])

    def some(fraction: float, **columns: Any) -> pd.DataFrame:
        dates = every[rng.random(len(every)) < fraction]
        return pd.DataFrame({name: column(len(dates)) for name, column in columns.items()}).assign(date=dates)

    values = {"count": lambda n: rng.integers(0, 5, n), "sentiment": lambda n: rng.uniform(-1, 1, n)}
    news = [
        some(0.3, ticker=lambda n, name=name: [name] * n, **values, relevance=rng.random)
        for name in ("T0", "T3", "NONE")
    ]
    macro = [
        some(0.1, series=lambda n, name=name: [name] * n, value=lambda n: rng.normal(5, 2, n)) for name in MACRO_SERIES
    ]
    policy = some(0.1, impact=lambda n: rng.integers(0, 4, n) / 3)
    return Market(
        bars=pd.concat(frames, ignore_index=True),
        news=pd.concat(news, ignore_index=True),
        macro=pd.concat(macro[1:], ignore_index=True).rename(columns={"date": "release_date"}),
        policy=policy.loc[policy.index.repeat(2)].reset_index(drop=True),
    )


def random_own(rng: np.random.Generator, market: Market) -> list[ExtraEvent]:
    """Two files of own columns, one of them without tickers, with revisions, empty cells and older dates."""
    first, last = (int(day.to_datetime64().astype("datetime64[D]").astype(int)) for day in _ends(market))
    columns = {"mine": ("sent", "size"), "rates": ("short",)}
    events = {}
    for name, ticker in (("mine", "T0"), ("mine", "T2"), ("mine", "T3"), ("mine", "NONE"), ("rates", "")):
        for known in [first - 2, *rng.choice(np.arange(first - 30, last), 25)]:
            stamp = int(known) * DAY - int(rng.choice([0, 8 * 3_600_000_000_000]))  # a time counts from the next day on
            date = stamp // DAY * DAY - int(rng.integers(0, 12)) * DAY
            cells = [None if rng.random() < 0.2 else float(rng.normal()) for _ in columns[name]]
            event = ExtraEvent(name, ticker, int(known), date, stamp, dict(zip(columns[name], cells, strict=True)))
            events[event.key] = event
    return list(events.values())


def _ends(market: Market) -> tuple[pd.Timestamp, pd.Timestamp]:
    return market.bars["date"].min(), market.bars["date"].max()


def own_tables(events: list[ExtraEvent]) -> dict[str, ExtraTable]:
    """What the events are as files."""
    out = {}
    for name in ("mine", "rates"):
        own = [event for event in events if event.name == name]
        table = pd.DataFrame([event._asdict() for event in own])
        times = (table[key].to_numpy().astype("datetime64[ns]") for key in ("date", "stamp"))
        cells = {key: np.array([one.values[key] for one in own], dtype=np.float64) for key in own[0].values}
        ticker = table["ticker"].to_numpy(dtype=object) if own[0].ticker else None
        known = table["day"].to_numpy().astype("datetime64[D]")
        out[name] = extra_table(ExtraRows(ticker, *times, known, cells))[0]
    return out


def random_sources(rng: np.random.Generator, sessions: int) -> tuple[Market, list[Event]]:
    """A market with own columns, and its events in order of their kinds."""
    market = random_market(rng, sessions)
    own = random_own(rng, market)
    return replace(market, extra=own_tables(own)), [*events_of(market), *own]


def arrivals(events: list[Event], delay: int, rng: np.random.Generator) -> list[Event]:
    """Events in any order, each at most `delay` days after its day; of a day's policy events the order counts."""
    late = rng.integers(0, delay + 1, len(events))
    late[[isinstance(event, PolicyEvent) for event in events]] = 0
    order = np.lexsort((rng.random(len(events)), [event.day for event in events] + late))
    policy = [i for i, event in enumerate(events) if isinstance(event, PolicyEvent)]
    order[np.isin(order, policy)] = policy
    return [events[i] for i in order]


class Streamed:
    """A stream that is stopped and restored at random places, and asked for rows at others.

    Args:
        rng: random numbers.
        settings: of the stream.
    """

    def __init__(self, rng: np.random.Generator, *settings: Any) -> None:
        self.rng, self.settings = rng, settings
        self.stream = FeatureStream(*settings)
        self.records = {kind: np.empty(0, dtype) for kind, dtype in RECORDS.items()}
        self.restarts = 0

    def rows(self, events: list[Event]) -> list[PeriodRows]:
        rows = []
        for event in events:
            rows += self.stream.feed(event)
            chance = self.rng.random()
            if chance < 0.01:
                rows += self.stream.rows()
            elif chance > 0.995:
                self._restart()
        return rows + self.stream.finish()

    def _restart(self) -> None:
        taken = self.stream.take_records()
        self.records = {kind: np.concatenate([self.records[kind], taken[kind]]) for kind in RECORDS}
        state = orjson.loads(orjson.dumps(self.stream.state()))
        self.stream = FeatureStream(*self.settings)
        self.stream.restore(state, self.records)
        self.restarts += 1


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS), frequency=st.sampled_from(list(SESSIONS)))
def test_a_stream_computes_the_rows_of_the_batch(seed: int, kind: str, frequency: str) -> None:
    rng = np.random.default_rng(seed)
    delay, provisional = int(rng.choice([0, 3])), bool(rng.random() < 0.2)
    sessions, longest = (FEW_SESSIONS, FEW_LOOK_BACK) if provisional else (SESSIONS, MAX_LOOK_BACK)
    features = random_features(rng, kind, frequency, longest[frequency])
    market, events = random_sources(rng, sessions[frequency])
    expected = feature_rows(market, frequency, features)
    assume(len(expected))  # random expressions may be undefined everywhere
    streamed = Streamed(rng, features, Periods(frequency), delay, provisional)
    rows = streamed.rows(arrivals(events, delay, rng))
    columns = ["date", "ticker", *features.names, "period"]
    found = frame_of([one for one in rows if one.tickers], features)
    pd.testing.assert_frame_equal(
        found, expected[columns].astype({"ticker": object}), check_exact=True, check_dtype=False, obj=str(features)
    )
    undefined = sum(one.undefined for one in rows if one.final)
    assert undefined == sum(one.rows for one in market.summary.undefined.values())
    assert not [key for key in streamed.stream.counts if key.endswith(".late")]


@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS), frequency=st.sampled_from(["weekly", "monthly"]))
def test_when_rows_are_asked_for_changes_none_of_them(seed: int, kind: str, frequency: str) -> None:
    """With corrections, late events and provisional rows."""
    rng = np.random.default_rng(seed)
    _, sent = random_sources(rng, FEW_SESSIONS[frequency])
    features = random_features(rng, kind, frequency, FEW_LOOK_BACK[frequency])
    events: list[Event] = []
    for event in arrivals(sent, 0, rng):
        events.append(event)
        if rng.random() < 0.05:
            events.append(changed(events[int(rng.integers(max(0, len(events) - 200), len(events)))]))
    deferred, immediate = (FeatureStream(features, Periods(frequency), 0, True) for _ in range(2))
    rows = [one for event in events for one in deferred.feed(event)] + deferred.finish()
    at_once = [one for event in events for one in immediate.feed(event) + immediate.rows()] + immediate.finish()
    assert Counter(deferred.counts) == Counter(immediate.counts)
    assert [(one.day, one.final, one.tickers) for one in rows] == [(o.day, o.final, o.tickers) for o in at_once]
    assert b"".join(one.values.tobytes() for one in rows) == b"".join(one.values.tobytes() for one in at_once)


@pytest.mark.parametrize(
    ("expressions", "bars"),
    [
        (["$close"], 21),
        (["Ref($close, 30)"], 31),
        (["Ref(PMax($high), 4)"], 35),
        (["Ref($news_count, 3)", "Ref($close, 2)"], 28),
        (["EMA($close, 3)", "$close"], None),
        (["TA.SMA($close, 3)"], None),
        (["CSRank(Ref($close, 40))"], 41),
    ],
)
def test_finite_windows_need_the_newest_bars(expressions: list[str], bars: int | None) -> None:
    columns = tuple(Column(f"f{at}", expr=text) for at, text in enumerate(expressions))
    assert sufficient_bars(FeatureSet("some", columns), "weekly") == bars


def test_a_figure_that_comes_late_changes_no_bar_before_it() -> None:
    """A mean of levels over bars: those of closed weeks have the level that was known then."""
    rng = np.random.default_rng(0)
    market = random_market(rng, 60)
    features = FeatureSet("some", (Column("mean", expr="($macro_vix + Ref($macro_vix, 3) + Ref($macro_vix, 7)) / 3"),))
    bars = [event for event in events_of(market) if getattr(event, "ticker", "") == "T0" and hasattr(event, "open")]
    stream = FeatureStream(features, Periods("daily"))
    levels, rows = [], []
    for number, event in enumerate(bars):
        rows += stream.feed(event)
        if number % 9 == 4:  # of the day before, which has closed
            rows += stream.feed(MacroEvent("vix", bars[number - 1].day, float(number)))
        levels.append(float(number - number % 9 + 4 if number % 9 >= 4 else number - number % 9 - 5))
    rows += stream.finish()
    known = [level if level >= 0 else 20.0 for level in levels]
    expected = [(known[i] + known[i - 3] + known[i - 7]) / 3 for i in range(20, len(bars))]
    assert [one.values[0, 0] for one in rows] == pytest.approx(expected, rel=1e-12)
