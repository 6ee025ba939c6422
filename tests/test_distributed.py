"""Two processes that train one model, on this machine."""

import json
import os
import subprocess
import sys
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
        accuracies.append(json.loads(path.read_text())["scores"]["test"]["figures"]["accuracy"])
    one, two = accuracies
    assert one["low"] <= two["value"] <= one["high"]

    from mlflow.tracking import MlflowClient

    runs = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db").search_runs(["1"])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert all("curves/val_accuracy" in run.data.metrics for run in runs)
