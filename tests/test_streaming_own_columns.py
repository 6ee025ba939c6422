"""The user's own columns in a stream: when they count, what comes late, and files that are replayed."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from ste.errors import RunError
from ste.features.feature_rows import feature_rows
from ste.inference.card_market import open_market
from ste.market.calendar import Periods, TradingCalendar
from ste.schema import Column, FeatureSet, probability_names
from ste.streaming.checkpoints import Checkpoints
from ste.streaming.engine import Engine, check_streamable
from ste.streaming.event_sources import EventSource, FileSource
from ste.streaming.events import BarEvent, Event, EventError, ExtraEvent
from ste.streaming.feature_stream import FeatureStream
from ste.streaming.pipeline import Pipeline
from ste.streaming.sinks import FileSink
from ste.streaming.stream_calendar import day_of
from streams import TinyClassifier, lines, market_files, replay_of, small_stream

DAY = 86_400 * 10**9  # nanoseconds
PLAIN = FeatureSet("plain", (Column("sent", expr="$mine.sent", fill=-1.0),))
MIXED = FeatureSet(
    "mixed",
    (
        Column("mean", expr="Mean($mine.sent, 5)", fill=0.0),
        Column("before", expr="Ref($mine.sent, 2) - $rates.short", fill=0.0),
        Column("close", expr="$close / Ref($close, 3)"),
    ),
)


def bar(date: str, ticker: str = "A") -> BarEvent:
    return BarEvent(ticker, day_of(date), 10.0, 10.0, 10.0, 10.0, 100.0, 10.0)


def own(date: str, value: float | None, known: str | None = None, ticker: str = "A", **others: float) -> ExtraEvent:
    """A value of `$mine.sent`, known on `known` or on its date."""
    stamp = day_of(known or date)
    return ExtraEvent("mine", ticker, stamp, day_of(date) * DAY, stamp * DAY, {"sent": value, **others})


WARM = [
    bar(day.strftime("%Y-%m-%d"))
    for day in TradingCalendar().sessions(pd.Timestamp("2024-09-30"), pd.Timestamp("2024-11-15"))
]


def values_of(events: list[Event], frequency: str = "daily", features: FeatureSet = PLAIN) -> tuple[list[float], Any]:
    """The first feature of ticker A at each close from 18 November on, and the counts of own columns."""
    stream = FeatureStream(features, Periods(frequency))
    rows = [one for event in [*WARM, *events] for one in stream.feed(event)] + stream.finish()
    rows = [one for one in rows if one.day >= day_of("2024-11-18")]
    counts = {key: count for key, count in stream.counts.items() if key.startswith("extra")}
    return [float(one.values[one.tickers.index("A"), 0]) for one in rows if "A" in one.tickers], counts


# Monday to Friday
BARS = [bar(f"2024-11-{day}") for day in range(18, 23)]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({0: [own("2024-11-18", 3.0)]}, [3, 3, 3, 3, 3]),
        ({0: [own("2024-11-17", 3.0, "2024-11-20")]}, [-1, -1, 3, 3, 3]),  # sent before it is known
        ({2: [own("2024-11-20", 3.0, ticker="B")]}, [-1, -1, -1, -1, -1]),
        ({2: [own("2024-11-20", 3.0, ticker="")]}, [-1, -1, 3, 3, 3]),
        ({1: [own("2024-11-19", 3.0)], 3: [own("2024-11-21", None)]}, [-1, 3, 3, 3, 3]),  # null is no new value
        ({1: [own("2024-11-19", 3.0)], 3: [own("2024-11-10", 5.0, "2024-11-21")]}, [-1, 3, 3, 3, 3]),  # older date
        ({1: [own("2024-11-19", 3.0)], 3: [own("2024-11-19", 5.0, "2024-11-21")]}, [-1, 3, 3, 5, 5]),  # revised
    ],
)
def test_a_value_counts_from_the_close_at_which_it_is_known(
    sent: dict[int, list[Event]], expected: list[float]
) -> None:
    events = [event for at, day in enumerate(BARS) for event in [*sent.get(at, []), day]]
    found, counts = values_of(events)
    assert found == expected
    assert counts["extra.used"] == len(events) - len(BARS)


def test_within_an_open_period_events_are_corrected_and_repeated() -> None:
    first, other = own("2024-11-19", 3.0), own("2024-11-19", 4.0)
    found, counts = values_of([BARS[0], BARS[1], first, first, other, *BARS[2:]], "weekly")
    assert found == [4.0]
    assert counts == {"extra.used": 1, "extra.duplicate": 1, "extra.corrected": 1}
    assert values_of([*BARS[:2], first, own("2024-11-19", None), *BARS[2:]], "weekly")[0] == [-1.0]


def test_what_comes_late_changes_no_bar_before_it() -> None:
    """A mean over five bars has the late value on those of the open week alone."""
    week = [bar(f"2024-11-{day}") for day in (25, 26, 27)] + [bar("2024-11-29")]
    features = FeatureSet("mean", (Column("mean", expr="Mean($mine.sent, 5)", fill=-1.0),))
    late, older = own("2024-11-20", 9.0), own("2024-11-19", 7.0)
    events = [own("2024-11-18", 1.0), *BARS, week[0], late, older, *week[1:]]
    found, counts = values_of(events, "weekly", features)
    assert found == [1.0, (1 + 4 * 9) / 5]  # an older date changes nothing
    assert counts["extra.late"] == 2


def test_an_older_revision_that_comes_late_changes_nothing() -> None:
    events = [own("2024-11-18", 1.0, "2024-11-20"), *BARS[:4], own("2024-11-18", 8.0, "2024-11-19"), BARS[4]]
    assert values_of(events) == ([-1, -1, 1, 1, 1], {"extra.used": 1, "extra.late": 1})


def test_a_value_that_counts_later_closes_no_day() -> None:
    """What is known in two days says nothing about the bars of today and tomorrow."""
    events = [BARS[0], own("2024-11-19", 3.0, "2024-11-21"), *BARS[1:]]
    assert values_of(events) == ([-1, -1, -1, 3, 3], {"extra.used": 1})


def event_of(**changes: Any) -> dict[str, Any]:
    event = {"kind": "extra", "name": "mine", "ticker": "A", "date": "2024-11-19", "values": {"sent": 1.0}}
    return {key: value for key, value in {**event, **changes}.items() if value is not None}


def test_columns_that_no_feature_reads_are_counted() -> None:
    engine = Engine(TinyClassifier(features=MIXED, extra_lag={"mine": 0, "other": 0}))
    for values in ({"sent": 1.0, "x": 2.0}, {"x": 3.0}, {"y": None}):
        engine.feed(engine.parse(event_of(values=values)))
    engine.feed(engine.parse(event_of(name="other")))
    assert engine.features.counts == {"extra.used": 1, "extra.unread": 3}
    assert engine.features.own_columns.unread == {"mine.x": 2, "mine.y": 1, "other.sent": 1}
    for number in range(150):
        engine.feed(engine.parse(event_of(values={f"c{number}": 1.0})))
    assert len(engine.features.own_columns.unread) == 101
    assert engine.features.own_columns.unread["others"] == 150 - 97


def test_events_of_a_name_have_tickers_or_none() -> None:
    engine = Engine(TinyClassifier(features=MIXED, extra_lag={"mine": 0, "rates": 0}))
    engine.feed(engine.parse(event_of()))
    engine.feed(engine.parse(event_of(name="rates", ticker=None, values={"short": 1.0})))
    with pytest.raises(EventError, match="ticker: found nothing; expected in every event of mine or in none"):
        engine.parse(event_of(ticker=None))
    with pytest.raises(EventError, match="ticker: found 'A'; expected in every event of rates or in none"):
        engine.parse(event_of(name="rates", values={"short": 1.0}))


def test_a_lag_belongs_to_the_card() -> None:
    without = Engine(TinyClassifier(features=MIXED))
    with pytest.raises(EventError, match="known_at: found nothing"):
        without.parse(event_of())
    event = Engine(TinyClassifier(features=MIXED, extra_lag={"mine": 3})).parse(event_of())
    assert event.day == day_of("2024-11-22")
    assert without.parse(event_of(known_at="2024-11-19 17:00")).day == day_of("2024-11-20")
    with pytest.raises(EventError, match="date: found 2024-11-19, which lies in the future"):
        without.parse(event_of(known_at="2024-11-19"), day_of("2024-11-18"))


def test_a_model_of_own_columns_can_be_streamed() -> None:
    check_streamable(TinyClassifier(features=MIXED).card)
    unknown = FeatureSet("unknown", (Column("x", expr="$nothing"),))
    with pytest.raises(RunError, match=r"reads \$nothing, and no event of a stream has it"):
        check_streamable(TinyClassifier(features=unknown).card)


# --- files ---


def own_files(folder: Path) -> dict[str, str]:
    """A file by ticker and date with a further column, and one of all tickers by the time when it was known."""
    rng = np.random.default_rng(2)
    end = pd.Timestamp("2024-11-29")
    days = TradingCalendar().sessions(end - pd.Timedelta(days=190), end)
    frames = [
        pd.DataFrame({"ticker": name, "date": days[rng.random(len(days)) < 0.4]}) for name in ("T0", "T1", "NONE")
    ]
    mine = pd.concat(frames, ignore_index=True)
    mine["sent"] = np.where(rng.random(len(mine)) < 0.2, np.nan, rng.normal(size=len(mine)))
    mine["size"] = 1.0
    rates = pd.DataFrame({"known_at": days[::7] + pd.Timedelta(hours=17), "short": rng.normal(size=len(days[::7]))})
    for name, frame in (("mine", mine), ("rates", rates)):
        frame.to_csv(folder / f"{name}.csv", index=False)
    return {name: str(folder / f"{name}.csv") for name in ("mine", "rates")}


def ran(folder: Path, model: TinyClassifier, source: EventSource, *, steps: int | None = None) -> dict[str, Any]:
    """Work to the end, or some batches; the counters."""
    work = Pipeline(
        Engine(model), source, FileSink(folder / "out.jsonl", ("Downtrend", "Neutral", "Uptrend")), Checkpoints(folder)
    )
    try:
        work.start()
        if steps is None:
            return work.run(lambda: False)
        for _ in range(steps):
            work.step()
        work.commit()
        return work.status()
    finally:
        work.close()


def test_a_replay_of_files_equals_the_batch_and_their_events(tmp_path: Path) -> None:
    model = TinyClassifier(features=MIXED, sequence_length=2, extra_lag={"mine": 1}, frequency="weekly")
    events = small_stream(count=90)
    files, extra = market_files(tmp_path, events), own_files(tmp_path)
    replayed = tmp_path / "replayed"
    status = ran(replayed, model, replay_of(files, card=model.card, extra=extra))
    written = (replayed / "out.jsonl").read_bytes()

    market = open_market(model.card, {**files, "extra": extra})
    rows = feature_rows(market, "weekly", MIXED)
    assert len(rows) > 30
    assert (rows[["mean", "before"]] != 0).to_numpy().mean() > 0.3
    assert status["predictions"]["final"] == len(written.splitlines()) == len(rows) - 3  # the first week is short
    assert status["rejected"] == 0
    assert set(status["unread"]) == {"mine.size"}
    expected = {}
    for ticker, one in rows.groupby("ticker"):
        values = one[list(MIXED.names)].to_numpy(dtype=np.float32)
        for at in range(1, len(one)):
            expected[one["date"].iloc[at].strftime("%Y-%m-%d"), str(ticker)] = values[at - 1 : at + 1]
    probabilities = model.probabilities(np.stack(list(expected.values())))
    for line in written.splitlines():
        found = orjson.loads(line)
        at = list(expected).index((found["date"], found["ticker"]))
        np.testing.assert_allclose(
            [found[name] for name in probability_names(model.card.classes)], probabilities[at], rtol=1e-6
        )

    stopped = tmp_path / "stopped"
    for _ in range(3):
        ran(stopped, model, replay_of(files, batch=60, card=model.card, extra=extra), steps=2)
    ran(stopped, model, replay_of(files, card=model.card, extra=extra))
    assert (stopped / "out.jsonl").read_bytes() == written

    own_events = [
        {"kind": "extra", "name": name, **{key: row[key] for key in ("ticker", "date", "known_at") if key in row}}
        | {"values": {key: None if pd.isna(row[key]) else row[key] for key in ("sent", "short", "size") if key in row}}
        for name, path in extra.items()
        for row in pd.read_csv(path).to_dict("records")
    ]
    sent = sorted(
        [*own_events, *events], key=lambda one: str(one.get("date") or one.get("release_date") or one.get("known_at"))
    )
    live = tmp_path / "live"
    live.mkdir()
    (live / "in.jsonl").write_bytes(lines(sent))
    ran(live, model, FileSource(live / "in.jsonl", follow=False))
    assert (live / "out.jsonl").read_bytes() == written


def test_another_lag_is_another_stream(tmp_path: Path) -> None:
    files, extra = market_files(tmp_path, small_stream(count=20)), own_files(tmp_path)
    model = TinyClassifier(features=MIXED, extra_lag={"mine": 1})
    ran(tmp_path / "state", model, replay_of(files, card=model.card, extra=extra))
    with pytest.raises(RunError, match=r"source: the checkpoint .*extra_lag\.mine=1, not to .*extra_lag\.mine=2"):
        ran(tmp_path / "state", model, replay_of(files, card=model.card, extra=extra, extra_lag={"mine": 2}))
    (tmp_path / "in.jsonl").write_bytes(b"")
    source = FileSource(tmp_path / "in.jsonl", follow=False)
    ran(tmp_path / "other", model, source)
    longer = TinyClassifier(features=MIXED, extra_lag={"mine": 4})
    with pytest.raises(RunError, match=r"model: the checkpoint .*extra_lag\.mine=1, not to .*extra_lag\.mine=4"):
        ran(tmp_path / "other", longer, FileSource(tmp_path / "in.jsonl", follow=False))
