"""Several processes train one model like one, under Lightning's launcher and torchrun, and a lost one ends the run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from mlflow.tracking import MlflowClient

from runs import compose_values
from ste.config import TrainerSettings, TrainSettings
from ste.config.load import load_settings
from ste.config.processes import environment_rank, worker_overrides
from ste.errors import ConfigError
from ste.experiment.run import train
from ste.training.callbacks.last_checkpoint import LastCheckpoint
from ste.training.distributed import (
    check_processes,
    lost_process,
    process_rank,
    resolve_processes,
    threads_per_process,
)

SMALL = ["data.tickers=4", "data.start=2018-01-01", "data.end=2022-12-31", "data.split.validation_start=2021-01-01"]
SMALL += ["data.split.test_start=2022-01-01", "trainer.threads=1", "scoring.resamples=200"]
LONG = [*SMALL, "model=dual_tower", "data.batch_size=16", "trainer.max_epochs=60", "callbacks.early_stopping=null"]
TIMEOUT = 240  # seconds after which a process counts as hanging
NAMES = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", "SLURM_PROCID")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the variables of a launcher, and no others."""

    def chosen(**values: str) -> None:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    chosen()
    return chosen


def start(folder: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start a training in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "ste.train", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: value for name, value in os.environ.items() if name not in NAMES},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Return the output of a process that ends by itself."""
    try:
        return process.communicate(timeout=TIMEOUT)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"it hangs: {process.communicate()[0]}")


def summary(folder: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the summary of an undisturbed run."""
    process = start(folder, *arguments, launcher=launcher)
    output = finish(process)
    assert process.returncode == 0, output
    assert len(re.findall(r"Trial \d+ on this data", output)) == 1  # rank 0 alone prints
    (path,) = (folder / "outputs" / "runs").rglob("summary.json")
    assert len(list((folder / "outputs" / "runs" / "train").iterdir())) == 1  # one run folder
    assert not list(folder.rglob("*ddp_process*"))
    return json.loads(path.read_text())


def members(group: int) -> list[int]:
    """Return the running processes of a group."""
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


def test_the_environment_names_the_rank(environment: Callable[..., None]):
    two = TrainerSettings(devices=2, strategy="ddp")
    assert process_rank(two) == 0
    environment(LOCAL_RANK="1")
    assert process_rank(two) == 1
    assert process_rank(TrainerSettings()) == 0  # a run of one process ignores it
    environment(NODE_RANK="1", LOCAL_RANK="0")
    assert environment_rank() == 1
    environment(SLURM_PROCID="3")
    assert process_rank(two) == 3


def test_torchrun_names_the_number_of_processes(environment: Callable[..., None]):
    environment(TORCHELASTIC_RUN_ID="1", RANK="1", LOCAL_RANK="1", WORLD_SIZE="4", LOCAL_WORLD_SIZE="2")
    settings = resolve_processes(TrainerSettings())
    assert (settings.devices, settings.num_nodes, settings.strategy) == (2, 2, "ddp")
    assert process_rank(TrainerSettings()) == 1
    with pytest.raises(ConfigError, match=r"trainer\.devices=3: torchrun started 2 .*--nproc-per-node 3"):
        resolve_processes(TrainerSettings(devices=3))


def test_other_ranks_write_no_folder_and_ignore_ctrl_c(environment: Callable[..., None]):
    handler = signal.getsignal(signal.SIGINT)
    try:
        assert worker_overrides() == []
        environment(LOCAL_RANK="1")
        assert worker_overrides() == ["hydra/job_logging=stdout", "hydra.output_subdir=null"]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        environment(TORCHELASTIC_RUN_ID="1", RANK="2", LOCAL_RANK="0")
        assert worker_overrides()[-1] == "hydra.run.dir=."
    finally:
        signal.signal(signal.SIGINT, handler)


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch, environment: Callable[..., None]):
    monkeypatch.setattr("ste.training.distributed.cores", lambda: 8)
    assert threads_per_process(TrainerSettings(devices=2)) == 4
    assert threads_per_process(TrainerSettings(devices=2, threads=3)) == 3
    assert threads_per_process(TrainerSettings(devices=20)) == 1
    assert threads_per_process(TrainerSettings()) is None


def test_folds_in_several_processes_are_refused(environment: Callable[..., None]):
    two = TrainerSettings(devices=2, strategy="ddp")
    check_processes(two, baseline=True, method="walk_forward")
    with pytest.raises(ConfigError, match=r"trainer\.devices=2: folds are trained in one process"):
        check_processes(two, baseline=False, method="walk_forward")
    with pytest.raises(ConfigError, match=r"trainer\.num_nodes=2: folds"):
        check_processes(TrainerSettings(num_nodes=2), baseline=False, method="walk_forward")


def test_a_lost_process_is_told_from_another_fault():
    assert "no longer answers" in str(lost_process(RuntimeError("[gloo] Connection closed by peer")))
    assert lost_process(RuntimeError("shapes do not match")) is None


@pytest.mark.parametrize("decision", [True, False])
def test_rank_0_decides_whether_an_epoch_is_saved(monkeypatch: pytest.MonkeyPatch, decision: bool):
    """All ranks meet in a save, so that one whose own clock says otherwise would wait for the others for ever."""
    saved = []
    monkeypatch.setattr(ModelCheckpoint, "on_train_epoch_end", lambda *_: saved.append(True))
    callback = LastCheckpoint(interval=0.0 if not decision else 1e9)
    callback._saved_at = 0.0  # of its own clock: due at once, or never
    other = SimpleNamespace(strategy=SimpleNamespace(broadcast=lambda own: decision))
    callback.on_train_epoch_end(other, None)  # type: ignore[arg-type]
    assert saved == [True] * decision


@pytest.mark.slow
@pytest.mark.parametrize("model", ["dual_tower", "market_attention"])
def test_gradients_are_averaged_over_processes(model: str, folder: Path):
    """Two processes with half of every batch each, in whole dates, take the steps of one with the complete batch."""
    quick = [*SMALL, "data.tickers=2", f"model={model}", "model.dropout=0.0", "optimizer=sgd", "optimizer.lr=0.1"]
    quick += ["data.start=2018-01-08", "trainer.max_epochs=2", "tracking=off"]  # an even number of weeks
    values = compose_values(*quick, "data.batch_size=64")
    one = train(load_settings(TrainSettings, values), values, folder / "one", "one")
    assert one is not None
    two = summary(folder, *quick, "data.batch_size=32", "trainer=ddp")
    expected = one.scores["validation"].metrics["log_loss"]
    assert two["metrics"]["validation"]["log_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_torchrun_trains_like_lightnings_launcher(tmp_path: Path):
    short = [*SMALL, "trainer.max_epochs=2", "data.batch_size=32"]
    for name in ("ddp", "torchrun"):
        (tmp_path / name).mkdir()
    expected = summary(tmp_path / "ddp", *short, "trainer=ddp")
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--standalone")
    result = summary(tmp_path / "torchrun", *short, launcher=launcher)
    assert result["metrics"] == expected["metrics"]
    (run,) = client(tmp_path / "torchrun").search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert "curves/val_accuracy" in run.data.metrics
    assert not list((tmp_path / "torchrun" / "outputs" / "checkpoints").iterdir())


@pytest.mark.slow
def test_a_run_of_two_processes_is_stopped_in_three_ways_and_ends_the_same(tmp_path: Path):
    alone, stopped = tmp_path / "alone", tmp_path / "stopped"
    alone.mkdir()
    stopped.mkdir()
    expected = summary(alone, *LONG, "trainer=ddp")

    run_id, last = None, None
    for way in ("group", "worker", "kill"):
        process = start(stopped, *([f"resume={run_id}"] if run_id else [*LONG, "trainer=ddp"]))
        known = last.stat().st_mtime_ns if last else None
        while process.poll() is None:  # until it has trained an epoch more
            (last,) = list((stopped / "outputs" / "checkpoints").glob("*/last.ckpt")) or [None]
            if last and last.stat().st_mtime_ns != known:
                break
            time.sleep(0.05)
        assert process.poll() is None, finish(process)
        assert last
        run_id = last.parent.name
        workers = [one for one in members(process.pid) if one != process.pid]
        assert len(workers) == 1
        if way == "group":
            os.killpg(process.pid, signal.SIGTERM)
        else:
            os.kill(workers[0] if way == "worker" else process.pid, signal.SIGKILL)
        output = finish(process)
        for _ in range(TIMEOUT * 10):
            if not members(process.pid):
                break
            time.sleep(0.1)
        assert not members(process.pid), f"{way}: a process was left"
        status = client(stopped).get_run(run_id).info.status
        code, marked = {
            "group": (143, "KILLED"),
            "worker": (2, "FAILED"),
            "kill": (-signal.SIGKILL, "RUNNING"),  # until the next run finds its lock free
        }[way]
        assert (process.returncode, status) == (code, marked), f"{way}: {output}"
        if way != "kill":
            assert f"resume={run_id}" in output
            assert "Traceback" not in output
    process = start(stopped, f"resume={run_id}")
    output = finish(process)
    assert process.returncode == 0, output
    (path,) = (stopped / "outputs" / "runs").rglob("summary.json")
    result = json.loads(path.read_text())
    assert result["metrics"] == expected["metrics"]
    assert result["best_epoch"] == expected["best_epoch"]
    (run,) = client(stopped).search_runs(["1"])
    assert run.info.status == "FINISHED"
    steps = client(stopped).get_metric_history(run.info.run_id, "curves/val_accuracy")
    assert sorted(step.step for step in steps) == list(range(60))
