"""`python -m ste.live` as a process: killed, stopped, fed by hand, and from a broker."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from conftest import Call
from onnx_files import tiny_model
from ste.config.load import compose_command
from ste.errors import SteError
from ste.live import live_task
from ste.streaming.event_sources import FileSource
from streams import lines, market_files, small_stream

redis = pytest.importorskip("redis")


def command(*arguments: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "ste.live",
        "model=tiny.onnx",
        "hydra.run.dir=.",
        "hydra.output_subdir=null",
        *arguments,
    ]


def started(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command(*arguments), cwd=folder, env=environment, **pipes)


def done(folder: Path, *arguments: str, **options: Any) -> tuple[int, str, str]:
    process = started(folder, *arguments, **options)
    out, error = process.communicate(timeout=120)
    return process.returncode, (out or b"").decode(), error.decode()


def until(check: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture
def place(folder: Path) -> Path:
    tiny_model(folder / "tiny.onnx")
    return folder


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return small_stream()


def live(*overrides: str) -> None:
    """The command in this process."""
    config = compose_command("live", [])
    config.merge_with_dotlist(["model=tiny.onnx", *overrides])
    live_task(config)


def status(folder: Path) -> dict[str, Any]:
    path = folder / "status.json"
    return orjson.loads(path.read_bytes()) if path.is_file() else {}


def replayed(folder: Path, events: list[dict[str, Any]]) -> list[str]:
    return [f"replay.{kind}={path}" for kind, path in market_files(folder, events).items()]


def test_it_loads_neither_torch_nor_lightning_nor_mlflow(place: Path, events: list[dict[str, Any]]):
    script = (
        "import runpy, sys\n"
        f"sys.argv = {['ste.live', *command('source=replay', *replayed(place, events), 'sink=out.csv')[3:]]!r}\n"
        "runpy.run_module('ste.live', run_name='__main__', alter_sys=True)\n"
        "print('LOADED', [name for name in ('torch', 'lightning', 'mlflow', 'sklearn') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=place, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "LOADED []" in run.stdout
    assert "\nwarning: This model was trained on a synthetic market: its predictions say" in run.stderr
    assert len((place / "out.csv").read_text().splitlines()) > 10


def test_events_by_hand_come_out_when_the_week_closes_and_a_signal_stops_it(place: Path, events: list[dict[str, Any]]):
    process = started(place, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(lines(events))
    process.stdin.flush()
    seen = [orjson.loads(process.stdout.readline())]
    assert seen[0]["date"] < "2024-11-29"
    process.stdin.write(b'{"kind": "close", "date": "2024-11-29"}\n')
    process.stdin.flush()
    while seen[-1]["ticker"] != "T2" or seen[-1]["date"] != "2024-11-29":
        seen.append(orjson.loads(process.stdout.readline()))
    process.terminate()
    rest, error = process.communicate(timeout=60)
    assert (process.returncode, rest) == (143, b""), error
    assert b"run the same command to resume" in error
    assert b"Traceback" not in error
    assert not any(one["provisional"] for one in seen)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_keeps_what_was_read(
    place: Path, events: list[dict[str, Any]], number: int, monkeypatch: pytest.MonkeyPatch
):
    live("source=replay", *replayed(place, events), "sink=whole.jsonl", "paths.state=whole")
    feed = place / "in.jsonl"
    feed.write_bytes(lines(events[:400]))
    backlog, sent = FileSource.backlog, []

    def stopping(source: FileSource) -> int:  # called at each commit
        if source.position[1] == 400 and not sent:
            sent.append(os.kill(os.getpid(), number))
        return backlog(source)

    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "backlog", stopping)
        with pytest.raises(SystemExit) as stop:
            live("source=in.jsonl", "sink=out.jsonl", "checkpoint_interval=1000")
    assert stop.value.code == 128 + number
    with feed.open("ab") as file:
        file.write(lines(events[400:]))
    live("source=in.jsonl", "sink=out.jsonl", "follow=false")
    assert (place / "out.jsonl").read_bytes() == (place / "whole.jsonl").read_bytes()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["source=none.jsonl"], "source=none.jsonl: no such file. Expected JSON lines"),
        (["source=replay"], "replay.bars=null: source=replay needs a file of bars. Try replay.bars=bars.csv"),
        (["replay.bars=tiny.onnx"], "source=stdin: replay.bars and the other files need source=replay"),
        (["source=replay", "replay.bars=none.csv"], "replay.bars=none.csv: no such file"),
        (["source=replay", "replay.bars=bad.csv"], "for example replay.columns={date: a, "),
        (["replay.speed=fast"], "replay.speed=fast: expected max, events per second such as 500"),
        (["replay.speed=0"], "replay.speed=0: expected max"),
        (["max_delay=-1"], "max_delay=-1: expected a whole number, 0 or more, 30 or less"),
        (["source=a.jsonl", "sink=a.jsonl"], "sink=a.jsonl: found the source itself"),
        (["checkpoint_interval=soon"], "checkpoint_interval=soon: expected a finite number, 0 or more"),
        (["provisional=perhaps"], "provisional=perhaps: expected true or false"),
        (["redis.url=localhost"], "redis.url=localhost: expected redis://HOST:PORT/DATABASE"),
        (
            ["source=redis", "redis.url=redis://:x@localhost:1/0"],
            "redis.url=redis://localhost:1/0: cannot connect to a server",
        ),
        (["model=none.onnx"], "model=none.onnx: there is no such file"),
        (["model=bad.csv"], "model=bad.csv: not an ONNX file"),
    ],
)
def test_a_mistake_is_one_message(place: Path, arguments: list[str], message: str):
    (place / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SteError) as raised:
        live(*arguments)
    assert message in str(raised.value)


def test_a_place_that_cannot_be_written_is_one_message(place: Path, call: Call):
    (place / "in.jsonl").touch()
    code, out, error = call("live", "model=tiny.onnx", "source=in.jsonl", "follow=false", "sink=/proc/out.jsonl")
    assert code == 2, error
    assert "cannot be written" in error
    assert "Traceback" not in error + out


@pytest.mark.slow
def test_a_full_disk_is_one_message_and_nothing_is_lost(place: Path, events: list[dict[str, Any]]):
    """A limit on the size of files stands in for the disk."""
    arguments = ["source=replay", *replayed(place, events), "provisional=true"]
    live(*arguments, "sink=whole.jsonl", "paths.state=whole")
    size = (place / "whole.jsonl").stat().st_size - 1
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    script = (
        f"import signal, sys; {limited}; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"sys.argv = {['ste.live', *command(*arguments, 'sink=out.jsonl')[3:]]!r}\n"
        "import runpy; runpy.run_module('ste.live', run_name='__main__', alter_sys=True)\n"
    )
    full = subprocess.run([sys.executable, "-c", script], cwd=place, capture_output=True, text=True, check=False)
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    live(*arguments, "sink=out.jsonl")
    assert (place / "out.jsonl").read_bytes() == (place / "whole.jsonl").read_bytes()


def place_of(state: Path) -> int:
    """Events that the latest checkpoint knows of."""
    found = status(state)
    return sum(found.get("events", {}).values())


KILLS = 6


@pytest.mark.slow
def test_kills_change_no_byte(place: Path):
    """Real kills of real processes: half at a random time of their start, half at a random place of their work."""
    events = small_stream(tickers=12, count=700, seed=3)
    arguments = ["source=replay", *replayed(place, events), "provisional=true", "checkpoint_interval=0.02"]
    live(*arguments, "sink=whole.jsonl", "paths.state=whole")
    expected = (place / "whole.jsonl").read_bytes()
    assert len(expected.splitlines()) > 5000
    arguments.append("sink=out.jsonl")
    out, state, rng = place / "out.jsonl", place / "outputs/live", random.Random(1)
    targets = sorted(rng.randrange(len(events) * 3 // 4) for _ in range(KILLS // 2))
    lengths = []
    for kill in range(KILLS):
        process = started(place, *arguments, "replay.speed=1000", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if kill % 2:
            until(lambda target=targets[kill // 2]: place_of(state) >= target)
            time.sleep(rng.uniform(0.0, 0.1))
        else:
            time.sleep(rng.uniform(0.0, 1.5))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        lengths.append(out.stat().st_size if out.exists() else 0)
    assert len(set(lengths)) > KILLS // 4  # it was at work
    code, _, error = done(place, *arguments)
    assert code == 0, error
    assert out.read_bytes() == expected
    assert status(state)["predictions"] == status(place / "whole")["predictions"]


# --- Redis Streams ---


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, which keeps nothing."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("needs redis-server")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    client = redis.Redis.from_url(url)
    until(lambda: answers(client))
    yield url
    client.close()
    process.terminate()
    process.wait()


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    connection = redis.Redis.from_url(server)
    connection.flushall()
    yield connection
    connection.close()


def send(client: Any, events: list[dict[str, Any]]) -> None:
    with client.pipeline() as pipe:
        for event in events:
            pipe.xadd("ste:events", {"event": orjson.dumps(event)})
        pipe.execute()


def predictions_in(client: Any) -> list[bytes]:
    entries = client.xrange("ste:predictions")
    assert [key for key, _ in entries] == [f"{number}-0".encode() for number in range(1, len(entries) + 1)]
    return [fields[b"prediction"] for _, fields in entries]


def test_a_pipeline_between_two_streams(
    place: Path, server: str, client: Any, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    """In one process, crashing between any two of: the sink's commit, the checkpoint, the next event."""
    from ste.streaming.checkpoints import Checkpoints
    from ste.streaming.engine import Engine
    from ste.streaming.pipeline import Pipeline
    from ste.streaming.redis_streams import RedisSink, RedisSource, connect
    from streams import TinyClassifier

    def opened(name: str) -> Pipeline:
        return Pipeline(
            Engine(TinyClassifier(), provisional=True),
            RedisSource(connect(server), server, "ste:events", batch=17),
            RedisSink(connect(server), server, "ste:predictions", ("Downtrend", "Neutral", "Uptrend")),
            Checkpoints(place / name),
            checkpoint_interval=0.0,
        )

    def work(pipeline: Pipeline) -> None:
        while pipeline.step():
            pipeline.commit()

    whole = opened("whole")
    whole.start()
    send(client, [*events, {"kind": "close", "date": "2024-11-29"}])
    work(whole)
    whole.close()
    expected = predictions_in(client)
    assert len(expected) > 30
    client.delete("ste:predictions")

    class Crash(BaseException):
        pass

    steps = 0

    def crashing(real: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps % 61 == 0:
                raise Crash
            return real(*args, **kwargs)

        return step

    crashes = 0
    with monkeypatch.context() as patch:
        patch.setattr(RedisSink, "commit", crashing(RedisSink.commit))
        patch.setattr(RedisSource, "read", crashing(RedisSource.read))
        patch.setattr(Checkpoints, "save", crashing(Checkpoints.save))
        patch.setattr(Engine, "feed", crashing(Engine.feed))
        for attempt in range(10_000):
            pipeline = opened("broken")
            steps = attempt % 61
            patch.setattr(pipeline._source, "_batch", 1 + attempt % 5)
            try:
                pipeline.start()
                work(pipeline)
                break
            except Crash:
                crashes += 1
            finally:
                pipeline.close()
    assert crashes > 20
    assert predictions_in(client) == expected


@pytest.mark.slow
def test_the_command_reads_and_writes_streams(place: Path, server: str, client: Any, events: list[dict[str, Any]]):
    send(client, events)
    arguments = ["source=redis", "sink=redis", f"redis.url={server}"]
    process = started(place, *arguments)
    until(lambda: status(place / "outputs/live").get("read") == len(events))
    client.xadd("ste:events", {"other": b"1"})
    send(client, [{"kind": "close", "date": "2024-11-29"}])
    until(lambda: client.xlen("ste:predictions") and b'"2024-11-29"' in predictions_in(client)[-1])
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143, error
    assert b"rejected 1" in error
    live("source=replay", *replayed(place, events), "sink=out.jsonl", "paths.state=whole")
    assert predictions_in(client) == (place / "out.jsonl").read_bytes().splitlines()


def test_a_lost_connection_loses_nothing(server: str, client: Any):
    from ste.streaming.engine import Prediction
    from ste.streaming.redis_streams import RedisSink, RedisSource, connect

    source = RedisSource(connect(server), server, "ste:events", batch=2)
    sink = RedisSink(connect(server), server, "ste:predictions", ("Downtrend", "Uptrend"))
    source.open(None)
    sink.open(None)
    send(client, [{"kind": "close", "date": f"2024-11-{day:02}"} for day in range(1, 13)])
    found = []
    for number in range(8):
        if number % 2:
            client.client_kill_filter(_type="normal", skipme=True)
        items = source.read(0.01)
        found += [orjson.loads(item.content)["date"][-2:] for item in items]
        sink.write([Prediction("2024-11-29", f"T{number}", "Uptrend", (0.25, 0.75), "tiny", False)])
        sink.commit()
    while items := source.read(0.01):
        found += [orjson.loads(item.content)["date"][-2:] for item in items]
    assert found == [f"{day:02}" for day in range(1, 13)]
    assert [orjson.loads(content)["ticker"] for content in predictions_in(client)] == [
        f"T{number}" for number in range(8)
    ]
    source.close()
    sink.close()


@pytest.mark.slow
def test_a_reader_that_goes_away_is_one_message(place: Path, events: list[dict[str, Any]]):
    reader, writer = os.pipe()
    os.close(reader)
    code, _, error = done(place, "source=replay", *replayed(place, events), stdout=writer)
    os.close(writer)
    assert code == 2, error
    assert "sink=stdout: the reader closed the pipe" in error
    assert "Traceback" not in error
    assert "Exception ignored" not in error


@pytest.mark.slow
def test_a_server_that_stops_is_one_message(
    place: Path, events: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
):
    """And its stream, which it did not keep, is missed when it is there again."""
    port, log = free_port(), {"stdout": subprocess.DEVNULL}
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("needs redis-server")
    options = [binary, "--port", str(port), "--save", "", "--dir", str(tmp_path_factory.mktemp("stops"))]
    url = f"redis://127.0.0.1:{port}/0"
    client = redis.Redis.from_url(url)
    broker = subprocess.Popen(options, **log)
    until(lambda: answers(client))
    send(client, events)
    process = started(place, "source=redis", "sink=out.jsonl", f"redis.url={url}")
    until(lambda: status(place / "outputs/live").get("read") == len(events))
    broker.kill()
    broker.wait()
    broker = subprocess.Popen(options, **log)
    _, error = process.communicate(timeout=120)
    broker.kill()
    broker.wait()
    assert process.returncode == 2, error
    assert b"redis.events=ste:events: the stream ends before" in error
    assert b"Traceback" not in error


def test_streams_that_are_not_what_they_were_are_refused(place: Path, server: str, client: Any):
    from ste.errors import RunError
    from ste.streaming.engine import Prediction
    from ste.streaming.redis_streams import RedisSink, RedisSource, connect

    def source() -> RedisSource:
        return RedisSource(connect(server), server, "ste:events")

    send(client, [{"kind": "close", "date": "2024-11-29"}] * 3)
    first = source()
    first.open(None)
    assert len(first.read(0.0)) == 3
    position = first.position
    send(client, [{"kind": "close", "date": "2024-12-29"}] * 3)
    client.xtrim("ste:events", maxlen=1, approximate=False)
    with pytest.raises(RunError, match=r"2 entries after \d+-\d+ were trimmed before they were read"):
        source().open(position)
    client.delete("ste:events")
    with pytest.raises(RunError, match=r"the stream ends before \d+-\d+, which was read"):
        source().open(position)
    client.delete("ste:events")
    client.set("ste:events", 1)
    with pytest.raises(RunError, match=r"redis.events=ste:events: WRONGTYPE"):
        source().open(None)

    sink = RedisSink(connect(server), server, "ste:predictions", ("Downtrend", "Uptrend"))
    with pytest.raises(RunError, match=r"3 predictions were added, but the stream ends at entry 0: the server lost"):
        sink.open(3)
    client.xadd("ste:predictions", {"prediction": "first"}, id="2-0")
    with pytest.raises(RunError, match=r"3 predictions were added, but the stream ends at entry 2"):
        sink.open(3)
    assert sink.open(2) == 2
    client.delete("ste:predictions")
    client.xadd("ste:predictions", {"prediction": "mine"})
    with pytest.raises(RunError, match=r"this stream exists and no checkpoint of this pipeline lists it"):
        sink.open(None)
    sink.open(0)
    sink.write([Prediction("2024-11-29", "T0", "Uptrend", (0.25, 0.75), "tiny", False)])
    with pytest.raises(RunError, match=r"entry 1-0 is not this pipeline's prediction"):
        sink.commit()
