"""The service as a process: slow, large and malformed requests on real sockets, its end, and a new model."""

import json
import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from benchmarks.http_load import load
from onnx_files import tiny_card, tiny_model, tiny_probabilities
from service import JSON, Service, answer, closed, request, serving
from ste.config import PathSettings, TrackingSettings
from ste.config.load import compose_command
from ste.errors import ConfigError, RunError, SteError
from ste.inference.registry.champion import Champion, version_path, write_champion
from ste.serve import serve_task
from ste.serving import openapi_examples as examples
from ste.serving import server
from ste.serving.model_file import newest_model_file

LIMITS = (
    "limits.header_timeout=0.6",
    "limits.body_timeout=0.9",
    "limits.max_connections=24",
    "limits.idle_timeout=0.8",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    tiny_model(folder / "model.onnx")
    with serving(folder, "model=model.onnx", *LIMITS) as running:
        yield running


def good(service: Service) -> None:
    """Somebody else is served."""
    status, reply = service.predict(WINDOW)
    assert (status, len(reply["predictions"])) == (200, 1)


WINDOW = examples.predict(tiny_card())["one window as arrays"]["value"]
BODY = json.dumps(WINDOW).encode()


def problem(received: tuple[int, dict[str, str], bytes]) -> dict[str, object]:
    status, headers, body = received
    assert headers["content-type"] == "application/problem+json"
    content = json.loads(body)
    assert content["status"] == status
    return content


def test_a_body_of_100_mb_is_refused_before_it_is_read(service: Service):
    with service.connect() as connection:
        connection.sendall(request("POST", "/v1/predict", b"", JSON, "content-length: 104857600"))
        reply = problem(answer(connection))
    assert (reply["status"], reply["type"]) == (413, "/docs#body-too-large")
    assert "104857600 bytes, expected at most 4194304" in str(reply["detail"])
    good(service)


def test_a_client_that_sends_100_mb_before_it_reads_gets_the_refusal(service: Service):
    block = b" " * 1_048_576
    with service.connect() as connection:
        connection.sendall(request("POST", "/v1/predict", b"", JSON, "content-length: 104857600"))
        try:
            for _ in range(100):
                connection.sendall(block)
        except ConnectionError:
            pass
        assert problem(answer(connection))["status"] == 413
    good(service)


def test_a_body_without_an_end_is_refused_at_the_limit(service: Service):
    block = b"100000\r\n" + b" " * 1_048_576 + b"\r\n"
    with service.connect() as connection:
        connection.sendall(request("POST", "/v1/predict", b"", JSON, "transfer-encoding: chunked"))
        for _ in range(5):
            connection.sendall(block)
        assert problem(answer(connection))["status"] == 413
        assert closed(connection, 5)
    good(service)


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/predict/bars"])
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"windows": [[[NaN]]]}', 400, "NaN"),
        (b'{"windows": [[[-Infinity]]]}', 400, "Infinity"),
        (b'{"windows": [[[1e999]]]}', 400, "infinity"),
        (b"[" * 1_000_000, 400, "depth"),
        (b'{"a":' * 600_000, 400, "depth"),
        (b"[" * 900 + b"]" * 900, 422, "array"),
        (b"", 400, "JSON"),
        (b"\xff\xfe", 400, "JSON"),
        (b'{"windows": "\xff"}', 400, "JSON"),
        (b'"text"', 422, ""),
        (b"null", 422, ""),
    ],
)
def test_what_is_not_a_request_is_refused(service: Service, path: str, body: bytes, status: int, words: str):
    headers = [JSON] if body else [JSON, "content-length: 0"]
    reply = problem(service.ask("POST", path, body, *headers))
    assert reply["status"] == status
    if path == "/v1/predict":
        assert words in json.dumps(reply)
    good(service)


def test_slow_headers_are_refused_while_others_are_served(service: Service):
    with service.connect() as connection:
        started = time.monotonic()
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\n")

        def drip() -> None:
            for i in range(100):
                try:
                    connection.sendall(f"x-{i}: y\r\n".encode())
                except OSError:
                    return
                time.sleep(0.1)

        dripping = threading.Thread(target=drip)
        dripping.start()
        good(service)
        reply = problem(answer(connection))
        taken = time.monotonic() - started
        assert reply["status"] == 408
        assert "headers did not arrive within 0.6 s" in str(reply["detail"])
        assert 0.5 < taken < 6
        assert closed(connection, 5)
        dripping.join()


def test_a_slow_body_is_refused_while_others_are_served(service: Service):
    with service.connect() as connection:
        connection.sendall(request("POST", "/v1/predict", b"", JSON, "content-length: 1000"))
        for _ in range(5):
            connection.sendall(b" ")
            time.sleep(0.1)
        good(service)
        reply = problem(answer(connection))
        assert reply["status"] == 408
        assert "body did not arrive within 0.9 s" in str(reply["detail"])
        assert closed(connection, 5)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"POST", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"])
def test_a_silent_connection_is_closed(service: Service, sent: bytes):
    with service.connect() as connection:
        connection.sendall(sent)
        assert closed(connection, 8)


def test_headers_without_an_end_are_refused(service: Service):
    with service.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
        try:
            for _ in range(20):
                connection.sendall(b"y" * 100_000)
        except ConnectionError:
            pass
        assert problem(answer(connection))["status"] == 431
    good(service)


def test_what_is_not_http_is_refused(service: Service):
    with service.connect() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert problem(answer(connection))["type"] == "/docs#invalid-http"
    good(service)


def test_one_connection_too_many_is_refused_and_a_later_one_served(service: Service):
    connections = [service.connect() for _ in range(24)]
    try:
        with service.connect() as connection:
            connection.sendall(request("GET", "/healthz"))
            reply = problem(answer(connection))
            assert reply["status"] == 503
            assert "24 connections are open" in str(reply["detail"])
        connections.pop().close()
        deadline = time.monotonic() + 5
        while service.ask("GET", "/healthz")[0] != 200:
            assert time.monotonic() < deadline
    finally:
        for connection in connections:
            connection.close()


def test_slow_clients_by_the_dozen_cost_the_others_nothing(service: Service):
    connections = [service.connect() for _ in range(12)]
    for i, connection in enumerate(connections):
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\n"
            if i % 2
            else request("POST", "/v1/predict", b"", JSON, "content-length: 99")
        )
    for _ in range(20):
        good(service)
    for connection in connections:
        assert answer(connection)[0] == 408
        connection.close()


def test_requests_in_one_packet_are_answered_in_their_order(service: Service):
    with service.connect() as connection:
        connection.sendall(
            request("POST", "/v1/predict", BODY, JSON) + request("GET", "/healthz") + request("GET", "/nothing")
        )
        received = b""
        while received.count(b"HTTP/1.1") < 3:
            received += connection.recv(65_536)
        assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", b"404"]


def test_a_client_that_leaves_within_its_body_is_no_fault(service: Service):
    for _ in range(3):
        with service.connect() as connection:
            connection.sendall(request("POST", "/v1/predict", b"", JSON, "content-length: 99") + b"{")
    good(service)
    assert "Traceback" not in service.log()


def test_expect_100_continue(service: Service):
    with service.connect() as connection:
        connection.sendall(
            request("POST", "/v1/predict", b"", JSON, f"content-length: {len(BODY)}", "expect: 100-continue")
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(BODY)
        assert answer(connection)[0] == 200
    with service.connect() as connection:
        connection.sendall(
            request("POST", "/v1/predict", b"", JSON, "content-length: 99999999", "expect: 100-continue")
        )
        assert answer(connection)[0] == 413


def test_a_load_of_our_own_counts_answers_and_faults(service: Service, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    url = f"http://127.0.0.1:{service.port}/v1/predict"
    right, wrong = (load(url, body, 3, 0.2) for body in (BODY, b"{}"))
    assert right.errors == 0
    assert 0 < right.median <= right.p99 <= right.slowest
    assert wrong.errors > 0


def test_refusals_are_counted(service: Service):
    with service.connect() as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        answer(connection)
    text = service.ask("GET", "/metrics")[2].decode()
    assert 'ste_connections_refused_total{kind="invalid-http"}' in text
    assert 'ste_requests_total{method="POST",route="/v1/predict",status="200"}' in text


def test_a_stop_answers_what_is_in_flight_and_ends(tmp_path: Path):
    tiny_model(tmp_path / "model.onnx")
    with serving(tmp_path, "model=model.onnx") as running:
        halves = [running.connect() for _ in range(4)]
        head = request("POST", "/v1/predict", b"", JSON, f"content-length: {len(BODY)}", "expect: 100-continue")
        for connection in halves:
            connection.sendall(head)
            assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
            connection.sendall(BODY[:-100])
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionError):  # refused, or reset while the listening socket closes
            while True:
                running.connect().close()
                time.sleep(0.02)
        for connection in halves:
            connection.sendall(BODY[-100:])
            status, headers, _ = answer(connection)
            assert (status, headers["connection"]) == (200, "close")
            connection.close()
        assert running.process.wait(10) == -signal.SIGTERM
        assert "Traceback" not in running.log()


def hammer(service: Service, stop: threading.Event, versions: set[str], faults: list[object]) -> None:
    """Requests one after the other on one connection, each of which must be answered."""
    with service.connect() as connection:
        while not stop.is_set():
            try:
                connection.sendall(request("POST", "/v1/predict", BODY, JSON))
                status, _, body = answer(connection)
                reply = json.loads(body)
                if status != 200:
                    faults.append(reply)
                else:
                    versions.add(reply["version"] + json.dumps(reply["predictions"]))
            except (OSError, KeyError) as error:
                faults.append(error)
                return


def test_a_new_model_takes_over_without_a_dropped_request_and_a_bad_file_does_not(tmp_path: Path):
    card = tiny_model(tmp_path / "model.onnx", seed=0)
    tiny_model(tmp_path / "next.onnx", seed=1)
    with serving(tmp_path, "model=model.onnx", "reload_interval=0.05") as running:
        stop, versions, faults = threading.Event(), set(), []
        clients = [threading.Thread(target=hammer, args=(running, stop, versions, faults)) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(0.3)
        first = json.loads(running.ask("GET", "/readyz")[2])
        (tmp_path / "model.onnx").write_bytes(b"not a model")
        bad = wait_for(running, lambda ready: ready["warning"])
        assert bad["version"] == first["version"]
        assert (
            bad["warning"]
            == "A newer model could not be loaded, and this version stays deployed. See the service's log."
        )
        assert "ste_model_stale 1.0" in running.ask("GET", "/metrics")[2].decode()
        os.replace(tmp_path / "next.onnx", tmp_path / "model.onnx")
        new = wait_for(running, lambda ready: ready["version"] != first["version"])
        time.sleep(0.2)
        stop.set()
        for client in clients:
            client.join()
        assert not faults
        assert new["warning"] == ""
        assert len(versions) == 2  # each version has one answer, and never the other's
        reply = running.predict(WINDOW)[1]["predictions"][0]["probabilities"]
        expected = tiny_probabilities(card, np.array(WINDOW["windows"]), seed=1)[0]
        np.testing.assert_allclose([*reply.values()], expected, rtol=1e-5)
        text = running.ask("GET", "/metrics")[2].decode()
        assert "ste_model_swaps_total 1.0" in text
        assert "ste_model_failures_total 1.0" in text
        assert "the model stays at version" in running.log()

        tiny_model(tmp_path / "flat.onnx", view="flat")
        os.replace(tmp_path / "flat.onnx", tmp_path / "model.onnx")
        wait_for(running, lambda ready: ready["version"] != new["version"])
        status, reply = running.predict(WINDOW)
        assert (status, reply["errors"][0]["pointer"]) == (422, "#/windows")
        document = json.loads(running.ask("GET", "/openapi.json")[2])
        shown = document["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]
        for example in shown.values():
            assert running.predict(example["value"])[0] == 200


def wait_for(service: Service, holds) -> dict[str, str]:
    deadline = time.monotonic() + 15
    while True:
        ready = json.loads(service.ask("GET", "/readyz")[2])
        if holds(ready):
            return ready
        assert time.monotonic() < deadline, ready
        time.sleep(0.02)


def test_the_champion_is_followed_by_its_pointer(folder: Path):
    output = folder / "outputs"
    (output / "served").mkdir(parents=True)
    champions = [Champion("ste", n, "0" * 32, "", version_path(output, "ste", n).name) for n in ("1", "2")]
    for champion in champions:
        tiny_model(output / "served" / champion.file, seed=int(champion.version))
    write_champion(output, champions[0])
    for spec in ("champion", "models:/ste@champion"):
        newest_file = newest_model_file(spec, TrackingSettings(), PathSettings(str(folder), str(output)))
        write_champion(output, champions[1])
        assert newest_file().name == champions[1].file
        write_champion(output, champions[0])
        assert newest_file().name == champions[0].file
    shutil.rmtree(output / "served")
    with pytest.raises(FileNotFoundError, match="the pointer to the champion of ste"):
        newest_file()


def test_a_file_is_itself_and_its_changes_are_seen(folder: Path):
    tiny_model(folder / "model.onnx")
    assert newest_model_file("model.onnx", TrackingSettings(), PathSettings())() == Path("model.onnx")


@pytest.fixture
def composed(folder: Path):
    """The configuration of the command with overrides, in a folder with a model."""
    tiny_model(folder / "model.onnx")

    def compose_serve(*overrides: str):
        GlobalHydra.instance().clear()
        config = compose_command("serve", [])
        return OmegaConf.merge(config, OmegaConf.from_dotlist(["model=model.onnx", "port=0", *overrides]))

    return compose_serve


@pytest.mark.parametrize(
    ("overrides", "environment", "message"),
    [
        (["model=none.onnx"], None, "model=none.onnx: there is no such file"),
        (["model=text.onnx"], None, "model=text.onnx: not an ONNX file that can be read"),
        (["keys_file=none"], None, r"keys_file=none: cannot be read \(No such file or directory\)"),
        (["keys_file=short"], None, "keys_file=short: key 2 is invalid. Expected 16 or more"),
        (["keys_file=text.onnx"], None, "keys_file=text.onnx: cannot be read .not a text file"),
        ([], ",", "STE_API_KEYS: found no key"),
        ([], "with a space in it", "STE_API_KEYS: key 1 is invalid"),
        (["host=no.such.host.invalid"], None, "host=no.such.host.invalid: is no address"),
        (["limits.max_examples=0"], None, "limits.max_examples=0: expected a whole number, 1 or more"),
        (["limits.body_timeout=0"], None, "limits.body_timeout=0: expected seconds above 0"),
        (
            ["limits.max_queued_examples=10"],
            None,
            "limits.max_queued_examples=10: expected at least limits.max_examples",
        ),
        (["port=70000"], None, r"port=70000: expected a whole number, 0 or more, 65535 or less"),
        (["reload_interval=-1"], None, "reload_interval=-1: expected seconds, or 0 for never"),
    ],
)
def test_a_mistake_is_one_message(composed, monkeypatch, overrides: list[str], environment: str | None, message: str):
    Path("text.onnx").write_bytes(b"\xff\xfe text")
    Path("short").write_text("# keys\n0123456789abcdefgh\n\nhush-hush\n")
    if environment is not None:
        monkeypatch.setenv("STE_API_KEYS", environment)
    with pytest.raises(SteError, match=message) as raised:
        serve_task(composed(*overrides))
    assert "hush" not in str(raised.value)


def test_a_port_in_use_is_an_error(composed):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        reply = rf"port={port}: cannot listen on 127.0.0.1 \(Address already in use\). Try port={port + 1}"
        with pytest.raises(ConfigError, match=reply):
            serve_task(composed(f"port={port}"))


def test_a_missing_champion_is_an_error_without_a_store(composed):
    with pytest.raises(RunError, match=r"model=champion: other holds no runs yet\. Train a model") as raised:
        serve_task(composed("model=champion", "paths.output=other"))
    assert [line.strip() for line in str(raised.value).splitlines()[1:3]] == [
        "python -m ste.train model=lstm paths.output=other",
        "python -m ste.export run=latest promote=yes paths.output=other",
    ]


def test_a_model_of_a_synthetic_market_is_announced(composed, folder: Path, monkeypatch, capsys):
    monkeypatch.setattr(server, "serve", lambda app, settings, listening: listening.close())
    serve_task(composed())
    assert "\nwarning: This model was trained on a synthetic market: its" in capsys.readouterr().out
    tiny_model(folder / "model.onnx", data_source="market")
    serve_task(composed())
    assert "synthetic" not in capsys.readouterr().out


def test_an_open_address_without_a_key_is_warned_of(composed, monkeypatch, caplog, capsys):
    monkeypatch.setattr(server, "serve", lambda app, settings, listening: listening.close())
    for host, keys, warned in (("0.0.0.0", "", True), ("0.0.0.0", "k" * 16, False), ("127.0.0.1", "", False)):
        caplog.clear()
        if keys:
            monkeypatch.setenv("STE_API_KEYS", keys)
        else:
            monkeypatch.delenv("STE_API_KEYS", raising=False)
        serve_task(composed(f"host={host}"))
        assert (f"host={host}: everyone who can reach this machine can send requests" in caplog.text) == warned
        assert "k" * 16 not in caplog.text + capsys.readouterr().out


def test_every_route_but_the_public_ones_needs_a_key_and_a_stop_does_not_wait_for_ever(tmp_path: Path):
    tiny_model(tmp_path / "model.onnx")
    key = "0123456789abcdef"
    with serving(tmp_path, "model=model.onnx", "shutdown_timeout=1", STE_API_KEYS=f"{key},{key}2") as running:
        assert key not in running.output + running.log()
        for file in (tmp_path / "outputs").rglob("*"):
            assert file.is_dir() or key not in file.read_text()
        status, headers, body = running.ask("POST", "/v1/predict", BODY, JSON)
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="ste"')
        assert json.loads(body)["type"] == "/docs#no-key"
        for given, expected in ((key, 200), (key + "2", 200), (key + "3", 401), ("", 401)):
            assert running.ask("POST", "/v1/predict", BODY, JSON, f"authorization: Bearer {given}")[0] == expected
        asked = {
            path: running.ask("GET", path)[0]
            for path in ("/metrics", "/v1/model", "/healthz", "/readyz", "/docs", "/x")
        }
        assert asked == {"/metrics": 401, "/v1/model": 401, "/healthz": 200, "/readyz": 200, "/docs": 200, "/x": 401}
        with running.connect() as connection:
            half = request("POST", "/v1/predict", BODY, JSON, f"authorization: Bearer {key}")[:-100]
            connection.sendall(half)
            time.sleep(0.3)
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(10) is not None
