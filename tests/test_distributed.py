"""Two processes that train one model, on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.slow
def test_two_processes_score_like_one_and_leave_one_run(tmp_path: Path):
    small = ["data.tickers=4", "data.start=2018-01-01", "data.end=2022-12-31", "data.split.validation_start=2021-01-01"]
    small += ["data.split.test_start=2022-01-01", "trainer.max_epochs=3", "trainer.threads=1"]
    accuracies = []
    for trainer in (["trainer=cpu", "data.batch_size=64"], ["trainer=ddp", "data.batch_size=32"]):
        done = subprocess.run(
            [sys.executable, "-m", "ste.train", *small, *trainer],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "STE_DEBUG": "1"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("UI  ") == 1
    for path in sorted((tmp_path / "outputs" / "runs").rglob("summary.json")):
        test = json.loads(path.read_text())["scores"]["test"]["model"]
        accuracies.append((test["accuracy"], test["interval"]))
    (_, interval), (two, _) = accuracies
    assert interval["low"] <= two <= interval["high"]

    from mlflow.tracking import MlflowClient

    runs = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db").search_runs(["1"])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert all("curves/val_accuracy" in run.data.metrics for run in runs)


@pytest.mark.slow
def test_a_stopped_run_of_two_processes_goes_on(tmp_path: Path):
    command = [sys.executable, "-m", "ste.train"]
    settings = ["trainer=ddp", "trainer.max_epochs=12", "fit.patience=null", "data.batch_size=16"]
    process = subprocess.Popen([*command, *settings], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not list(tmp_path.glob("outputs/checkpoints/*/last.ckpt")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    (run_id,) = (path.name for path in (tmp_path / "outputs" / "checkpoints").iterdir())
    done = subprocess.run(
        [*command, f"resume={run_id}"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    assert client.get_run(run_id).info.status == "FINISHED"
    history = client.get_metric_history(run_id, "curves/train_loss")
    assert sorted(entry.step for entry in history) == list(range(12))
