"""The rows of a stream equal the batch's to the last bit, in any order of events."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import PRICES11, WEEKLY21
from ste.config import SyntheticSettings
from ste.features.feature_rows import feature_rows
from ste.market.calendar import WEEKS, Periods, TradingCalendar
from ste.market.sources import RAW_CLOSE, Market
from ste.schema import ROW_PERIOD, FeatureSet
from ste.streaming.close_rows import PeriodRows
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
from ste.streaming.feature_stream import FeatureStream
from ste.streaming.stream_calendar import StreamCalendar, day_of, iso_date_of
from ste.synthetic.generator import generate_market

CASES = [(features, frequency) for features in (WEEKLY21, PRICES11) for frequency in ("weekly", "daily")]


@cache
def world_of(seed: int, calendar: str) -> Market:
    return generate_market(
        SyntheticSettings(source="world", calendar=calendar, tickers=4, start="2024-01-01", end="2024-04-30", seed=seed)
    )


def untidy_market(seed: int, calendar: str = "XNYS") -> Market:
    """A small world with missing bars, late, delisted and reused names, dividends, and news and events on days off."""
    world = world_of(seed % 8, calendar)
    rng = np.random.default_rng(seed)
    assert world.news is not None
    assert world.policy is not None
    bars = world.bars[rng.random(len(world.bars)) > rng.choice([0.0, 0.02, 0.3])]
    names = bars["ticker"].unique()
    days = bars["date"].sort_values().unique()
    late, gone = rng.choice(days[: len(days) // 2]), rng.choice(days[len(days) // 2 :])
    bars = bars[(bars["ticker"] != names[0]) | (bars["date"] >= late)]
    bars = bars[(bars["ticker"] != names[1]) | (bars["date"] <= gone)].reset_index(drop=True)
    if rng.random() < 0.5:  # another company had the name, months before
        first = bars[bars["ticker"] == names[3]].head(int(rng.integers(1, 70)))
        gone_by = first["date"].min() - pd.Timedelta(days=int(rng.integers(85, 130)))
        dates = world.calendar.sessions(gone_by - pd.Timedelta(days=300), gone_by)[-len(first) :]
        prices = {name: first[name] * 9.0 for name in ("open", "high", "low", "close")}
        bars = pd.concat([bars, first.assign(date=dates, **prices)]).sort_values(["ticker", "date"], ignore_index=True)
    if rng.random() < 0.5:  # prices in cents tie, and a thin ticker stands still
        prices = ["open", "high", "low", "close"]
        bars[prices] = bars[prices].round(2)
        bars.loc[(bars["ticker"] == names[2]) & (bars["date"] < days[60]), prices] = 5.0
    bars[RAW_CLOSE] = bars["close"]
    if rng.random() < 0.5:
        ratio = pd.Series(np.exp(rng.normal(0.0, 0.1, len(bars))))
        for name in ("open", "high", "low", "close"):
            bars[name] = bars[name] * ratio
        bars["volume"] = bars["volume"] / ratio

    def shifted(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(date=frame["date"] + pd.to_timedelta(rng.integers(0, 4, len(frame)), unit="D"))

    macro = world.macro
    if rng.random() < 0.5 and macro is not None:
        macro = macro.sample(frac=0.7, random_state=seed)
    return replace(
        world,
        bars=bars,
        news=shifted(world.news).drop_duplicates(["ticker", "date"]),
        macro=macro,
        policy=shifted(world.policy.loc[world.policy.index.repeat(2)]),
    )


def events_of(market: Market) -> list[Event]:
    """Every row of a market as an event, in the order of the frames."""
    assert market.news is not None
    assert market.macro is not None
    assert market.policy is not None

    def rows(frame: pd.DataFrame, columns: list[str], day: str) -> list[tuple]:
        days = frame[day].to_numpy("datetime64[D]").astype(int).tolist()
        return list(zip(days, *(frame[name].tolist() for name in columns), strict=True))

    bars = rows(market.bars, ["ticker", "open", "high", "low", "close", "volume", RAW_CLOSE], "date")
    news = rows(market.news, ["ticker", "count", "sentiment", "relevance"], "date")
    macro = rows(market.macro, ["series", "value"], "release_date")
    policy = rows(market.policy, ["impact"], "date")
    return [
        *(BarEvent(ticker, day, *values) for day, ticker, *values in bars),
        *(NewsEvent(ticker, day, float(count), *values) for day, ticker, count, *values in news),
        *(MacroEvent(series, day, value) for day, series, value in macro),
        *(PolicyEvent(str(number), day, impact) for number, (day, impact) in enumerate(policy)),
    ]


def changed(event: Event) -> Event:
    """Another event of the same key."""
    return event._replace(
        **{
            BarEvent: {"close": 1.5, "high": 99.0, "volume": 7.0},
            NewsEvent: {"items": 3.0, "sentiment": -0.5},
            MacroEvent: {"value": 77.0},
            PolicyEvent: {"impact": 9.0},
            ExtraEvent: {"values": dict.fromkeys(getattr(event, "values", ()), 4.5)},
        }[type(event)]
    )


def frame_of(rows: list[PeriodRows], features: FeatureSet) -> pd.DataFrame:
    """Final rows as `feature_rows` has them."""
    names = list(features.names)
    parts = [
        pd.DataFrame({"date": pd.Timestamp(iso_date_of(one.day)), "ticker": one.tickers})
        .join(pd.DataFrame(one.values, columns=names))
        .assign(**{ROW_PERIOD: one.period_index})
        for one in rows
        if one.final
    ]
    return pd.concat(parts).sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)


def assert_same(rows: list[PeriodRows], market: Market, features: FeatureSet, frequency: str) -> None:
    batch = feature_rows(market, frequency, features)
    batch = batch[["date", "ticker", *features.names, ROW_PERIOD]].astype({"ticker": object})
    assert len(batch) > 10
    live = frame_of(rows, features)
    pd.testing.assert_frame_equal(live, batch, check_exact=True, check_dtype=False)


@dataclass
class Disordered:
    """A stream, and what was slipped into it."""

    events: list[Event]
    slipped: Counter[str]


def disordered(market: Market, frequency: str, rng: np.random.Generator) -> Disordered:
    """Events by the period in which they count, in any order within it, with repeats, corrections and latecomers."""
    calendar = StreamCalendar(market.periods(frequency))
    events = events_of(market)
    order = rng.permutation(len(events))
    # Of two releases or policy events of a day the file's order counts.
    fixed = [i for i, event in enumerate(events) if isinstance(event, MacroEvent | PolicyEvent)]
    order[np.isin(order, fixed)] = fixed
    sent, before, slipped = [], [], Counter()
    for index in sorted(order, key=lambda i: calendar.close_of(events[i].day)):
        event, kind = events[index], KINDS[type(events[index])]
        chance = rng.random(4)
        close = calendar.close_of(event.day)
        if chance[0] < 0.03 and not isinstance(event, MacroEvent):
            sent.append(changed(event))
            slipped[f"{kind}.corrected"] += 1
        sent.append(event)
        if chance[1] < 0.03 and not isinstance(event, MacroEvent):
            sent.append(event)
            slipped[f"{kind}.duplicate"] += 1
        if chance[2] < 0.03 and before:
            late = before[rng.integers(len(before))]
            # Late once an event of a day after the close has come.
            if calendar.close_of(late.day) < min(event.day, close):
                sent.append(changed(late))
                slipped[f"{KINDS[type(late)]}.late"] += 1
        if not isinstance(event, MacroEvent):
            before.append(event)
    return Disordered(sent, slipped)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1), case=st.sampled_from(CASES))
def test_running_features_are_the_batches_to_the_last_bit(seed: int, case: tuple[FeatureSet, str]) -> None:
    features, frequency = case
    market = untidy_market(seed)
    sent = disordered(market, frequency, np.random.default_rng(seed))
    running = FeatureStream(features, Periods(frequency))
    rows = [one for event in sent.events for one in running.feed(event)]
    rows += running.finish()
    assert_same(rows, market, features, frequency)
    counted = Counter({key: count for key, count in running.counts.items() if "macro" not in key and "used" not in key})
    assert counted == sent.slipped


@pytest.mark.parametrize(
    ("calendar", "frequency"), [("24/7", "weekly"), ("24/7", "daily"), ("XSHG", "weekly"), ("XSHG", "monthly")]
)
def test_live_rows_of_any_calendar_are_the_batches(calendar: str, frequency: str) -> None:
    market = untidy_market(3, calendar)
    assert market.calendar.name == calendar
    sent = disordered(market, frequency, np.random.default_rng(0))
    running = FeatureStream(WEEKLY21, market.periods(frequency))
    rows = [one for event in sent.events for one in running.feed(event)]
    assert_same([*rows, *running.finish()], market, WEEKLY21, frequency)


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32 - 1), case=st.sampled_from(CASES), delay=st.integers(1, 9))
def test_with_a_delay_events_may_come_that_many_days_late(seed: int, case: tuple[FeatureSet, str], delay: int) -> None:
    market, rng = untidy_market(seed), np.random.default_rng(seed)
    events = events_of(market)
    arrival = np.array([event.day for event in events]) + rng.integers(0, delay + 1, len(events))
    fixed = [i for i, event in enumerate(events) if isinstance(event, MacroEvent | PolicyEvent)]
    arrival[fixed] = [events[i].day for i in fixed]  # their order counts within a day
    running = FeatureStream(case[0], Periods(case[1]), max_delay=delay)
    rows = [one for i in np.argsort(arrival, kind="stable") for one in running.feed(events[i])]
    assert_same([*rows, *running.finish()], market, *case)
    assert not [key for key in running.counts if key.endswith(".late")]


@dataclass
class Begun:
    """A stream that has provisional rows from now on, as each is a computation.

    Attributes:
        stream: restored from one without.
        records: that it was restored from.
        rows: until now.
        events: still to come.
    """

    stream: FeatureStream
    records: dict[str, np.ndarray]
    rows: list[PeriodRows]
    events: list[Event]


def begun(market: Market, features: FeatureSet, periods: Periods) -> Begun:
    """A stream after two thirds of its events."""
    events = sorted(events_of(market), key=lambda event: event.day)
    plain, stream = (FeatureStream(features, periods, provisional=provisional) for provisional in (False, True))
    cut = len(events) * 2 // 3
    rows = [one for event in events[:cut] for one in plain.feed(event)]
    records = plain.take_records()
    stream.restore(orjson.loads(orjson.dumps(plain.state())), records)
    return Begun(stream, records, rows, events[cut:])


@settings(max_examples=2)
@given(seed=st.integers(0, 2**32 - 1), case=st.sampled_from(CASES), share=st.floats(0.0, 1.0))
def test_a_state_goes_on_as_if_nothing_had_happened(seed: int, case: tuple[FeatureSet, str], share: float) -> None:
    market = untidy_market(seed)
    begin = begun(market, case[0], Periods(case[1]))
    first, events = begin.stream, begin.events
    cut = int(share * len(events))
    rows = begin.rows + [one for event in events[:cut] for one in first.feed(event)]
    second = FeatureStream(case[0], Periods(case[1]), provisional=True)
    records = {kind: np.concatenate([begin.records[kind], new]) for kind, new in first.take_records().items()}
    second.restore(orjson.loads(orjson.dumps(first.state())), records)
    rest = [one for event in events[cut:] for one in second.feed(event)] + second.finish()
    assert_same([*rows, *rest], market, *case)
    straight = [one for event in events[cut:] for one in first.feed(event)] + first.finish()
    assert [one.final for one in rest] == [one.final for one in straight]
    for one, other in zip(rest, straight, strict=True):
        assert (one.day, one.tickers) == (other.day, other.tickers)
        assert one.values.tobytes() == other.values.tobytes()
    assert first.state() == second.state()


@settings(max_examples=2)
@given(seed=st.integers(0, 2**32 - 1), features=st.sampled_from([WEEKLY21, PRICES11]))
def test_provisional_rows_are_what_the_week_would_be_if_it_ended_there(seed: int, features: FeatureSet) -> None:
    market = untidy_market(seed)
    begin = begun(market, features, WEEKS)
    rows = begin.rows + [one for event in begin.events for one in begin.stream.feed(event)] + begin.stream.finish()
    assert_same(rows, market, features, "weekly")
    names = features.names
    daily = feature_rows(market, "daily", features).set_index(["date", "ticker"])
    weekly = market.bars.assign(week=WEEKS.index(market.bars["date"]))
    closes = set(feature_rows(market, "weekly", features)["date"])
    provisional = [one for one in rows if not one.final]
    assert len(provisional) > 10
    for one in provisional:
        day = pd.Timestamp(iso_date_of(one.day))
        assert day not in closes
        found = pd.DataFrame(one.values, columns=list(names), index=one.tickers)
        expected = daily.loc[day]
        assert one.tickers == list(expected.index)
        # What looks at the sessions alone is the same in a row of a day.
        sessions_only = [name for name in names if name.startswith(("price", "stock", "macro"))][-16:]
        sessions_only = [name for name in sessions_only if name not in ("stock_open", "stock_high", "stock_low")]
        sessions_only = [name for name in sessions_only if name != "stock_volume"]
        pd.testing.assert_frame_equal(
            found[sessions_only], expected[sessions_only], check_exact=True, check_names=False, check_dtype=False
        )
        if features is WEEKLY21:
            so_far = weekly[(weekly["week"] == one.period_index) & (weekly["date"] <= day)].groupby("ticker")
            for name, column, figure in (
                ("stock_open", "open", "first"),
                ("stock_high", "high", "max"),
                ("stock_low", "low", "min"),
                ("stock_volume", "volume", "sum"),
            ):
                sent = so_far[column].agg(figure)[one.tickers]
                np.testing.assert_allclose(found[name], sent, rtol=1e-14, err_msg=name)
            assert market.news is not None
            dates = market.news["date"]
            monday = day - pd.Timedelta(days=day.weekday())
            # From the close before, a Friday or an earlier session, to this one.
            before = TradingCalendar().sessions(monday - pd.Timedelta(days=7), monday - pd.Timedelta(days=1))[-1]
            count = market.news[(dates > before) & (dates <= day)].groupby("ticker")["count"].sum()
            assert found["news_count"].to_dict() == count.reindex(one.tickers).fillna(0.0).to_dict()


# --- when a period closes, and what comes too late for it ---


def bar(ticker: str, date: str, close: float = 10.0) -> BarEvent:
    return BarEvent(ticker, day_of(date), close, close, close, close, 100.0, close)


def vix(date: str, value: float) -> MacroEvent:
    return MacroEvent("vix", day_of(date), value)


def fed(stream: FeatureStream, event: Event) -> list[PeriodRows]:
    """Feed an event and ask for the rows of the closes that it passes."""
    return stream.feed(event) + stream.rows()


@pytest.fixture
def warm() -> FeatureStream:
    """A ticker with 100 sessions up to Wednesday 27 November 2024, before Thanksgiving."""
    running = FeatureStream(WEEKLY21, WEEKS)
    for day in TradingCalendar().sessions(pd.Timestamp("2024-07-01"), pd.Timestamp("2024-11-27")):
        fed(running, bar("A", day.strftime("%Y-%m-%d")))
    running.counts.clear()
    return running


@pytest.mark.parametrize(
    "closing",
    [
        bar("A", "2024-12-02"),
        bar("B", "2024-12-02"),
        NewsEvent("A", day_of("2024-11-30"), 1.0, 0.0, 0.0),
        vix("2024-12-01", 20.0),
        PolicyEvent("", day_of("2024-11-30"), 1.0),
        CloseEvent(day_of("2024-11-29")),
        CloseEvent(day_of("2025-06-01")),
    ],
)
def test_a_week_closes_at_a_later_event_or_a_close_event(warm: FeatureStream, closing: Event) -> None:
    assert fed(warm, bar("A", "2024-11-29", 11.0)) == []
    assert fed(warm, NewsEvent("A", day_of("2024-11-29"), 1.0, 0.5, 0.0)) == []
    (rows,) = fed(warm, closing)
    assert (iso_date_of(rows.day), rows.final, rows.tickers) == ("2024-11-29", True, ["A"])
    row = dict(zip(WEEKLY21.names, rows.values[0].tolist(), strict=True))
    assert row["stock_close"] == 11.0
    assert row["news_sentiment"] == 0.5
    assert fed(warm, closing) == []


def test_a_day_off_before_the_last_session_does_not_close_the_week(warm: FeatureStream) -> None:
    assert fed(warm, NewsEvent("A", day_of("2024-11-28"), 1.0, 0.5, 0.0)) == []  # Thanksgiving
    assert fed(warm, CloseEvent(day_of("2024-11-28"))) == []
    assert fed(warm, bar("A", "2024-11-25", 12.0)) == []  # Monday's, corrected
    (rows,) = (fed(warm, bar("A", "2024-11-29")), fed(warm, CloseEvent(day_of("2024-11-29"))))[1]
    assert rows.values[0][1] == 12.0  # the week's high
    assert warm.counts["bar.corrected"] == 1


def test_a_ticker_without_its_last_session_has_no_row(warm: FeatureStream) -> None:
    assert fed(warm, CloseEvent(day_of("2024-11-29"))) == []
    assert warm.watermark == day_of("2024-11-29")


def test_what_comes_after_its_close_is_counted_and_not_used(warm: FeatureStream) -> None:
    fed(warm, bar("A", "2024-11-29"))
    fed(warm, CloseEvent(day_of("2024-11-29")))
    before = warm.state()
    for late in (
        bar("A", "2024-11-29", 99.0),
        bar("A", "2024-11-26", 99.0),
        NewsEvent("A", day_of("2024-11-23"), 1.0, 1.0, 1.0),
        PolicyEvent("", day_of("2024-11-27"), 1.0),
    ):
        assert fed(warm, late) == []
    after = warm.state()
    assert after.pop("counts") == {**before.pop("counts"), "bar.late": 2, "news.late": 1, "policy.late": 1}
    assert after == before


def test_a_late_figure_stands_from_the_next_close_on_unless_a_newer_one_does(warm: FeatureStream) -> None:
    fed(warm, bar("A", "2024-11-29"))
    fed(warm, vix("2024-11-26", 15.0))
    (first,) = fed(warm, bar("A", "2024-12-06"))
    fed(warm, vix("2024-11-27", 16.0))  # late, newer than what is known
    (second,) = fed(warm, bar("A", "2024-12-13"))
    fed(warm, vix("2024-11-25", 17.0))  # late, older
    (third,) = fed(warm, CloseEvent(day_of("2024-12-13")))
    assert [rows.values[0][18] for rows in (first, second, third)] == [15.0, 16.0, 16.0]
    assert WEEKLY21.names[18] == "macro_vix"
    assert warm.counts["macro.late"] == 2


def test_policy_events_of_a_day_are_distinguished_by_id(warm: FeatureStream) -> None:
    day = day_of("2024-11-29")
    for event in (
        PolicyEvent("a", day, 1.0),
        PolicyEvent("b", day, 2.0),
        PolicyEvent("b", day, 2.0),
        PolicyEvent("a", day, 4.0),
    ):
        fed(warm, event)
    fed(warm, bar("A", "2024-11-29"))
    (rows,) = warm.finish()
    assert rows.values[0][19:].tolist() == [2.0, 6.0]
    assert warm.counts["policy.duplicate"] == 1
    assert warm.counts["policy.corrected"] == 1


# --- days ---


@pytest.mark.parametrize("frequency", ["weekly", "daily"])
def test_the_calendar_agrees_with_the_batchs(frequency: str) -> None:
    days = pd.date_range("1995-12-20", "2012-11-05")  # 11 September and Sandy lie in it
    known = set(TradingCalendar().sessions(days[0], days[-1]))
    number = Periods(frequency).known(days)
    ends = (
        pd.Series(days[days.isin(known)], index=Periods(frequency).index(days[days.isin(known)]))
        .groupby(level=0)
        .last()
    )
    order = np.random.default_rng(0).permutation(len(days) - 10)
    calendar = StreamCalendar(Periods(frequency))
    for at in order[:1000]:
        day = day_of(days[at].strftime("%Y-%m-%d"))
        assert calendar.is_session(day) == (days[at] in known)
        close = calendar.close_of(day)
        assert calendar.period_index(close) == number[at]
        assert iso_date_of(close) == ends[number[at]].strftime("%Y-%m-%d")


@pytest.mark.parametrize("text", ["2024-1-5", "20240105", "2024-13-01", "", "2024-01-05T00:00", "2024-W01-1"])
def test_a_day_is_written_in_one_way(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the callers tell it
        day_of(text)
