"""Several processes that train one model: like one, stopped and gone on with, and nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow.tracking import MlflowClient

from ste.errors import ConfigError
from ste.experiment.run import last_data, train
from ste.training.distributed import Place
from ste.training.worker_processes import check_shares, place_of, threads_of

SMALL = ["data.tickers=4", "data.start=2018-01-01", "data.end=2022-12-31", "data.split.validation_start=2021-01-01"]
SMALL += ["data.split.test_start=2022-01-01", "trainer.threads=1", "scoring.resamples=200"]
LONG = [*SMALL, "model=dual_tower", "data.batch_size=4", "trainer.max_epochs=80", "fit.patience=null"]
HANGS = 120  # seconds after which a process that should have ended is taken to hang


def begin(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A training in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ste.train", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    """What a process says that ends by itself."""
    try:
        return process.communicate(timeout=HANGS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"it hangs: {process.communicate()[0]}")


def whole(folder: Path, *arguments: str) -> dict[str, Any]:
    """The summary of a run that is not disturbed."""
    process = begin(folder, *arguments)
    said = end(process)
    assert process.returncode == 0, said
    assert said.count("UI  ") == 1
    (path,) = (folder / "outputs" / "runs").rglob("summary.json")
    return json.loads(path.read_text())


def members(group: int) -> list[int]:
    """Processes of a group that run, by number."""
    out = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            out.append(int(path.parent.name))
    return sorted(out)


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/outputs/mlflow.db")


# What can be wrong


def test_one_process_is_alone_and_a_baseline_always(small: Callable[..., Any]):
    assert place_of(small()[0]) == Place()
    assert place_of(small("model=majority", "trainer=ddp")[0]) == Place()
    assert place_of(small("trainer=ddp")[0]) == Place(devices=2)


def test_threads_are_shared(small: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ste.training.worker_processes.cores", lambda: 8)
    assert threads_of(small("trainer=ddp", "trainer.threads=null")[0]) == 4
    assert threads_of(small("trainer=ddp", "trainer.threads=3")[0]) == 3
    assert threads_of(small("trainer=ddp", "trainer.devices=20", "trainer.threads=null")[0]) == 1
    assert threads_of(small("trainer.threads=null")[0]) is None


NODES = ("trainer=ddp", "trainer.nodes=2")


@pytest.mark.parametrize(
    ("overrides", "environment", "message"),
    [
        (NODES, {}, r"trainer\.nodes=2: NODE_RANK, MASTER_ADDR, MASTER_PORT are not in the env.*NODE_RANK=0 to 1"),
        (NODES, {"NODE_RANK": "1", "MASTER_ADDR": "a"}, r"MASTER_PORT is not in the environment"),
        (NODES, {"NODE_RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "9"}, r"NODE_RANK=2: expected .* from 0 to 1"),
        (NODES, {"NODE_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "x"}, r"MASTER_PORT=x: expected a port"),
        (("trainer=ddp",), {"TORCHELASTIC_RUN_ID": "1"}, r"torchrun began this process.*without torchrun"),
        ((*NODES, "trainer.devices=1", "validation=walk_forward"), {}, r"trainer\.nodes=2: folds .* in one process"),
        (("trainer=gpu",), {}, r"trainer=gpu: no CUDA device was found\. Try trainer=cpu"),
    ],
)
def test_what_cannot_train_together_is_told(
    small: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    overrides: tuple[str, ...],
    environment: dict[str, str],
    message: str,
):
    for key in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError, match=message):
        place_of(small(*overrides)[0])


def test_more_processes_than_gpus_are_refused_and_than_cores_are_told(
    small: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert place_of(small("trainer=ddp", "trainer.accelerator=gpu")[0]).devices == 2
    with pytest.raises(ConfigError, match=r"trainer\.devices=3: 2 GPUs were found.*Try trainer\.devices=2"):
        place_of(small("trainer=ddp", "trainer.accelerator=gpu", "trainer.devices=3")[0])
    monkeypatch.setattr("ste.training.worker_processes.cores", lambda: 1)
    place_of(small("trainer=ddp")[0])
    assert "trainer.devices=2: that many processes share 1 cores" in caplog.text


def test_every_process_needs_an_example(small: Callable[..., Any]):
    data, _ = last_data(small()[0])
    check_shares(data, Place(devices=2))
    with pytest.raises(ConfigError, match=r"trainer\.devices=100: 300 processes in all, and \d+ validation"):
        check_shares(data, Place(devices=100, nodes=3))


def test_a_port_that_is_taken_is_told_and_no_process_is_left(
    small: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ste.training.worker_processes._begin", None)  # it gets no further than the port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        with pytest.raises(ConfigError, match=rf"MASTER_PORT={port}: that port is taken\. Please unset MASTER_PORT"):
            train(*small("trainer=ddp"), folder / "run", "run")
    (run,) = client(folder).search_runs(["1"])
    assert run.info.status == "FAILED"


# Slow: processes


@pytest.mark.slow
def test_two_processes_score_like_one_and_leave_one_run(tmp_path: Path):
    """Half of every batch each, and the mean of both gradients: the same steps, but for the order of sums."""
    one, two = (
        whole(tmp_path / name, *SMALL, "trainer.max_epochs=3", f"trainer={name}", f"data.batch_size={size}")
        for name, size in (("cpu", 64), ("ddp", 32))
        if not (tmp_path / name).mkdir()
    )
    accuracy = one["scores"]["test"]["figures"]["accuracy"]
    assert accuracy["low"] <= two["scores"]["test"]["figures"]["accuracy"]["value"] <= accuracy["high"]
    assert two["metrics"]["test"]["log_loss"] == pytest.approx(one["metrics"]["test"]["log_loss"], abs=1e-3)
    (run,) = client(tmp_path / "ddp").search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert "curves/val_accuracy" in run.data.metrics
    assert not list((tmp_path / "ddp" / "outputs" / "checkpoints").iterdir())


@pytest.mark.slow
def test_a_run_of_two_processes_is_stopped_in_every_way_and_ends_as_if_it_never_was(tmp_path: Path):
    alone, stopped = tmp_path / "alone", tmp_path / "stopped"
    alone.mkdir()
    stopped.mkdir()
    expected = whole(alone, *LONG, "trainer=ddp")

    run_id, last = None, None
    ways = ("main", "group", "ctrl-c", "helper", "kill", "main")
    for way in ways:
        process = begin(stopped, *([f"resume={run_id}"] if run_id else [*LONG, "trainer=ddp"]))
        known = last.stat().st_mtime_ns if last else None
        while process.poll() is None:  # until it has trained an epoch more
            (last,) = list((stopped / "outputs" / "checkpoints").glob("*/last.ckpt")) or [None]
            if last and last.stat().st_mtime_ns != known:
                break
            time.sleep(0.05)
        assert process.poll() is None, end(process)
        assert last
        run_id = last.parent.name
        helpers = [one for one in members(process.pid) if one != process.pid]
        assert len(helpers) == 1
        if way in ("main", "kill"):
            process.send_signal(signal.SIGTERM if way == "main" else signal.SIGKILL)
        elif way == "helper":
            os.kill(helpers[0], signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGTERM if way == "group" else signal.SIGINT)
        said = end(process)
        for _ in range(HANGS * 10):
            if not members(process.pid):
                break
            time.sleep(0.1)
        assert not members(process.pid), f"{way}: a process was left"
        status = client(stopped).get_run(run_id).info.status
        code, marked = {
            "main": (143, "KILLED"),
            "group": (143, "KILLED"),
            "ctrl-c": (130, "KILLED"),
            "helper": (2, "FAILED"),
            "kill": (-signal.SIGKILL, "RUNNING"),  # until the next run finds that nobody holds it
        }[way]
        assert (process.returncode, status) == (code, marked), f"{way}: {said}"
        if way == "helper":
            assert "process 2 of 2 was killed (signal 9" in said
        if way != "kill":
            assert f"resume={run_id}" in said
            assert "Traceback" not in said
    process = begin(stopped, f"resume={run_id}")
    said = end(process)
    assert process.returncode == 0, said
    (path,) = (stopped / "outputs" / "runs").rglob("summary.json")
    found = json.loads(path.read_text())
    assert found["metrics"] == expected["metrics"]
    assert found["best_epoch"] == expected["best_epoch"]
    (run,) = client(stopped).search_runs(["1"])
    assert run.info.status == "FINISHED"
    steps = client(stopped).get_metric_history(run.info.run_id, "curves/val_accuracy")
    assert sorted(step.step for step in steps) == list(range(80))


@pytest.mark.slow
def test_two_machines_of_one_process_each_score_like_one_of_two(tmp_path: Path):
    """Both stand on this machine; the second neither tracks nor prints a score."""
    short = [*SMALL, "trainer.max_epochs=2", "trainer=ddp", "data.batch_size=32"]
    for name in ("one", "0", "1"):
        (tmp_path / name).mkdir()
    expected = whole(tmp_path / "one", *short)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    several = [*short, "trainer.nodes=2", "trainer.devices=1"]
    both = [begin(tmp_path / rank, *several, NODE_RANK=rank, **address) for rank in ("0", "1")]
    said = [end(process) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (path,) = (tmp_path / "0" / "outputs" / "runs").rglob("summary.json")
    assert json.loads(path.read_text())["metrics"] == expected["metrics"]
    assert "Verdict" in said[0]
    assert "Verdict" not in said[1]
    assert not (tmp_path / "1" / "outputs" / "mlflow.db").exists()


@pytest.mark.slow
def test_a_machine_that_is_stopped_ends_the_other_in_words(tmp_path: Path):
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    several = [*LONG, "trainer=ddp", "trainer.nodes=2", "trainer.devices=1", "trainer.max_epochs=20000"]
    both = [begin(tmp_path / rank, *several, NODE_RANK=rank, **address) for rank in ("0", "1")]
    while not list((tmp_path / "0" / "outputs" / "checkpoints").glob("*/last.ckpt")):
        assert all(process.poll() is None for process in both), [end(process) for process in both]
        time.sleep(0.05)
    both[0].terminate()
    assert "goes on with this run" in end(both[0])
    said = end(both[1])
    assert both[1].returncode == 2
    assert "error: the connection to another machine was lost" in said
    assert "Traceback" not in said
