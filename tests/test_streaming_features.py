"""Features kept up to date event by event are the batch's, to the last bit, in whatever order the events come."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from ste.data.features import CLOSE, NUMBER, VOLATILITY, feature_rows
from ste.data.market import RAW_CLOSE, Market
from ste.schema import FEATURE_SETS
from ste.settings import WorldSettings
from ste.streaming.days import Calendar, text_of
from ste.streaming.events import KINDS, Bar, Event, Macro, News, Policy
from ste.streaming.features import Rows, RunningFeatures
from ste.world.draw import draw

CASES = [(features, frequency) for features in FEATURE_SETS for frequency in ("weekly", "daily")]


def untidy_market(seed: int) -> Market:
    """A small world with missing bars, late and delisted tickers, dividends, and news and events on days off."""
    world = draw(WorldSettings(source="world", tickers=4, start="2024-01-01", end="2024-04-15", seed=seed))
    rng = np.random.default_rng(seed)
    assert world.news is not None
    assert world.policy is not None
    bars = world.bars[rng.random(len(world.bars)) > rng.choice([0.0, 0.02, 0.3])]
    names = bars["ticker"].unique()
    days = bars["date"].sort_values().unique()
    late, gone = rng.choice(days[: len(days) // 2]), rng.choice(days[len(days) // 2 :])
    bars = bars[(bars["ticker"] != names[0]) | (bars["date"] >= late)]
    bars = bars[(bars["ticker"] != names[1]) | (bars["date"] <= gone)].reset_index(drop=True)
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
        *(Bar(ticker, day, *values) for day, ticker, *values in bars),
        *(News(ticker, day, float(count), *values) for day, ticker, count, *values in news),
        *(Macro(series, day, value) for day, series, value in macro),
        *(Policy(str(number), day, impact) for number, (day, impact) in enumerate(policy)),
    ]


def changed(event: Event) -> Event:
    """Another event of the same key."""
    return event._replace(
        **{
            Bar: {"close": 1.5, "high": 99.0, "volume": 7.0},
            News: {"items": 3.0, "sentiment": -0.5},
            Macro: {"value": 77.0},
            Policy: {"impact": 9.0},
        }[type(event)]
    )


def frame_of(rows: list[Rows], features: str, frequency: str) -> pd.DataFrame:
    """Final rows as `feature_rows` has them."""
    names = list(FEATURE_SETS[features].names)
    parts = [
        pd.DataFrame({"date": pd.Timestamp(text_of(one.day)), "ticker": one.tickers})
        .join(pd.DataFrame(one.values, columns=names))
        .assign(
            **{
                NUMBER: one.number,
                CLOSE: one.close,
                VOLATILITY: one.volatility * (np.sqrt(5.0) if frequency == "weekly" else 1.0),
            }
        )
        for one in rows
        if one.final
    ]
    return pd.concat(parts).sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)


def assert_same(rows: list[Rows], market: Market, features: str, frequency: str) -> None:
    batch = feature_rows(market, frequency, features)
    assert len(batch) > 20
    live = frame_of(rows, features, frequency)
    pd.testing.assert_frame_equal(live, batch, check_exact=True, check_dtype=False)


@dataclass
class Told:
    """A stream, and what was slipped into it."""

    events: list[Event]
    slipped: Counter[str]


def disordered(market: Market, frequency: str, rng: np.random.Generator) -> Told:
    """Events by the period in which they count, in any order within it, with repeats, corrections and latecomers."""
    calendar = Calendar(frequency)
    events = events_of(market)
    order = rng.permutation(len(events))
    # Of two releases or policy events of a day the file's order counts.
    fixed = [i for i, event in enumerate(events) if isinstance(event, Macro | Policy)]
    order[np.isin(order, fixed)] = fixed
    told, before, slipped = [], [], Counter()
    for index in sorted(order, key=lambda i: calendar.close_of(events[i].day)):
        event, kind = events[index], KINDS[type(events[index])]
        chance = rng.random(4)
        close = calendar.close_of(event.day)
        if chance[0] < 0.03 and not isinstance(event, Macro):
            told.append(changed(event))
            slipped[f"{kind}.corrected"] += 1
        told.append(event)
        if chance[1] < 0.03 and not isinstance(event, Macro):
            told.append(event)
            slipped[f"{kind}.duplicate"] += 1
        if chance[2] < 0.03 and before:
            late = before[rng.integers(len(before))]
            # Late once an event of a day after the close has come.
            if calendar.close_of(late.day) < min(event.day, close):
                told.append(changed(late))
                slipped[f"{KINDS[type(late)]}.late"] += 1
        if not isinstance(event, Macro):
            before.append(event)
    return Told(told, slipped)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), case=st.sampled_from(CASES))
def test_running_features_are_the_batches_to_the_last_bit(seed: int, case: tuple[str, str]) -> None:
    features, frequency = case
    market = untidy_market(seed)
    told = disordered(market, frequency, np.random.default_rng(seed))
    running = RunningFeatures(features, frequency)
    rows = [one for event in told.events for one in running.feed(event)]
    rows += running.finish()
    assert_same(rows, market, features, frequency)
    counted = Counter({key: count for key, count in running.counts.items() if "macro" not in key and "used" not in key})
    assert counted == told.slipped


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), case=st.sampled_from(CASES), delay=st.integers(1, 9))
def test_with_a_delay_events_may_come_that_many_days_late(seed: int, case: tuple[str, str], delay: int) -> None:
    market, rng = untidy_market(seed), np.random.default_rng(seed)
    events = events_of(market)
    arrival = np.array([event.day for event in events]) + rng.integers(0, delay + 1, len(events))
    arrival[[isinstance(event, Macro | Policy) for event in events]] -= 0
    fixed = [i for i, event in enumerate(events) if isinstance(event, Macro | Policy)]
    arrival[fixed] = [events[i].day for i in fixed]  # their order counts within a day
    running = RunningFeatures(*case, delay=delay)
    rows = [one for i in np.argsort(arrival, kind="stable") for one in running.feed(events[i])]
    assert_same([*rows, *running.finish()], market, *case)
    assert not [key for key in running.counts if key.endswith(".late")]


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), case=st.sampled_from(CASES), share=st.floats(0.0, 1.0))
def test_a_state_goes_on_as_if_nothing_had_happened(seed: int, case: tuple[str, str], share: float) -> None:
    import orjson

    market = untidy_market(seed)
    events = sorted(events_of(market), key=lambda event: event.day)
    cut = int(share * len(events))
    first, second = (RunningFeatures(*case, provisional=True) for _ in range(2))
    rows = [one for event in events[:cut] for one in first.feed(event)]
    second.restore(orjson.loads(orjson.dumps(first.state())), first.take_closes())
    rest = [one for event in events[cut:] for one in second.feed(event)] + second.finish()
    assert_same([*rows, *rest], market, *case)
    straight = [one for event in events[cut:] for one in first.feed(event)] + first.finish()
    assert [one.final for one in rest] == [one.final for one in straight]
    for one, other in zip(rest, straight, strict=True):
        assert (one.day, one.tickers) == (other.day, other.tickers)
        assert one.values.tobytes() == other.values.tobytes()
    assert first.state() == second.state()
