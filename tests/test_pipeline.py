"""A run from settings to a tracked, whole result."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow.tracking import MlflowClient

from conftest import SMALL_WORLD
from runs import build_model, compose_values, evaluate
from ste.config import TrackingSettings, TrainSettings
from ste.config.load import load_settings
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.data.window_dataset import Batch
from ste.errors import ConfigError, DataError, RunError
from ste.evaluation.scorecard import Scorecard
from ste.experiment import run as pipeline
from ste.experiment.artifacts import CHECKPOINT, PREDICTIONS, SPLIT_PREFIX, score_metrics
from ste.experiment.model_setup import input_view
from ste.experiment.run import train
from ste.experiment.train_result import TrainResult
from ste.tracking.run_artifacts import read_provenance
from ste.tracking.run_info import DIGEST_TAG, RunInfo
from ste.tracking.run_lookup import download, find_experiment, find_run, read_config
from ste.tracking.store import create_store, ensure_sqlite, open_store, run_page
from ste.tracking.tracked_run import tracked_run
from ste.training.callbacks import last_checkpoint
from ste.training.module import TrendModule
from ste.training.run_logger import RunLogger


@dataclass(frozen=True)
class Finished:
    """A finished run, its store and the folder that it was trained in."""

    folder: Path
    client: MlflowClient
    result: TrainResult
    run: RunInfo

    @property
    def checkpoint(self) -> Path:
        return download(self.client, self.run, CHECKPOINT, self.folder)

    @property
    def settings(self) -> TrainSettings:
        return load_settings(TrainSettings, read_config(self.client, self.run))


def finished(folder: Path, *overrides: str) -> Finished:
    paths = [f"paths.data={folder / 'data_output'}", f"paths.output={folder / 'outputs'}"]
    values = compose_values(*SMALL_WORLD, *paths, *overrides)
    result = train(load_settings(TrainSettings, values), values, folder / "run", "a run")
    assert result is not None
    client = open_store(TrackingSettings(), folder / "outputs")
    return Finished(folder, client, result, find_run(client, str(result.run_id), "ste"))


@pytest.fixture(scope="module")
def lstm(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    changes = ("model.dropout=0.3", "fit.class_weights=true", "fit.label_smoothing=0.1")
    return finished(tmp_path_factory.mktemp("lstm"), "model=lstm", *changes)


@pytest.fixture(scope="module")
def dual_tower(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("dual_tower"), "model=dual_tower")


@pytest.fixture
def trained(request: pytest.FixtureRequest) -> Finished:
    """The run of a model, by the parameter's name."""
    return request.getfixturevalue(request.param)


def fit(small, *overrides: str, out: str = "run", world: bool = True) -> TrainResult:
    settings, values = small(*overrides, world=world)
    result = train(settings, values, Path(out), "a run")
    assert result is not None
    return result


@pytest.fixture
def client(folder: Path) -> MlflowClient:
    return create_store(TrackingSettings(), Path("outputs"))


def data_of(settings: TrainSettings, view: str | None = None) -> TrendDataModule:
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    return TrendDataModule(panel, view or input_view(settings.model), settings.seed)


def metrics_of(scores: dict[str, Scorecard]) -> dict[str, dict[str, float]]:
    return {split: card.metrics for split, card in scores.items()}


def figures(client: MlflowClient, run_id: str) -> dict[str, float]:
    return {k: v for k, v in client.get_run(run_id).data.metrics.items() if k != "fit_seconds"}


def tree(client: MlflowClient, run_id: str, path: str | None = None) -> set[str]:
    out: set[str] = set()
    for entry in client.list_artifacts(run_id, path):
        out |= tree(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return out


@pytest.mark.parametrize("trained", ["lstm", "dual_tower"], indirect=True)
def test_a_run_is_tracked_whole(trained: Finished):
    client, result = trained.client, trained.result
    run = client.get_run(result.run_id)
    assert run.info.status == "FINISHED"

    splits = ("train", "validation", "test")
    confusion = {f"confusion/{split}.{kind}" for split in splits for kind in ("png", "csv")}
    expected = {
        "config.yaml",
        "data_card.json",
        "summary.json",
        "provenance.json",
        "positions.csv",
        PREDICTIONS,
        CHECKPOINT,
    }
    assert tree(client, result.run_id) == expected | confusion

    assert run.data.params["data.labels.threshold"] == "0.01"
    assert run.data.params["model.net"] == result.model
    assert result.module.hparams["net_arguments"].get("stock_size", 11) == 11  # by column group, not by number
    assert len(run.data.params) > 40
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_mcc", "train_lr"):
        steps = [m.step for m in client.get_metric_history(result.run_id, f"curves/{name}")]
        assert sorted(steps) == [0, 1, 2], name
    tracked = score_metrics(result.scores)
    assert tracked.items() <= run.data.metrics.items()
    assert tracked["final_test/accuracy"] == result.scores["test"].metrics["accuracy"]
    assert {f"{SPLIT_PREFIX[split]}/majority_accuracy" for split in ("validation", "test")} <= set(tracked)
    assert len(run.data.metrics) < 100

    inputs = run.inputs.dataset_inputs
    assert [tag.value for entry in inputs for tag in entry.tags] == list(splits)
    card = json.loads((trained.folder / "run/data_card.json").read_text())
    assert [entry.dataset.digest for entry in inputs] == [card["files"][s]["sha256"][:32] for s in splits]
    assert json.loads(inputs[0].dataset.profile)["num_rows"] == card["files"]["train"]["rows"]

    tags = run.data.tags
    assert tags[DIGEST_TAG] == card["digest"]
    assert {"git.commit", "git.dirty", "verdict", "accuracy", "log-loss", "model", "data"} <= set(tags)
    assert len(tags) < 30
    known = read_provenance(client, find_run(client, str(result.run_id)))
    assert {"git.commit", "git.dirty", "version.torch", "machine.cpu", "machine.cores"} <= set(known)
    assert not (trained.folder / "outputs/checkpoints" / str(result.run_id)).exists()
    assert not list((trained.folder / "outputs/.running").glob("*.lock"))


def test_the_summary_holds_the_same_figures(lstm: Finished):
    summary = json.loads((lstm.folder / "run/summary.json").read_text())
    assert summary["run_id"] == lstm.result.run_id
    for split in ("train", "validation", "test"):
        assert summary["metrics"][split]["accuracy"] == lstm.result.scores[split].metrics["accuracy"]
        baselines = summary["scores"][split]["baselines"]
        assert set(baselines) == {"linear", "persistence", "majority", "volatility", "bayes"}
    assert yaml.safe_load((lstm.folder / "run/config.yaml").read_text())["seed"] == 0


@pytest.mark.parametrize("trained", ["lstm", "dual_tower"], indirect=True)
def test_the_logged_model_predicts_as_the_run_did(trained: Finished):
    (logged,) = trained.client.search_logged_models([trained.run.experiment])
    loaded = mlflow.pyfunc.load_model(logged.artifact_location)
    x = loaded.input_example["features"].astype(np.float32)
    assert loaded.metadata.signature is not None
    expected = trained.result.module.probabilities(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(loaded.predict({"features": x}), expected)
    files = {path.suffix for path in Path(logged.artifact_location.removeprefix("file://")).rglob("*")}
    assert ".pkl" not in files


def test_evaluation_gives_the_tracked_figures_to_the_last_digit(lstm: Finished):
    again, predictions = evaluate(lstm.settings, [lstm.checkpoint], lstm.run.tags[DIGEST_TAG])
    assert again == lstm.result.scores  # with every interval, baseline and gain
    pd.testing.assert_frame_equal(predictions.frame, lstm.result.predictions.frame, check_exact=True)
    with pytest.raises(RunError, match="digest"):
        evaluate(lstm.settings, [lstm.checkpoint], "something else")


def test_the_same_seed_gives_the_same_weights_and_another_does_not(small):
    dropout = ("model.dropout=0.2", "tracking=off", "trainer.max_epochs=2")
    first = fit(small, *dropout)
    second = fit(small, *dropout, out="again")
    other = fit(small, *dropout, "seed=1", out="other")
    a, b, c = (r.module.state_dict() for r in (first, second, other))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["net.head.0.weight"], c["net.head.0.weight"])
    assert first.scores == second.scores


def test_scalers_are_fitted_on_training_examples_alone(small):
    settings, _ = small()
    data = data_of(settings, "flat")
    module = build_model(settings, data)
    train = data.datasets["train"]
    expected = module.representation._stationary(train[torch.arange(len(train))].features).double().mean(0)
    torch.testing.assert_close(module.representation.mean.double(), expected, rtol=1e-4, atol=1e-5)
    assert train.frame["date"].max() < data.datasets["validation"].frame["date"].min()


def stop_with(monkeypatch: pytest.MonkeyPatch, epoch: int, fault: BaseException) -> None:
    """Stop a fit in the middle of an epoch, in the way it is given."""
    step = TrendModule.training_step

    def stop(module: TrendModule, batch: Batch, batch_idx: int) -> torch.Tensor:
        if module.current_epoch == epoch and batch_idx == 1:
            raise fault
        return step(module, batch, batch_idx)

    monkeypatch.setattr(TrendModule, "training_step", stop)


def resumed(client: MlflowClient, status: str) -> TrainResult:
    """Resume the one run of that status."""
    (stopped,) = client.search_runs(["1"], filter_string=f"attributes.status = '{status}'")
    values = {**read_config(client, find_run(client, stopped.info.run_id, "ste")), "resume": stopped.info.run_id}
    result = train(load_settings(TrainSettings, values), values, Path("resumed"), "resumed")
    assert result is not None
    assert result.run_id == stopped.info.run_id
    return result


def assert_same_run(client: MlflowClient, one: TrainResult, other: TrainResult) -> None:
    assert figures(client, other.run_id) == figures(client, one.run_id)
    a, b = one.module.state_dict(), other.module.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    for name in [name for name in figures(client, one.run_id) if name.startswith("curves/")]:
        points = [sorted((m.step, m.value) for m in client.get_metric_history(r.run_id, name)) for r in (one, other)]
        assert points[0] == points[1], name


@pytest.mark.parametrize(
    ("schedule", "epoch"), [("scheduler=plateau scheduler.patience=0", 3), ("scheduler=cosine", 0)]
)
def test_a_stopped_run_ends_where_it_would_have_ended(small, client, monkeypatch, schedule: str, epoch: int):
    overrides = (
        "trainer.max_epochs=6",
        "model.dropout=0.2",
        "callbacks.early_stopping.patience=4",
        "optimizer.lr=0.01",
        *schedule.split(),
    )
    whole = fit(small, *overrides, out="whole")
    rates = {m.value for m in client.get_metric_history(whole.run_id, "curves/train_lr")}
    assert len(rates) > 1
    with monkeypatch.context() as patch:
        stop_with(patch, epoch, SystemExit(143))
        with pytest.raises(SystemExit):
            fit(small, *overrides, out="stopped")
    assert_same_run(client, whole, resumed(client, "KILLED"))


def test_a_run_that_goes_on_from_an_earlier_epoch_ends_the_same(small, client, monkeypatch):
    overrides = ("trainer.max_epochs=4", "model.dropout=0.2", "scheduler=cosine", "trainer.precision=64-true")
    whole = fit(small, *overrides, out="whole")
    monkeypatch.setattr(last_checkpoint, "INTERVAL", 3600.0)  # only the first epoch's checkpoint is there
    with monkeypatch.context() as patch:
        stop_with(patch, 2, SystemExit(143))
        with pytest.raises(SystemExit):
            fit(small, *overrides, out="stopped")
    assert_same_run(client, whole, resumed(client, "KILLED"))


def test_a_run_that_had_stopped_early_does_not_train_on(small, client, monkeypatch):
    overrides = ("trainer.max_epochs=30", "callbacks.early_stopping.patience=1", "optimizer.lr=0.05")
    whole = fit(small, *overrides, out="whole")
    assert whole.epochs < 30
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "write_outputs", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            fit(small, *overrides, out="full")
    assert_same_run(client, whole, resumed(client, "FAILED"))


def test_a_resumed_run_sends_the_curves_that_a_killed_process_still_owed(small, client, monkeypatch):
    whole = fit(small, out="whole")
    with monkeypatch.context() as patch:
        patch.setattr(RunLogger, "_send", lambda *_: None)
        stop_with(patch, 2, SystemExit(143))
        with pytest.raises(SystemExit):
            fit(small, out="stopped")
    assert_same_run(client, whole, resumed(client, "KILLED"))


def test_a_run_is_not_resumed_on_other_data(small, client, monkeypatch, folder: Path):
    with monkeypatch.context() as patch:
        stop_with(patch, 1, SystemExit(143))
        with pytest.raises(SystemExit):
            fit(small)
    (stopped,) = client.search_runs(["1"])
    client.set_tag(stopped.info.run_id, DIGEST_TAG, "another")
    with pytest.raises(RunError, match="digest"):
        resumed(client, "KILLED")


def test_a_fault_marks_the_run_failed_and_keeps_its_traceback(small, client, monkeypatch):
    stop_with(monkeypatch, 1, ZeroDivisionError("planted"))
    with pytest.raises(ZeroDivisionError, match="planted"):
        fit(small)
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FAILED"
    assert "planted" in mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/traceback.txt")


def test_a_run_whose_process_was_killed_outright_is_marked_by_the_next(small, client, folder: Path):
    script = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from ste.config import TrackingSettings\n"
        "from ste.tracking.tracked_run import tracked_run\n"
        "with tracked_run(TrackingSettings(), Path('outputs'), 'doomed', {}):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, check=False)
    assert done.returncode == -signal.SIGKILL
    (run,) = client.search_runs(["1"])
    assert run.info.status == "RUNNING"
    with tracked_run(TrackingSettings(), Path("outputs"), "next", {}) as other:
        assert client.get_run(run.info.run_id).info.status == "KILLED"
        assert client.get_run(other.id).info.status == "RUNNING"


def test_sigterm_marks_the_run_killed(client, folder: Path):
    with pytest.raises(SystemExit) as stopped, tracked_run(TrackingSettings(), Path("outputs"), "r", {}):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 5)
    assert stopped.value.code == 143
    (run,) = client.search_runs(["1"])
    assert run.info.status == "KILLED"


def test_a_run_that_is_still_going_cannot_be_resumed(client, folder: Path):
    with (
        tracked_run(TrackingSettings(), Path("outputs"), "r", {}) as run,
        pytest.raises(RunError, match="is RUNNING in another process"),
        tracked_run(TrackingSettings(), Path("outputs"), "r", {}, resume=run.id),
    ):
        pytest.fail("two processes wrote one run")


def test_metrics_that_cannot_be_written_fail_the_run(client, folder: Path, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError("No space left on device")

    with (
        pytest.raises(OSError, match="No space left"),
        tracked_run(TrackingSettings(), Path("outputs"), "r", {}) as run,
        monkeypatch.context() as patch,
    ):
        patch.setattr(MlflowClient, "log_batch", full)
        run.log_metrics({"a": 1.0})
    assert client.get_run(run.id).info.status == "FAILED"


def test_the_latest_and_the_best_run_are_found(folder: Path, client: MlflowClient):
    def track(log_loss: float, experiment: str = "ste") -> str:
        with tracked_run(TrackingSettings(experiment=experiment), Path("outputs"), "r", {}) as run:
            run.log_metrics({"final_validation/log_loss": log_loss, "final_validation/examples": 12})
            run.set_tags({DIGEST_TAG: "1"})
        return run.id

    poor, good, latest, elsewhere = track(1.1), track(0.9), track(1.0), track(1.2, "other")
    assert find_run(client, "latest").id == find_run(client, "best").id == elsewhere
    assert find_experiment(client).name == "other"
    assert find_run(client, "latest", "ste").id == latest
    assert find_run(client, "best", "ste").id == good
    assert find_run(client, poor, "ste").status == "FINISHED"
    with pytest.raises(RunError, match="no such experiment"):
        find_run(client, "best", "stee")
    with pytest.raises(RunError, match="no such run"):
        find_run(client, "0" * 32, "ste")


def test_the_choice_of_the_best_run_is_printed(
    folder: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def track(log_loss: float, word: str) -> str:
        with tracked_run(TrackingSettings(), Path("outputs"), "r", {}) as run:
            run.log_metrics({"final_validation/log_loss": log_loss, "final_validation/examples": 12})
            run.set_tags({DIGEST_TAG: "1", "model": "LSTM", "verdict": word})
        return run.id

    best, other = track(0.9, "not better"), track(1.0, "better")
    capsys.readouterr()
    find_run(client, "latest")
    assert capsys.readouterr() == ("", "")
    assert find_run(client, "best").id == best
    out, err = capsys.readouterr()
    assert out == ""
    assert " ".join(err.split()).startswith(
        f'Best by validation log-loss: {best[:8]} (LSTM), verdict "not better". {other[:8]} (LSTM) has the better'
    )
    monkeypatch.setenv("RANK", "1")  # a worker
    find_run(client, "best")
    assert capsys.readouterr().err == ""


def test_a_run_has_an_address_in_mlflow(client: MlflowClient):
    assert run_page(client, "3", "abc") == "http://127.0.0.1:5000/#/experiments/3/runs/abc"
    server = MlflowClient("https://user:secret@mlflow.example:8080/")
    assert run_page(server, "3", "abc") == "https://mlflow.example:8080/#/experiments/3/runs/abc"


def test_without_runs_there_is_no_latest(client: MlflowClient):
    with pytest.raises(RunError, match="no finished run yet"):
        find_run(client, "latest")


def test_tracking_can_be_off(small, folder: Path):
    result = fit(small, "tracking=off")
    assert result.run_id is None
    assert not Path("outputs/mlflow.db").exists()
    assert len(list(Path("run/checkpoints").glob("best*.ckpt"))) == 1


def test_the_store_refuses_plain_folders(folder: Path):
    for uri in ("file:./mlruns", "mlruns", "foo://x"):
        with pytest.raises(ConfigError, match="expected sqlite:///FILE or http://SERVER:PORT"):
            TrackingSettings(uri=uri)


def test_a_new_store_is_whole_and_has_its_artifacts_next_to_it(folder: Path):
    path = folder / "sub" / "runs.db"
    ensure_sqlite(path)
    before = path.read_bytes()
    ensure_sqlite(path)
    assert path.read_bytes() == before
    client = open_store(TrackingSettings(uri=f"sqlite:///{path}"), Path("outputs"))
    assert client.get_experiment("0").artifact_location == (folder / "sub/artifacts/default").as_uri()
    with tracked_run(TrackingSettings(uri=f"sqlite:///{path}"), Path("outputs"), "r", {"a": 1}) as run:
        assert client.get_run(run.id).info.artifact_uri.startswith((folder / "sub/artifacts/ste").as_uri())
    assert not (folder / "mlruns").exists()


def test_table_files_train_like_the_world_they_came_from(small):
    made = fit(small, "fit.monitor=accuracy", "tracking=off")
    settings, _ = small()
    paths = prepare(settings.data, Path(settings.paths.data)).files
    given = [f"data.{split}={path}" for split, path in paths.items()]
    ready = fit(small, "data=csv", "fit.monitor=accuracy", "tracking=off", *given, out="csv", world=False)
    for split in paths:
        ours = {
            k: v
            for k, v in made.scores[split].metrics.items()
            if k not in ("expected_accuracy", "bayes_expected_accuracy", "gap_closed")
        }
        assert ready.scores[split].metrics == ours
        assert "bayes" not in ready.scores[split].baselines


def test_a_table_without_a_test_split_is_scored_on_what_there_is(small):
    result = fit(small, "data=seed", world=False)
    assert set(result.scores) == {"train", "validation"}
    assert result.scores["validation"].examples == 12
    assert result.scores["validation"].method == "binomial"


def test_class_weights_need_every_class(small):
    with pytest.raises(DataError, match="no training row is"):
        fit(small, "fit.class_weights=true", "data.labels.threshold=0")


def test_a_window_longer_than_the_table_is_reported(small):
    with pytest.raises(DataError, match=r"smaller data\.sequence_length"):
        fit(small, "data.sequence_length=500")


def test_a_gpu_that_is_not_there_is_reported(small, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="Try trainer=cpu"):
        fit(small, "trainer=gpu")


@pytest.mark.parametrize(
    "labels",
    ["labels=terciles", "data.labels.method=volatility data.labels.threshold=0.4", "data.labels.horizon=3"],
)
def test_other_labels_train_too(small, labels: str):
    result = fit(small, *labels.split(), "trainer.max_epochs=1", "tracking=off")
    bayes_known = "horizon" not in labels
    assert ("bayes" in result.scores["test"].baselines) == bayes_known


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_score_alike(small, lstm: Finished, precision: str):
    full, interval = lstm.result.scores["test"], lstm.result.scores["test"].figures["accuracy"]
    values = read_config(lstm.client, lstm.run)
    values["trainer"]["precision"], values["tracking"]["enabled"] = precision, False
    settings = load_settings(TrainSettings, values)
    other = train(settings, values, Path("other"), "a run")
    assert other is not None
    assert interval.low <= other.scores["test"].metrics["accuracy"] <= interval.high
    (checkpoint,) = Path("other/checkpoints").glob("best*.ckpt")
    assert metrics_of(evaluate(settings, [checkpoint])[0]) == metrics_of(other.scores)
    assert other.scores["test"].metrics["log_loss"] == pytest.approx(full.metrics["log_loss"], abs=0.02)


def test_gradients_are_clipped(small):
    one = ("optimizer=sgd", "trainer.max_epochs=1", "tracking=off")
    free = fit(small, "trainer.gradient_clip_val=null", *one)
    clipped = fit(small, "trainer.gradient_clip_val=1e-9", *one, out="clipped")
    settings, _ = small()
    start = build_model(settings, data_of(settings)).net.state_dict()

    def moved(result: TrainResult) -> float:
        weights = result.module.net.state_dict()
        return max(float((weights[k] - start[k]).abs().max()) for k in start)

    assert moved(clipped) < 1e-6
    assert moved(free) > 1e-4


def test_a_terminal_shows_how_the_fit_goes(small, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    result = fit(small, "trainer.enable_progress_bar=true", "tracking=off")
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert f"best {result.monitored:.4f}" in shown


def test_ctrl_c_in_a_fit_is_an_interrupt_and_marks_the_run(small, client, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    stop_with(monkeypatch, 1, KeyboardInterrupt())
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(small)
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores further ones
    (run,) = client.search_runs(["1"])
    assert run.info.status == "KILLED"


def test_the_figures_do_not_depend_on_the_number_of_threads(lstm: Finished, monkeypatch: pytest.MonkeyPatch):
    """Sums of two threads differ from those of one in the last digits, at some batch sizes of some nets."""
    threads, predict = [], TrendModule.probabilities

    def probabilities(module: TrendModule, *inputs: torch.Tensor) -> torch.Tensor:
        threads.append(torch.get_num_threads())
        return predict(module, *inputs)

    monkeypatch.setattr(TrendModule, "probabilities", probabilities)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again, _ = evaluate(lstm.settings, [lstm.checkpoint])
    finally:
        torch.set_num_threads(before)
    assert set(threads) == {1}
    assert metrics_of(again) == metrics_of(lstm.result.scores)


def test_a_fit_that_diverges_is_reported(small, client):
    with pytest.raises(ConfigError, match=r"the fit diverged.*Try a smaller optimizer\.lr"):
        fit(small, "optimizer=sgd", "optimizer.lr=1e38", "trainer.gradient_clip_val=null")
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FAILED"
