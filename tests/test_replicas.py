"""Many seeds in one run: each is the run of its seed, and together they are the run's prediction."""

import json
import statistics
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.tracking import MlflowClient
from sklearn.metrics import accuracy_score, log_loss, matthews_corrcoef

from net_inputs import net_inputs
from runs import build_model, compose_values, evaluate, fit_model
from ste.config import TrackingSettings, TrainSettings
from ste.config.load import load_settings
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.data.window_dataset import Batch
from ste.errors import ConfigError
from ste.experiment.artifacts import CHECKPOINT
from ste.experiment.explanation import explain
from ste.experiment.model_setup import input_view, load_model
from ste.experiment.run import train
from ste.experiment.train_result import TrainResult
from ste.seed_ensembles.best_epochs import BestEpochs
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.tracking.run_info import DIGEST_TAG
from ste.tracking.run_lookup import download, find_run, read_config
from ste.tracking.store import create_store
from ste.training.fit import Fitted

FAST = ["trainer.threads=1", "trainer.enable_progress_bar=false", "scoring.resamples=100"]
SEED = [
    "data=seed",
    "optimizer.lr=0.01",
    "trainer.max_epochs=5",
    "callbacks.early_stopping.patience=2",
    "seed=5",
    *FAST,
]
WORLD = ["data.tickers=4", "data.start=2018-01-01", "data.end=2020-06-30", "data.batch_size=64", *FAST]
WORLD += ["data.split.validation_start=2019-07-01", "data.split.test_start=2020-01-01", "data.sequence_length=3"]
WORLD += ["trainer.max_epochs=3", "model=lstm", "model.hidden_size=8", "model.num_layers=1"]
TWO, THREE = "train.replicas=2", "train.replicas=3"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def client(folder: Path) -> MlflowClient:
    return create_store(TrackingSettings(), Path("outputs"))


def fitted(data_folder: Path, folder: Path, *overrides: str) -> tuple[Fitted, TrendDataModule]:
    """A fit without tracking, of the seed document's rows."""
    values = compose_values(*SEED, f"paths.data={data_folder}", "tracking=off", *overrides)
    settings = load_settings(TrainSettings, values)
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    data = TrendDataModule(panel, input_view(settings.model), settings.seed)
    own = folder / "-".join(overrides).replace("/", "_")
    result = fit_model(settings, data, build_model(settings, data), own, None)
    assert result is not None
    return result, data


def run(folder: Path, *overrides: str, out: str = "run") -> TrainResult:
    """A tracked run on a small world."""
    values = compose_values(*WORLD, f"paths.data={folder / 'data'}", *overrides)
    result = train(load_settings(TrainSettings, values), values, Path(out), out)
    assert result is not None
    return result


KINDS = {
    "lstm": ["model.hidden_size=8", "model.dropout=0.3"],
    "dual_tower": ["model.dropout=0.2", "fit.class_weights=true", "fit.label_smoothing=0.1", "fit.monitor=accuracy"],
    "gru": [
        "model.num_layers=2",
        "model.dropout=0.2",
        "scheduler=plateau",
        "scheduler.patience=0",
        "optimizer=rmsprop",
    ],
    "alstm": ["fit.adversarial_weight=0.5", "fit.class_weights=true", "trainer.gradient_clip_val=0.1"],
    "tcn": ["optimizer=adamw", "fit.monitor=loss", "callbacks.early_stopping=null"],
    "market_attention": ["model.hidden_size=8", "model.num_layers=2", "model.dropout=0.2", "fit.loss=ranking"],
    "transformer": ["scheduler=cosine", "model.hidden_size=8", "trainer.gradient_clip_val=null"],
    "mlp": ["optimizer=sgd", "fit.monitor=mcc", "fit.adversarial_weight=0.1"],
}


@pytest.mark.parametrize("model", KINDS)
def test_a_replica_is_the_run_of_its_seed(model: str, data_folder: Path, tmp_path: Path):
    """In 64 bits, where rounding cannot grow into a difference."""
    overrides = [f"model={model}", "trainer.precision=64-true", *KINDS[model]]
    together, data = fitted(data_folder, tmp_path, *overrides, TWO)
    assert isinstance(together.model, ReplicaModule)
    inputs = net_inputs(together.model.net, data.datasets["validation"][torch.arange(4)].features)
    epochs = []
    for i in range(2):
        alone, _ = fitted(data_folder, tmp_path, *overrides, f"seed={5 + i}")
        assert int(together.model.best_epochs[i]) == alone.best_epoch
        epochs.append(alone.epochs)
        for key, value in together.model.net.state_dict().items():
            torch.testing.assert_close(value[i], alone.model.net.state_dict()[key], rtol=1e-5, atol=1e-7, msg=key)
        own = together.model.replica_probabilities(*inputs)[i]
        torch.testing.assert_close(own, alone.model.probabilities(*inputs))
    assert together.epochs == max(epochs)  # training ends when all have stopped


@pytest.mark.parametrize("model", ["lstm", "dual_tower"])
def test_in_32_bits_a_replica_is_the_run_of_its_seed_to_float_tolerance(model: str, data_folder: Path, tmp_path: Path):
    overrides = [f"model={model}", "model.dropout=0.1", "callbacks.early_stopping=null"]
    together, data = fitted(data_folder, tmp_path, *overrides, TWO)
    x = data.datasets["train"][torch.arange(8)].features
    for i in range(2):
        alone, _ = fitted(data_folder, tmp_path, *overrides, f"seed={5 + i}")
        own = together.model.replica_probabilities(x)[i]
        torch.testing.assert_close(own, alone.model.probabilities(x), rtol=0, atol=2e-4)


def test_replicas_take_rates_decays_and_dropout_of_their_own(data_folder: Path, tmp_path: Path):
    each = {"lr": [0.001, 0.01, 0.03], "weight_decay": [0.0, 0.1, 0.01], "dropout": [0.0, 0.5, 0.2]}
    common = ["model=dual_tower", "optimizer=adamw", "trainer.precision=64-true"]
    lists = [f"train.{name}={values}".replace(" ", "") for name, values in each.items()]
    together, _ = fitted(data_folder, tmp_path, *common, THREE, *lists)
    for i in range(3):
        own = [f"optimizer.lr={each['lr'][i]}", f"optimizer.weight_decay={each['weight_decay'][i]}"]
        alone, _ = fitted(data_folder, tmp_path, *common, *own, f"model.dropout={each['dropout'][i]}", f"seed={5 + i}")
        for key, value in together.model.net.state_dict().items():
            torch.testing.assert_close(value[i], alone.model.net.state_dict()[key], rtol=1e-5, atol=1e-7, msg=key)


@pytest.mark.parametrize("weighting", ["uniform", "validation"])
def test_the_ensemble_is_the_weighted_mean_and_one_checkpoint_holds_it(
    weighting: str, data_folder: Path, tmp_path: Path
):
    together, data = fitted(data_folder, tmp_path, "model=dual_tower", THREE, f"train.weighting={weighting}")
    module = together.model
    rows = data.datasets["validation"]
    batch = rows[torch.arange(len(rows))]
    each = module.replica_probabilities(batch.features).double().numpy()
    weights = np.full(3, 1 / 3)
    if weighting == "validation":
        weights = np.exp([-log_loss(batch.label.numpy(), own, labels=[0, 1, 2]) for own in each])
        weights /= weights.sum()
        assert weights.std() > 1e-3
    np.testing.assert_allclose(module.weights.numpy(), weights, rtol=1e-5)
    expected = np.einsum("r,rnc->nc", weights, each)
    np.testing.assert_allclose(module.probabilities(batch.features).numpy(), expected, rtol=1e-5)
    content = torch.load(together.checkpoint, weights_only=True)  # plain data alone
    assert content["state_dict"]["net.head.0.weight"].shape[0] == 3
    again = load_model(together.checkpoint)
    assert torch.equal(again.probabilities(batch.features), module.probabilities(batch.features))
    assert sorted(path.name for path in together.checkpoint.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_a_stopped_replica_keeps_what_it_had():
    net = torch.nn.Linear(1, 1)
    net.weight = torch.nn.Parameter(torch.zeros(3, 1))
    net.bias = None
    best = BestEpochs(3, "min", patience=2)
    figures = [[3.0, 3.0, 3.0], [2.0, 4.0, float("nan")], [2.5, 4.0, 0.1], [2.0, 1.0, 0.1], [0.0, 0.0, 0.0]]
    for epoch, values in enumerate(figures):
        torch.nn.init.constant_(net.weight, epoch)
        best.update(torch.tensor(values, dtype=torch.float64), epoch, net)
    assert best.epoch.tolist() == [1, 0, 0]  # an equal figure is not better, and what comes after the stop is too late
    assert best.value.tolist() == [2.0, 3.0, 3.0]
    assert best.weights["weight"].flatten().tolist() == [1.0, 0.0, 0.0]
    assert best.done
    assert not BestEpochs(2, "max", None).done


def test_a_run_is_scored_as_the_ensemble_and_each_replica_by_itself(folder: Path, client: MlflowClient):
    result = run(folder, THREE, "model.dropout=0.1")
    module = result.module
    assert isinstance(module, ReplicaModule)
    shown = " ".join(result.lines)
    replicas = json.loads(Path("run/summary.json").read_text())["replicas"]
    assert replicas["seeds"] == [0, 1, 2]
    assert replicas["best_epochs"] == module.best_epochs.tolist()
    tracked = client.get_run(result.run_id).data
    assert tracked.tags["replicas"] == "3"
    values = compose_values(*WORLD, f"paths.data={folder / 'data'}")
    settings = load_settings(TrainSettings, values)
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    data = TrendDataModule(panel, "sequence", 0)
    for split in ("train", "validation", "test"):
        dataset = data.datasets[split]
        batch = dataset[torch.arange(len(dataset))]
        probs = module.replica_probabilities(batch.features).double().numpy()
        labels = batch.label.numpy()
        accuracies = [accuracy_score(labels, own.argmax(axis=1)) for own in probs]
        figures = replicas["figures"][split]
        assert figures["accuracy"] == pytest.approx(accuracies)
        for i, own in enumerate(probs):
            assert figures["mcc"][i] == pytest.approx(matthews_corrcoef(labels, own.argmax(axis=1)))
            shares = own / own.sum(axis=1, keepdims=True)
            assert figures["log_loss"][i] == pytest.approx(log_loss(labels, shares, labels=[0, 1, 2]), rel=1e-5)
        prefix = f"final_{split}/accuracy"
        assert tracked.metrics[f"{prefix}_replica_mean"] == pytest.approx(statistics.mean(accuracies))
        assert tracked.metrics[f"{prefix}_replica_std"] == pytest.approx(statistics.stdev(accuracies))
        joint = accuracy_score(labels, probs.mean(axis=0).argmax(axis=1))
        assert tracked.metrics[prefix] == pytest.approx(joint)
        if split == "test":
            line = f"{100 * statistics.mean(accuracies):.1f} ± {100 * statistics.stdev(accuracies):.1f} % over seeds"
            assert f"3 replicas: test accuracy {line}; of the ensemble {100 * joint:.1f} %" in shown
    assert {"curves/val_log_loss_replica_mean", "curves/val_log_loss", "curves/train_loss"} <= set(tracked.metrics)
    importance, attribution = explain(module, data)
    assert importance
    assert attribution.gap < 1e-2


def test_a_run_of_replicas_is_evaluated_and_served_as_it_was_scored(folder: Path, client: MlflowClient):
    result = run(
        folder, THREE, "train.weighting=validation", "train.dropout=[0.0,0.1,0.2]", "train.lr=[0.01,0.003,0.001]"
    )
    found = find_run(client, result.run_id, "ste")
    settings = load_settings(TrainSettings, read_config(client, found))
    again, predictions = evaluate(settings, [download(client, found, CHECKPOINT, folder)], found.tags[DIGEST_TAG])
    assert again == result.scores
    pd.testing.assert_frame_equal(predictions.frame, result.predictions.frame, check_exact=True)
    (logged,) = client.search_logged_models(client.get_run(result.run_id).info.experiment_id.split())
    loaded = mlflow.pyfunc.load_model(logged.model_uri)
    x = loaded.input_example["features"].astype(np.float32)
    expected = result.module.probabilities(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(loaded.predict({"features": x}), expected)


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_a_stopped_run_of_replicas_ends_where_it_would_have_ended(folder: Path, client, monkeypatch, schedule: str):
    overrides = [
        THREE,
        f"scheduler={schedule}",
        "model.dropout=0.2",
        "callbacks.early_stopping.patience=2",
        "trainer.max_epochs=4",
    ]
    overrides += ["optimizer.lr=0.03", "scheduler.patience=0"] if schedule == "plateau" else ["optimizer.lr=0.03"]
    whole = run(folder, *overrides, out="whole")
    step = ReplicaModule.training_step

    def stop(module: ReplicaModule, batch: Batch, batch_idx: int) -> torch.Tensor:
        if module.current_epoch == 2 and batch_idx == 1:
            raise SystemExit(143)
        return step(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ReplicaModule, "training_step", stop)
        with pytest.raises(SystemExit):
            run(folder, *overrides, out="stopped")
    (stopped,) = client.search_runs(["1"], filter_string="attributes.status = 'KILLED'")
    values = {**read_config(client, find_run(client, stopped.info.run_id, "ste")), "resume": stopped.info.run_id}
    resumed = train(load_settings(TrainSettings, values), values, Path("resumed"), "resumed")
    a, b = whole.module.state_dict(), resumed.module.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
    figures = [dict(client.get_run(one.run_id).data.metrics) for one in (whole, resumed)]
    assert all(one.pop("fit_seconds") > 0 for one in figures)
    assert figures[0] == figures[1]


def test_folds_train_replicas_too(folder: Path, client: MlflowClient):
    walk = ["validation=walk_forward", "validation.folds=2", "trainer.max_epochs=1", "calibration=none"]
    result = run(folder, THREE, *walk)
    alone = run(folder, *walk, "seed=1", out="alone")
    figures = result.replicas.figures["test"]
    assert figures["accuracy"][1] == pytest.approx(alone.scores["test"].metrics["accuracy"])
    assert figures["log_loss"][1] == pytest.approx(alone.scores["test"].metrics["log_loss"], rel=1e-4)
    tracked = client.get_run(result.run_id).data.metrics
    mean = statistics.mean(figures["accuracy"])
    assert tracked["final_test/accuracy_replica_mean"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.replicas=0"], r"train\.replicas=0: expected a whole number, 1 or more\. Try train\.replicas=1"),
        (
            ["train.replicas=2", "model=gbm"],
            r"train\.replicas=2: GradientBoosting is a baseline, not a net\. Try model=lstm",
        ),
        (
            ["train.replicas=2", "trainer=ddp"],
            r"train\.replicas=2: replicas are trained in one process\. Try trainer=cpu",
        ),
        (
            ["train.replicas=2", "train.lr=[0.1]"],
            r"train\.lr=\[0\.1\]: expected a value for each of train\.replicas=2\. Try train\.replicas=1",
        ),
        (["train.lr=[0.1,0.2]"], r"expected a value for each of train\.replicas=1\. Try train\.replicas=2"),
        (
            ["train.replicas=2", "train.lr=[0.1,0]"],
            r"train\.lr=.*expected a list, each a finite number above 0, or null",
        ),
        (
            ["train.replicas=2", "train.weight_decay=[0,-1]"],
            r"train\.weight_decay=.*expected a list, each a finite number, 0 or more, or null",
        ),
        (
            ["train.replicas=2", "train.dropout=[0,1]"],
            r"train\.dropout=.*expected a list, each a finite number, 0 or more, less than 1, or null",
        ),
        (["train.weighting=best"], r"train\.weighting=best: expected one of uniform, validation"),
        (["train.replicas=2", "seed=4294967295"], r"seed=4294967295: expected 2\*\*32 - 2 or less"),
        (["train.replica=2"], r"replica"),
    ],
)
def test_a_mistake_is_told(overrides: list[str], message: str):
    with pytest.raises(Exception, match=message) as raised:
        load_settings(TrainSettings, compose_values(*overrides))
    assert isinstance(raised.value, ConfigError) or "train.replica=2" in overrides


def test_a_replica_that_diverges_is_named(data_folder: Path, tmp_path: Path):
    wild = ["model=mlp", "optimizer=sgd", "trainer.gradient_clip_val=null", "train.lr=[0.01,1e38,0.01]", THREE]
    with pytest.raises(
        ConfigError, match=r"diverged: val/log_loss of replica 1 \(seed 6\) was never finite.*train\.lr"
    ):
        fitted(data_folder, tmp_path, *wild)


def test_a_configuration_of_before_replicas_is_read(folder: Path):
    values = compose_values()
    del values["train"]
    assert isinstance(load_settings(TrainSettings, values), TrainSettings)
    assert replace(load_settings(TrainSettings, values)).train.replicas == 1
