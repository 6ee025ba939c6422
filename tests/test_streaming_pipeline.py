"""From a source to a sink: nothing lost, nothing twice, whatever is broken off and wherever."""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import PRICES11
from ste.errors import DataError, RunError
from ste.streaming import checkpoints
from ste.streaming.checkpoints import Checkpoints
from ste.streaming.engine import Engine
from ste.streaming.event_sources import FileSource
from ste.streaming.pipeline import Pipeline
from ste.streaming.sinks import CommittedFile, FileSink
from streams import TinyClassifier, lines, market_files, replay_of, small_stream

CLASSES = ("Downtrend", "Neutral", "Uptrend")


class Crash(BaseException):
    """The process is gone."""


def opened(
    folder: Path, source: Any = None, sink: str = "out.jsonl", every: float = 0.0, version: str = "tiny", **model: Any
) -> Pipeline:
    return Pipeline(
        Engine(TinyClassifier(version, **model), provisional=True),
        FileSource(folder / "in.jsonl", follow=False) if source is None else source,
        FileSink(folder / sink, CLASSES),
        Checkpoints(folder / "state"),
        checkpoint_interval=every,
    )


def ran(folder: Path, **options: Any) -> dict[str, Any]:
    """Start, work to the end, close; the counters."""
    work = opened(folder, **options)
    try:
        work.start()
        return work.run(lambda: False)
    finally:
        work.close()


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return small_stream()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]]) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "in.jsonl").write_bytes(lines(events))
    ran(folder)
    out = (folder / "out.jsonl").read_bytes()
    assert len(out.splitlines()) > 30
    return out


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ste.streaming.event_sources._CHUNK", 3000)


def crashing(monkeypatch: pytest.MonkeyPatch, at: int, half: bool) -> Callable[[], int]:
    """Every step that changes a disk counts; the process is gone at one of them, or with half of it done."""
    steps = 0

    def wrapped(real: Callable[..., Any], halfway: Callable[..., Any] | None = None) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == at:
                if half and halfway is not None:
                    halfway(*args)
                raise Crash
            return real(*args, **kwargs)

        return step

    write = CommittedFile.commit

    def half_a_commit(tail: CommittedFile) -> None:
        content = b"".join(tail._buffer)
        tail._file.write(content[: len(content) // 2])

    monkeypatch.setattr(CommittedFile, "commit", wrapped(write, half_a_commit))
    monkeypatch.setattr(checkpoints.os, "replace", wrapped(os.replace))
    monkeypatch.setattr(checkpoints.os, "fsync", wrapped(os.fsync))
    monkeypatch.setattr(checkpoints.np, "savez", wrapped(np.savez, lambda file, *_: file.write(b"PK broken")))
    monkeypatch.setattr(Engine, "feed", wrapped(Engine.feed))
    return lambda: steps


@pytest.mark.usefixtures("small_batches")
def test_a_crash_at_any_step_changes_no_byte(
    tmp_path: Path, events: list[dict[str, Any]], undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crashes again and again, a little later each time, until it comes through."""
    (tmp_path / "in.jsonl").write_bytes(lines(events))
    crashes = 0
    for attempt in range(2000):
        with monkeypatch.context() as patch:
            # Some starts end before the first checkpoint, some in the middle of a write.
            crashing(patch, at=1 + (11 * attempt) % 113, half=attempt % 2 == 0)
            work = opened(tmp_path)
            try:
                work.start()
                work.run(lambda: False)
                break
            except Crash:
                crashes += 1
            finally:
                work.close()
    assert crashes > 20
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_a_crash_at_every_single_step_of_a_short_stream(
    tmp_path: Path, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One crash at step 1, 2, 3 and so on, each in a folder of its own."""
    monkeypatch.setattr("ste.streaming.event_sources._CHUNK", 2500)
    short = [{**event, "kind": "bar"} for event in events if event["kind"] == "bar" and event["ticker"] == "T0"][-34:]
    changes = {"sink": "out.csv", "features": PRICES11, "sequence_length": 2}
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "in.jsonl").write_bytes(lines(short))
    with monkeypatch.context() as patch:
        steps = crashing(patch, at=-1, half=False)
        ran(whole, **changes)
        total = steps()
    expected = (whole / "out.csv").read_bytes()
    assert len(expected.splitlines()) == 4
    assert total > 50
    for at in range(1, total + 1):
        folder = tmp_path / str(at)
        folder.mkdir()
        (folder / "in.jsonl").write_bytes(lines(short))
        with monkeypatch.context() as patch:
            crashing(patch, at=at, half=at % 2 == 0)
            work = opened(folder, **changes)
            with pytest.raises(Crash):
                work.start()
                work.run(lambda: False)
            work.close()
        ran(folder, **changes)
        assert (folder / "out.csv").read_bytes() == expected, at


def test_a_replay_of_market_files_equals_their_events(
    tmp_path: Path, events: list[dict[str, Any]], undisturbed: bytes
) -> None:
    files = market_files(tmp_path, events)
    status = ran(tmp_path, source=replay_of(files))
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed
    assert status["read"] == len(events)
    assert status["rejected"] == 0


def test_a_stop_and_a_restart_go_on_in_the_middle(tmp_path: Path, events: list[dict[str, Any]], undisturbed: bytes):
    files = market_files(tmp_path, events)
    reads = []
    for stop in (40, 1, 20, 10**6):
        work = opened(tmp_path, source=replay_of(files, batch=7))
        work.start()
        batches = iter(range(stop))
        reads.append(work.run(lambda batches=batches: next(batches, None) is None)["read"])
        work.close()
    assert sum(reads) == len(events)
    assert min(reads) > 0
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_a_finished_stream_started_again_adds_nothing(tmp_path: Path, events: list[dict[str, Any]], undisturbed: bytes):
    (tmp_path / "in.jsonl").write_bytes(lines(events))
    first = ran(tmp_path)
    again = ran(tmp_path)
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed
    assert again == {**first, "read": 0}


def test_what_is_appended_later_is_read_later(tmp_path: Path, events: list[dict[str, Any]], undisturbed: bytes):
    content = lines(events)
    for a, b in pairwise([0, 1000, 1001, 20_000, len(content)]):
        with (tmp_path / "in.jsonl").open("ab") as file:
            file.write(content[a:b])
        work = opened(tmp_path, source=FileSource(tmp_path / "in.jsonl", follow=True))
        work.start()
        while work.step():
            pass
        work.commit()
        work.close()
    ran(tmp_path)
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_csv_carries_the_same_predictions(tmp_path: Path, events: list[dict[str, Any]], undisturbed: bytes):
    (tmp_path / "in.jsonl").write_bytes(lines(events))
    ran(tmp_path, sink="out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table) == [
        "date",
        "ticker",
        "class",
        "p_downtrend",
        "p_neutral",
        "p_uptrend",
        "model_version",
        "provisional",
    ]
    expected = pd.DataFrame([orjson.loads(line) for line in undisturbed.splitlines()])
    pd.testing.assert_frame_equal(table, expected, check_exact=True)


# --- what is wrong with events, files and folders ---


def test_invalid_events_are_reported_and_the_stream_continues(
    tmp_path: Path, events: list[dict[str, Any]], undisturbed: bytes
):
    bar = next(event for event in events if event["kind"] == "bar")
    bad: list[tuple[bytes, str]] = [
        (b"{oops", "not JSON"),
        (b"[1]", "expected a JSON object"),
        (b'{"kind": "tick"}', "kind: found 'tick'; expected one of bar, news, macro, policy, close"),
        (b"\xff\xfe", "not JSON"),
        (b'{"kind": "macro", "series": [], "release_date": "2024-01-02", "value": 1}', "series: found []"),
        (b"[" * 50_000, "not JSON"),
        (b" " * 10 + b"x" * 70_000, "a line of 70010 bytes; expected at most 65536"),
        (orjson.dumps({**bar, "close": None}), "close: found nothing; expected a price above 0"),
        (orjson.dumps({**bar, "close": True}), "close: found True; expected a price above 0"),
        (orjson.dumps({**bar, "close": "3"}), "close: found '3'; expected a price above 0"),
        (orjson.dumps({**bar, "open": -1.0}), "open: found -1.0; expected a price above 0"),
        (orjson.dumps({**bar, "high": 1.0}), "high: found 1 below the low"),
        (orjson.dumps({**bar, "adj_close": 0}), "adj_close: found 0; expected a price above 0"),
        (orjson.dumps({**bar, "adj_close": 1e-320}), "adj_close: found 1e-320 with a close of"),
        (orjson.dumps({**bar, "close": 1e-9, "adj_close": 1e308}), "adj_close: found 1e+308 with a close of 1e-09"),
        (b'{"kind": "bar", "ticker": "T0", "date": "2024-11-01", "open": 1' + b"0" * 400 + b"}", "not JSON"),
        (orjson.dumps({**bar, "raw_close": -1}), "raw_close: found -1; expected a price above 0"),
        (orjson.dumps({**bar, "raw_close": 1, "adj_close": 1}), "raw_close: found next to adj_close"),
        (orjson.dumps({**bar, "ticker": ""}), "ticker: found ''; expected a name"),
        (orjson.dumps({**bar, "date": "2024-11-30"}), "date: found 2024-11-30, which is no session"),
        (orjson.dumps({**bar, "date": "29.11.2024"}), "date: found '29.11.2024'; expected a date"),
        (orjson.dumps({**bar, "date": 20241129}), "date: found 20241129; expected a date"),
        (orjson.dumps({**bar, "date": "2024-02-30"}), "expected a date such as"),
        (orjson.dumps({**bar, "date": "0001-01-01"}), "expected a date from 1950 to 2099"),
        (orjson.dumps({"kind": "close", "date": "2098-01-01"}), "which lies in the future"),
        (b'{"kind": "macro", "series": "m2", "release_date": "2024-01-01", "value": 1}', "series: found 'm2'"),
        (
            b'{"kind": "macro", "series": "vix", "release_date": "2024-01-01", "value": -1}',
            "value: found -1; expected a number of 0 or more",
        ),
        (
            b'{"kind": "news", "ticker": "T0", "date": "2024-11-01", "count": 1, "sentiment": 2, "relevance": 0}',
            "sentiment: found 2; expected a number from -1 to 1",
        ),
        (b'{"kind": "policy", "date": "2024-11-01", "impact": 1e999}', "not JSON"),
    ]
    good = lines(events).splitlines(keepends=True)
    mixed = good[:]
    for at, (line, _) in enumerate(bad):
        mixed.insert(3 * at, line + b"\n")
    mixed.insert(5, b"  \n")  # an empty line is no event and no mistake
    (tmp_path / "in.jsonl").write_bytes(b"".join(mixed))
    status = ran(tmp_path)
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed
    assert status["rejected"] == len(bad)
    rejects = [orjson.loads(line) for line in (tmp_path / "state" / "rejected.jsonl").read_bytes().splitlines()]
    for (line, reason), one in zip(bad, rejects, strict=True):
        assert reason in one["reason"], one
        assert len(one["event"]) <= 300
        number = int(one["where"].removeprefix("line "))
        assert mixed[number - 1] == line + b"\n"


@settings(max_examples=40)
@given(
    content=st.binary(max_size=400)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "ticker", "date", "close", "open", "high", "low", "volume", "id", "impact"]),
                inner,
            )
        ),
        max_leaves=12,
    ).map(lambda value: orjson.dumps(value) if _is_json(value) else b"-")
)
def test_no_line_stops_the_stream(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "in.jsonl").write_bytes(content)
    status = ran(folder)
    assert status["rejected"] + sum(status["events"].values()) == status["read"]


def _is_json(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except (orjson.JSONEncodeError, TypeError):
        return False
    return True


def test_a_file_that_no_checkpoint_knows_is_left_alone(tmp_path: Path):
    (tmp_path / "in.jsonl").touch()
    (tmp_path / "out.jsonl").write_text("somebody's\n")
    with pytest.raises(
        RunError, match=r"sink=.*out.jsonl: this file exists and no checkpoint of this pipeline lists it"
    ):
        ran(tmp_path)
    assert (tmp_path / "out.jsonl").read_text() == "somebody's\n"


def test_figures_that_float32_cannot_hold_give_no_prediction(tmp_path: Path, events: list[dict[str, Any]]):
    """The greatest and smallest prices and volumes that pass the checks; then all is well again."""
    rng = np.random.default_rng(0)
    wild = []
    for event in events:
        changes = {}
        if event["kind"] == "bar" and event["ticker"] == "T1" and rng.random() < 0.2:
            price = float(rng.choice([5e-324, 1e-300, 1e30, 1.7e308]))
            changes = {**dict.fromkeys(("open", "high", "low", "close"), price), "volume": 1.7e308}
        if event["kind"] == "news" and event["ticker"] == "T2" and event["date"] > "2024-11-18":
            changes = {"count": 1.7e308}
        wild.append({**event, **changes})
    (tmp_path / "in.jsonl").write_bytes(lines(wild))
    status = ran(tmp_path)
    assert status["rejected"] == 0
    assert status["predictions"]["unusable"] > 5
    written = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert {one["ticker"] for one in written} >= {"T0", "T2"}
    assert all(one["p_downtrend"] is not None for one in written)


def test_two_pipelines_do_not_share_a_folder(tmp_path: Path):
    (tmp_path / "in.jsonl").touch()
    work = opened(tmp_path)
    with pytest.raises(RunError, match=r"another live pipeline uses this folder"):
        opened(tmp_path)
    work.start()
    work.close()
    ran(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sink": "other.jsonl"}, r"sink: the checkpoint in .*state belongs to file .*out.jsonl, not to file .*other"),
        ({"features": PRICES11}, r"model: the checkpoint in .* belongs to features weekly21, not to features prices11"),
        ({"frequency": "daily"}, r"model: the checkpoint in .* belongs to weekly rows, not to daily rows"),
    ],
)
def test_a_checkpoint_is_of_one_pipeline(tmp_path: Path, options: dict[str, Any], message: str):
    (tmp_path / "in.jsonl").write_bytes(lines(small_stream(1, 5)))
    ran(tmp_path)
    with pytest.raises(RunError, match=message):
        ran(tmp_path, **options)


def test_another_source_is_refused(tmp_path: Path):
    (tmp_path / "in.jsonl").touch()
    (tmp_path / "second.jsonl").touch()
    ran(tmp_path)
    with pytest.raises(RunError, match=r"source: the checkpoint in .* belongs to file .*in.jsonl, not to .*second"):
        ran(tmp_path, source=FileSource(tmp_path / "second.jsonl", follow=False))


def test_another_model_of_the_same_features_goes_on(
    tmp_path: Path, events: list[dict[str, Any]], undisturbed: bytes
) -> None:
    content = lines(events)
    half = content.index(b"\n", len(content) // 2) + 1
    (tmp_path / "in.jsonl").write_bytes(content[:half])
    work = opened(tmp_path)
    work.start()
    while work.step():
        pass
    work.commit()
    work.close()
    written = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "in.jsonl").write_bytes(content)
    ran(tmp_path, version="other")
    out = (tmp_path / "out.jsonl").read_bytes()
    assert out.startswith(written)
    assert out[len(written) :] == undisturbed[len(written) :].replace(b'"tiny"', b'"other"')


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda state: (state / "checkpoint.npz").write_bytes(b"PK"), r"cannot resume from this checkpoint"),
        (lambda state: (state / "checkpoint.npz").write_bytes(b""), r"cannot resume from this checkpoint"),
        (
            lambda state: (state / "checkpoint.npz").write_bytes((state / "checkpoint.npz").read_bytes()[:-200]),
            r"cannot resume from this checkpoint",
        ),
        (lambda state: (state / "bars.bin").write_bytes(b"1"), r"bars.bin holds 0 records of \d+"),
    ],
)
def test_a_damaged_checkpoint_is_one_message(tmp_path: Path, break_it: Callable[[Path], Any], message: str):
    (tmp_path / "in.jsonl").write_bytes(lines(small_stream(1, 20)))
    ran(tmp_path)
    break_it(tmp_path / "state")
    with pytest.raises(RunError, match=message):
        ran(tmp_path)


def test_files_that_lost_bytes_are_refused(tmp_path: Path, events: list[dict[str, Any]]):
    (tmp_path / "in.jsonl").write_bytes(lines(events))
    ran(tmp_path)
    out = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "out.jsonl").write_bytes(out[:-1])
    with pytest.raises(RunError, match=r"has \d+ bytes, \d+ were written before"):
        ran(tmp_path)
    (tmp_path / "out.jsonl").write_bytes(out)
    (tmp_path / "in.jsonl").write_bytes(b"")
    with pytest.raises(DataError, match=r"has 0 bytes, \d+ were read before"):
        ran(tmp_path)
    (tmp_path / "in.jsonl").unlink()
    with pytest.raises(DataError, match=r"no such file. Expected JSON lines; touch"):
        ran(tmp_path)


def test_a_followed_file_that_is_replaced_is_noticed_once_all_of_it_is_read(tmp_path: Path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"kind": "close", "date": "2024-11-01"}\n')
    source = FileSource(path)
    source.open(None)
    path.rename(tmp_path / "old.jsonl")
    path.write_bytes(b"")
    assert len(source.read(0.0)) == 1
    with pytest.raises(DataError, match=r"another file has replaced it"):
        source.read(0.0)
    source.close()


def test_an_invalid_date_does_not_start_the_clock_of_a_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bars = pd.DataFrame({"ticker": "A", "date": ["soon", "2024-01-02", "2024-01-03", "2024-01-05"]})
    bars.assign(**dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)).to_csv(tmp_path / "bars.csv")
    now = [1000.0]
    monkeypatch.setattr("ste.streaming.replay.time.monotonic", lambda: now[0])
    replay = replay_of({"bars": str(tmp_path / "bars.csv")}, speed="86400x")  # a day a second
    replay.open(None)
    due = []
    for second in (0.5, 1.5, 2.5, 3.5):
        now[0] = 1000.0 + second
        due.append(len(replay.read(0.0)))
    assert due == [2, 1, 0, 1]
