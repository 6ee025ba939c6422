"""A fit as a Lightning user expects it: callbacks, loggers and Trainer arguments by name; mistakes in one message."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from runs import build_data, build_model, compose_values, fit_model
from ste.config import TrainerSettings, TrainSettings
from ste.config.load import load_settings
from ste.data.build.prepare import prepare
from ste.data.panel import Panel
from ste.errors import ConfigError
from ste.experiment.model_setup import load_model
from ste.registry import CALLBACKS, MODELS
from ste.training import fit as fit_module
from ste.training.components import build_callbacks, build_loggers
from ste.training.fit import Fitted
from ste.training.grouped_batches import BatchGroup, GroupedLoader, can_group
from ste.training.run_logger import RunLogger

QUICK = ["data=seed", "model=dual_tower", "trainer.max_epochs=3", "trainer.threads=1", "tracking=off"]
QUICK += ["trainer.enable_progress_bar=false"]


class Sink:
    """A tracked run in memory."""

    id, name = "id", "name"

    def __init__(self, sent: set[int] | None = None) -> None:
        self.sent, self.history = sent or set(), {}

    def log_history(self, history: dict[int, dict[str, float]]) -> None:
        for step, metrics in history.items():
            self.history.setdefault(step, {}).update(metrics)

    def steps(self, metric: str) -> set[int]:
        return self.sent


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def fitted(data_folder: Path, tmp_path: Path) -> Callable[..., Fitted]:
    def run(*overrides: str, sink: Sink | None = None, name: str | None = None) -> Fitted:
        settings = load_settings(TrainSettings, compose_values(*QUICK, f"paths.data={data_folder}", *overrides))
        panel = Panel.read(prepare(settings.data, data_folder), settings.data)
        data = build_data(settings, panel)
        folder = tmp_path / (name or str(len(list(tmp_path.iterdir()))))
        return fit_model(settings, data, build_model(settings, data), folder, sink)

    return run


def callbacks(*overrides: str) -> list[pl.Callback]:
    settings = load_settings(TrainSettings, compose_values(*QUICK, *overrides))
    return build_callbacks(settings.callbacks, f"val/{settings.fit.monitor}", settings.fit.mode, Path())


# --- Trainer ---


def test_every_trainer_argument_is_a_setting_by_its_own_name():
    arguments = set(inspect.signature(pl.Trainer).parameters)
    elsewhere = {"logger", "callbacks", "plugins", "use_distributed_sampler"}
    assert {field.name for field in fields(TrainerSettings)} == (arguments - elsewhere) | {"threads"}


def test_an_unknown_trainer_argument_is_one_message_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"trainer\.gradient_clip: no such .*Try trainer\.gradient_clip_val\."):
        load_settings(TrainSettings, compose_values("+trainer.gradient_clip=1.0"))


def test_overfit_batches_gives_the_same_batch_each_epoch(fitted: Callable[..., Fitted], monkeypatch):
    seen = []
    step = fit_module.TrendModule.training_step

    def watched(module, batch, batch_idx):
        seen.append(batch.features)
        return step(module, batch, batch_idx)

    monkeypatch.setattr(fit_module.TrendModule, "training_step", watched)
    overrides = ["trainer=overfit", "trainer.max_epochs=40", "data.batch_size=8", "optimizer.lr=0.03"]
    result = fitted(*overrides, "callbacks.early_stopping=null")
    assert len(seen) == 40
    assert all(torch.equal(batch, seen[0]) for batch in seen)
    assert result.history[-1]["train/loss"] < 0.5 * result.history[0]["train/loss"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.fast_dev_run=true"],
        ["trainer.accumulate_grad_batches=2"],
        ["trainer.limit_train_batches=1", "trainer.num_sanity_val_steps=1"],
        ["trainer.check_val_every_n_epoch=2"],
        ["trainer.max_steps=4", "trainer.max_epochs=-1"],
        ["callbacks.model_checkpoint=null", "callbacks.last_checkpoint=null"],
        ["trainer.enable_checkpointing=false"],
        ["trainer.precision=bf16-true"],
    ],
)
def test_trainer_arguments_work(fitted: Callable[..., Fitted], folder: Path, overrides: list[str]):
    result = fitted(*overrides)
    assert result.checkpoint.is_file()
    assert not Path("checkpoints").exists()
    weights = load_model(result.checkpoint).state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in result.model.state_dict().items())


def test_a_resumed_fit_ends_like_an_undisturbed_one(fitted: Callable[..., Fitted], monkeypatch: pytest.MonkeyPatch):
    overrides = ["trainer.max_epochs=4", "model.dropout=0.3", "optimizer.lr=0.01"]
    expected = fitted(*overrides)
    step = fit_module.TrendModule.training_step

    def stopped(module, batch, batch_idx):
        if module.current_epoch == 2:
            raise SystemExit(143)
        return step(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(fit_module.TrendModule, "training_step", stopped)
        with pytest.raises(SystemExit):
            fitted(*overrides, name="stopped")
    result = fitted(*overrides, "resume=0123", name="stopped")
    assert result.history == expected.history
    weights = expected.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in result.model.state_dict().items())


def test_what_lightning_refuses_is_one_message(fitted: Callable[..., Fitted]):
    with pytest.raises(ConfigError, match=r"trainer: Lightning refuses these settings: .*strategy"):
        fitted("trainer.strategy=hope")


def test_a_precision_that_the_processor_lacks_is_one_message(fitted: Callable[..., Fitted], monkeypatch):
    def unsupported(*_: Any) -> None:
        raise RuntimeError("could not create a primitive descriptor for the LSTM forward propagation primitive.")

    monkeypatch.setattr(torch.nn.LSTM, "forward", unsupported)
    with pytest.raises(ConfigError, match=r"trainer\.precision=bf16-mixed: this processor .*Try trainer\.precision=32"):
        fitted("model=lstm", "trainer.precision=bf16-mixed")


# --- callbacks and loggers ---


def test_callbacks_take_the_monitor_of_the_fit():
    stopping, best, *_ = callbacks("fit.monitor=accuracy", "callbacks.early_stopping.patience=5")
    assert isinstance(stopping, EarlyStopping)
    assert (stopping.monitor, stopping.mode, stopping.patience) == ("val/accuracy", "max", 5)
    assert isinstance(best, ModelCheckpoint)
    assert (best.monitor, best.mode) == ("val/accuracy", "max")


def test_a_callback_in_the_configuration_alone_works(fitted: Callable[..., Fitted]):
    added = "+callbacks.rate={name: LearningRateMonitor, logging_interval: epoch}"
    assert isinstance(callbacks(added)[-1], LearningRateMonitor)
    assert not any(isinstance(one, EarlyStopping) for one in callbacks("callbacks.early_stopping=null"))
    sink = Sink()
    fitted(added, sink=sink)
    names = {name for metrics in sink.history.values() for name in metrics}
    assert any(name.startswith("steps/lr-Adam") for name in names)
    assert "curves/val_log_loss" in names


def test_a_registered_callback_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch):
    class Mine(pl.Callback):
        def __init__(self, level: int = 1) -> None:
            self.level = level

    assert "LastCheckpoint" in CALLBACKS  # loads the registry
    monkeypatch.setitem(CALLBACKS._components, "Mine", Mine)
    assert callbacks("+callbacks.mine={name: Mine, level: 3}")[-1].level == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+callbacks.x={name: os.system}", r"callbacks\.x\.name=os\.system: expected one of .*EarlyStopping"),
        ("+callbacks.x={name: EarlyStoping}", r"Try callbacks\.x\.name=EarlyStopping"),
        ("+callbacks.x={name: Callback}", r"callbacks\.x\.name=Callback: expected one of"),
        ("+callbacks.x=3", r"callbacks\.x=3: expected a class name and its arguments"),
        (
            "+callbacks.early_stopping.patiense=3",
            r"patiense'\. Expected some of .*patience",
        ),
        ("+callbacks.early_stopping.monitor=val/los", r"monitor=val/los: expected one of .*Try .*=val/loss"),
        ("+callbacks.x={name: ModelCheckpoint, save_top_k: -7}", r"callbacks\.x: ModelCheckpoint does not accept"),
    ],
)
def test_a_callback_that_cannot_be_built_is_one_message(override: str, message: str):
    with pytest.raises(ConfigError, match=message):
        callbacks(override)


def test_loggers_are_the_tracked_run_and_lightnings(tmp_path: Path):
    settings = load_settings(TrainSettings, compose_values("loggers=[mlflow,csv]"))
    tracked, csv = build_loggers(settings.loggers, tmp_path, Sink())
    assert isinstance(tracked, RunLogger)
    assert csv.save_dir == str(tmp_path)
    assert [type(one).__name__ for one in build_loggers(settings.loggers, tmp_path, None)] == ["CSVLogger"]
    with pytest.raises(ConfigError, match=r"loggers\.x\.name=MLFlow: expected one of"):
        build_loggers({"x": {"name": "MLFlow"}}, tmp_path, None)


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="tensorboard is installed")
def test_a_logger_without_its_package_is_one_message(tmp_path: Path):
    settings = load_settings(TrainSettings, compose_values("loggers=tensorboard"))
    with pytest.raises(ConfigError, match=r"^loggers\.tensorboard: .*`tensorboard`.*Try `pip install`"):
        build_loggers(settings.loggers, tmp_path, None)


def test_curves_have_the_epoch_as_step_and_are_sent_once(fitted: Callable[..., Fitted]):
    sink = Sink()
    result = fitted(sink=sink)
    assert sorted(sink.history) == [0, 1, 2]
    assert sink.history[1]["curves/val_log_loss"] == result.history[1]["val/log_loss"]
    sink = Sink(sent={0, 1})
    logger = RunLogger(sink)
    logger.resend([{"train/loss": 1.0}] * 3)
    logger.log_metrics({"val/loss": 2.0, "epoch": 3})
    logger.finalize("failed")
    assert list(sink.history) == [2]  # epoch 3 has not ended


# --- groups of batches ---


def test_a_fit_in_groups_is_the_plain_fit(fitted: Callable[..., Fitted], monkeypatch: pytest.MonkeyPatch):
    overrides = ["data.batch_size=2", "model.dropout=0.2", "trainer.gradient_clip_val=0.05"]
    one = fitted(*overrides)
    monkeypatch.setattr(fit_module, "can_group", lambda *_: False)
    other = fitted(*overrides)
    assert all(torch.equal(value, other.model.state_dict()[name]) for name, value in one.model.state_dict().items())
    assert one.history == other.history


def test_groups_are_off_where_single_batches_count():
    class Module:
        hparams: ClassVar[dict[str, Any]] = {"scheduler": {"name": "none"}}

    usual, module = callbacks(), Module()
    assert can_group(module, TrainerSettings(), usual)
    for changed in (
        {"devices": 2},
        {"strategy": "ddp"},
        {"precision": "16-mixed"},
        {"precision": "bf16-true"},
        {"accumulate_grad_batches": 2},
        {"limit_train_batches": 3},
        {"overfit_batches": 1},
        {"profiler": "simple"},
    ):
        assert not can_group(module, TrainerSettings(**changed), usual), changed
    assert not can_group(
        module, TrainerSettings(), callbacks("+callbacks.x={name: ModelCheckpoint, every_n_train_steps: 5}")
    )
    assert not can_group(module, TrainerSettings(), callbacks("+callbacks.x={name: LearningRateMonitor}"))
    Module.hparams = {"scheduler": {"name": "cosine"}}
    assert not can_group(module, TrainerSettings(), usual)


@pytest.mark.parametrize(("count", "examples"), [(0, 8), (1, 8), (32, 8), (70, 8), (70, 1024), (5, 20_000)])
def test_groups_hold_every_batch_once_in_order(count: int, examples: int):
    class Loader(list[int]):
        pass

    loader: Any = Loader(range(count))
    loader.examples = examples
    grouped = GroupedLoader(loader)
    groups: list[BatchGroup] = list(grouped)
    assert len(groups) == len(grouped)
    assert [batch for group in groups for batch in group.batches] == list(range(count))
    assert all(
        group.first == group.batches[0] and len(group.batches) * examples <= max(16384, examples) for group in groups
    )


# --- nets ---


def test_a_net_that_cannot_be_stacked_is_one_message(fitted: Callable[..., Fitted], monkeypatch: pytest.MonkeyPatch):
    original = MODELS["DualTowerModel"]

    class Normed(original):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.norm = torch.nn.BatchNorm1d(3)

        def classify(self, latent: torch.Tensor) -> torch.Tensor:
            return self.norm(super().classify(latent))

    Normed.__signature__ = inspect.signature(original)
    monkeypatch.setitem(MODELS._components, "DualTowerModel", Normed)
    fitted("trainer.max_epochs=1")
    with pytest.raises(ConfigError, match=r"train\.replicas=2: BatchNorm1d cannot be stacked.*Try train\.replicas=1"):
        fitted("train.replicas=2")


def test_a_net_that_is_not_registered_is_one_message():
    with pytest.raises(ConfigError, match=r"model\.net=Missing: expected one of .*SimpleLSTM"):
        load_settings(TrainSettings, compose_values("model.net=Missing"))
    with pytest.raises(ConfigError, match=r"model\.net=SimpleLTSM: expected one of .*Try model\.net=SimpleLSTM"):
        MODELS["SimpleLTSM"]


def test_rare_classes_weigh_more(data_folder: Path):
    settings = load_settings(
        TrainSettings, compose_values(*QUICK, "fit.class_weights=true", f"paths.data={data_folder}")
    )
    data = build_data(settings, Panel.read(prepare(settings.data, data_folder), settings.data))
    counts = data.class_counts().double()
    weights = torch.tensor(build_model(settings, data).hparams["class_weights"], dtype=torch.float64)
    torch.testing.assert_close(weights, counts.sum() / (3 * counts), rtol=1e-6, atol=0)
    assert counts.argmin() == weights.argmax()


def test_the_epoch_is_selected_on_validation_alone(fitted: Callable[..., Fitted], data_folder: Path):
    """The monitored metric is that of the validation rows at the selected epoch, the best of all epochs."""
    overrides = ["trainer.max_epochs=8", "optimizer.lr=0.03", "data.split.validation=0.3", "data.split.test=0.2"]
    result = fitted(*overrides)
    values = [epoch["val/log_loss"] for epoch in result.history]
    assert result.best_epoch == values.index(min(values))
    assert result.monitored == pytest.approx(min(values), rel=1e-6)
    settings = load_settings(TrainSettings, compose_values(*QUICK, f"paths.data={data_folder}", *overrides))
    rows = build_data(settings, Panel.read(prepare(settings.data, data_folder), settings.data)).datasets["validation"]
    batch = rows[torch.arange(len(rows))]
    loss = torch.nn.functional.nll_loss(result.model.probabilities(batch.features).log(), batch.label)
    assert result.monitored == pytest.approx(float(loss), rel=1e-5)
