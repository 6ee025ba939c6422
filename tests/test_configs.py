"""Every file under conf/ composes, becomes checked settings, and builds what it names."""

import inspect
import re
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from feature_sets import COLUMNS
from runs import compose_values
from ste.config import SplitSettings, TrainSettings
from ste.config.config_files import COMMON, INFERENCE, conf_dir, group_choices
from ste.config.feature_sets import FOLDER
from ste.config.load import compose_command, load_settings, model_configs
from ste.errors import ConfigError, SteError
from ste.experiment.model_setup import input_view
from ste.registry import BASELINES, MODELS
from ste.training.components import build_callbacks
from ste.training.optimizers import build_optimizer, build_scheduler
from ste.training.trainer import build_trainer

FOLDERS = [path for root in (conf_dir(), conf_dir() / COMMON) for path in sorted(root.iterdir()) if path.is_dir()]
GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in FOLDERS
    if folder.name not in (COMMON, INFERENCE, FOLDER)
}
CHOICES = [(group, name) for group, names in GROUPS.items() for name in names]
ROOTS = sorted(
    path.stem
    for folder in (conf_dir(), conf_dir() / INFERENCE)
    for path in folder.glob("*.yaml")
    if "hydra:" in path.read_text()
)


def overrides(group: str, name: str, folder: Path) -> list[str]:
    table = folder / "table.csv"
    from ste.schema import MARKET_COLUMNS

    needed = {
        "csv": ([f"data.train={table}", f"data.validation={table}"], COLUMNS),
        "market": ([f"data.bars={table}"], MARKET_COLUMNS["bars"]),
        **{other: ([f"data.bars={table}"], MARKET_COLUMNS["bars"]) for other in ("acl18", "kdd17", "weekly")},
    }
    extra, columns = needed.get(name, ([], ())) if group in ("data", "experiment") else ([], ())
    if (group, name) == ("labels", "column"):
        extra = ["data.labels.column=my_label"]
    table.write_text(",".join(columns) + "\n1\n")
    return [f"{group}={name}", *extra]


def test_the_groups_are_complete():
    groups = {"augment", "model", "data", "optimizer", "scheduler", "trainer", "tracking", "validation", "experiment"}
    groups |= {"sweep", "callbacks", "loggers", "labels"}
    assert set(GROUPS) == groups
    nets = {"alstm", "dual_tower", "gru", "lstm", "market_attention", "mlp", "tcn", "transformer"}
    assert set(GROUPS["model"]) == nets | {"gbm", "logistic", "majority", "persistence", "sklearn", "volatility"}
    assert GROUPS["data"] == ["csv", "market", "sample", "seed", "world"]
    assert GROUPS["augment"] == ["jitter", "mixup", "none", "scaling", "synthetic", "window_warping"]
    assert GROUPS["optimizer"] == ["adam", "adamw", "rmsprop", "sgd"]
    assert GROUPS["scheduler"] == ["cosine", "none", "plateau"]
    assert set(GROUPS["sweep"]) == nets | {"none"}
    assert GROUPS["trainer"] == ["cpu", "ddp", "debug", "gpu", "overfit", "profile"]
    assert GROUPS["loggers"] == ["csv", "mlflow", "tensorboard"]
    assert GROUPS["tracking"] == ["mlflow", "off"]
    assert GROUPS["validation"] == ["combinatorial", "holdout", "walk_forward"]
    assert set(GROUPS["experiment"]) >= {"known_limit", "seed_dual_tower", "seed_lstm"}
    assert set(ROOTS) >= {
        "train",
        "generate",
        "evaluate",
        "reproduce",
        "ui",
        "audit",
        "compare",
        "ensemble",
        "report",
        "export",
        "predict",
        "serve",
        "live",
    }


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_choice_becomes_settings(group: str, name: str, tmp_path: Path):
    settings = load_settings(TrainSettings, compose_values(*overrides(group, name, tmp_path)))
    assert (settings.model.get("net") or settings.model["baseline"]) in {*MODELS, *BASELINES}
    assert input_view(settings.model) in ("sequence", "flat")


@pytest.mark.parametrize("root", ROOTS)
def test_every_command_has_a_configuration_and_help(root: str):
    config = compose_command(root, [], with_hydra=True)
    assert f"python -m ste.{root}" in config.hydra.help.header
    assert config.hydra.job.name == root


@pytest.mark.parametrize("command", ["predict", "serve", "live", "monitor"])
def test_a_model_file_is_a_setting_where_train_has_a_group(command: str):
    assert compose_command(command, ["model=model.onnx"]).model == "model.onnx"
    assert group_choices(command, "model") == []
    assert group_choices(command, "tracking") == ["mlflow", "off"]


def test_the_common_groups_are_added_to_our_commands_alone(tmp_path: Path):
    (tmp_path / "other.yaml").write_text("defaults: [tracking: mlflow]\n")
    GlobalHydra.instance().clear()
    with (
        initialize_config_dir(version_base="1.3", config_dir=str(tmp_path)),
        pytest.raises(HydraException, match="Could not find 'tracking/mlflow'"),
    ):
        compose("other")


@pytest.mark.parametrize("name", GROUPS["experiment"])
def test_an_experiment_says_how_to_run_it(name: str):
    text = (conf_dir() / "experiment" / f"{name}.yaml").read_text()
    assert f"python -m ste.train experiment={name}" in text


@pytest.mark.parametrize("name", GROUPS["optimizer"])
@pytest.mark.parametrize("schedule", GROUPS["scheduler"])
def test_every_optimizer_and_schedule_moves_a_net(name: str, schedule: str):
    settings = load_settings(TrainSettings, compose_values(f"optimizer={name}", f"scheduler={schedule}"))
    net = torch.nn.Linear(3, 2)
    before = net.weight.clone()
    optimizer = build_optimizer(net.parameters(), vars(settings.optimizer), fused=True)
    scheduler = build_scheduler(optimizer, vars(settings.scheduler), max_epochs=5, mode="min")
    net(torch.ones(4, 3)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(net.weight, before)
    assert (scheduler is None) == (schedule == "none")


@pytest.mark.parametrize("name", [name for name in GROUPS["trainer"] if name != "gpu"])
def test_every_trainer_is_built(name: str, tmp_path: Path):
    settings = load_settings(TrainSettings, compose_values(f"trainer={name}"))
    callbacks = build_callbacks(settings.callbacks, "val/log_loss", "min", tmp_path)
    trainer = build_trainer(settings.trainer, callbacks)
    assert trainer.max_epochs == settings.trainer.max_epochs
    assert trainer.num_devices == settings.trainer.devices
    assert trainer.checkpoint_callback.monitor == "val/log_loss"
    assert trainer.early_stopping_callback.patience == 10


def test_every_net_has_a_configuration_and_every_configuration_a_net():
    nets = [config["net"] for config in model_configs().values() if "net" in config]
    assert sorted(nets) == sorted(set(MODELS) - set(MODELS.of_plugins))


def test_every_baseline_has_one_configuration_which_names_all_its_arguments():
    configs = [config for config in model_configs().values() if "net" not in config]
    shipped = set(BASELINES) - set(BASELINES.of_plugins)  # other tests register their own
    assert sorted(config["baseline"] for config in configs) == sorted(shipped)
    for config in configs:
        if config["baseline"] == "Estimator":
            continue  # its arguments are those of the class that it names
        arguments = {key: value for key, value in config.items() if key != "baseline"}
        kind = BASELINES[config["baseline"]]
        defaults = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
        assert arguments == {} if kind.__init__ is object.__init__ else arguments == defaults


def test_the_default_run_is_the_documented_one():
    settings = load_settings(TrainSettings, compose_command("train", []))
    assert (settings.model["net"], settings.data.source, settings.optimizer.name) == ("SimpleLSTM", "world", "adam")
    assert (settings.data.tickers, settings.data.start, settings.data.end) == (7, "2015-01-01", "2024-12-31")
    assert settings.data.split == SplitSettings(validation_start="2021-01-01", test_start="2023-01-01")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data.sequence_length=0",
            r"data.sequence_length=0: expected a whole number, 1 or more. Try data.sequence_length=4",
        ),
        ("data.batch_size=-1", r"data.batch_size=-1: expected a whole number, 1 or more"),
        ("data.split.purge=0", r"data.split.purge=0: expected at least data.labels.horizon=1"),
        ("data.split.by=row", r"data.split.by=row: expected date; only data=seed"),
        ("data=seed data.start=2010-01-01", r"data.split.by=row: expected date; only data=seed, with its own weeks"),
        ("data=seed data.labels.horizon=4", r"data.split.by=row: expected date"),
        ("data=seed data.split.embargo=2", r"data.split.by=row: expected date"),
        (
            "data.split.validation=0.4",
            r"data.split.validation=0.4: expected null, as data.split.validation_start=2021-01-01",
        ),
        ("optimizer.lr=inf", r"optimizer.lr=inf: expected a finite number"),
        ("seed=1.5", r"seed=1.5: expected a whole number, 0 or more, less than 4294967296. Try seed=0"),
        ("paths.output=", r"paths.output=: expected a folder. Try paths.output=outputs"),
        ("trainer.accelerator=abacus", r"trainer.accelerator=abacus: expected one of cpu, gpu, auto"),
        ("trainer.precision=8", r"trainer.precision=8: expected one of 32-true"),
        ("trainer.limit_train_batches=0", r"trainer.limit_train_batches=0: expected a whole number, 1 or more"),
        ("tracking.uri=foo://x", r"tracking.uri=foo://x: expected sqlite:///FILE or http://SERVER:PORT"),
        ("data.signal=2", r"data.signal=2: expected a finite number, 0 or more, 1 or less"),
        ("data.start=20150101", r"data.start=20150101: expected a date such as"),
        ("data.end=2010-01-01", r"data.end=2010-01-01: expected a date after data.start=2015-01-01"),
        ("data.tickers=[A,A]", r"expected different names"),
        ("data.tickers=none", r"data.tickers=none: expected a number such as"),
        ("data.labels.method=magic", r"expected one of column, cross_sectional, excess, fixed, terciles"),
        ("data.labels.horizon=1.5", r"data.labels.horizon=1.5: expected a whole number"),
        ("data.representation=raw", r"expected one of stationary, standard"),
        ("optimizer.lr=0", r"optimizer.lr=0: expected a finite number above 0. Try optimizer.lr=0.001"),
        ("optimizer.lr=fast", r"optimizer.lr=fast: expected a finite number above 0"),
        ("fit.monitor=luck", r"fit.monitor=luck: expected one of accuracy, auroc, balanced_accuracy"),
        ("fit.label_smoothing=1", r"fit.label_smoothing=1: expected a finite number, 0 or more, less than 1"),
        ("trainer.max_epochs=0", r"trainer.max_epochs=0: expected a whole number, 1 or more, -1 or null"),
        ("model.hidden_size=big", r"model.hidden_size=big: expected a whole number. Try model.hidden_size=64"),
        ("model.net=Popen", r"model.net=Popen: expected one of"),
        ("seed=-1", r"seed=-1: expected a whole number"),
        ("model=logistic model.C=strong", r"model.C=strong: expected a finite number. Try model.C=1.0"),
        (
            "model=gbm model.baseline=Oracle",
            r"model.baseline=Oracle: expected one of Estimator, GradientBoosting",
        ),
        ("data.labels.classes=6", r"data.labels.classes=6: expected one of 3, 2, 4, 5. Try data.labels.classes=3"),
        ("data.labels.lower=0.02", r"data.labels.lower=0.02: expected at most data.labels.threshold=0.01, or null"),
        ("data.labels.method=terciles data.labels.lower=-0.01", r"data.labels.lower=-0.01: expected null"),
        ("data.frequency=hourly", r"data.frequency=hourly: expected one of weekly, daily"),
        (
            "features=prices11",
            r"data.frequency=weekly: expected daily with features=prices11. Try data.frequency=daily",
        ),
        ("data.history=0", r"data.history=0: expected a whole number, 1 or more, or null"),
        ("validation.method=hope", r"validation.method=hope: expected one of holdout, walk_forward, combinatorial"),
        ("validation=walk_forward validation.folds=1", r"validation.folds=1: expected 2 or more"),
        ("validation=combinatorial validation.test_folds=6", r"validation.test_folds=6: expected 2 to 5"),
        ("validation=combinatorial validation.test_folds=1", r"validation.test_folds=1: expected 2 to 5"),
        (
            "validation=walk_forward validation.fraction=0.6",
            r"validation.fraction=0.6: expected a finite number above 0, 0.5 or less",
        ),
        ("validation=walk_forward validation.embargo=-1", r"validation.embargo=-1: expected a whole number, 0 or more"),
        (
            "validation=walk_forward validation.train_periods=50",
            r"validation.train_periods=50: expected 2 or more, with validation.window=rolling",
        ),
        ("validation=walk_forward validation.test_start=2020", r"validation.test_start=2020: expected a date such as"),
        ("scoring.resamples=10", r"scoring.resamples=10: expected a whole number, 100 or more"),
        ("scoring.portfolio=hold", r"scoring.portfolio=hold: expected one of long_only, long_short, optimized, topk"),
        (
            "scoring.portfolio=topk ++scoring.portfolio_arguments.k=0",
            r"portfolio_arguments.k=0: expected a whole number, 1",
        ),
        ("scoring.execution=open", r"scoring.execution=open: expected one of next_open, next_close, same_close"),
        ("scoring.costs=none.csv", r"scoring.costs=none.csv: expected bps, spread, or a CSV file of ticker and bps"),
        ("scoring.benchmark=none.csv", r"scoring.benchmark=none.csv: expected a file of date and close"),
        ("scoring.max_rows=0", r"scoring.max_rows=0: expected a whole number, 1 or more, or null"),
        ("augment=synthetic data.format=parts", r"augment=synthetic: resamples a market in memory"),
        ("scoring.cost_bps=-1", r"scoring.cost_bps=-1: expected a finite number, 0 or more"),
    ],
)
def test_an_invalid_setting_is_reported_with_a_valid_one(override: str, message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_settings(TrainSettings, compose_values(*override.split()))


@pytest.mark.parametrize(("net", "argument"), [("SimpleLSTM", "hidden_size"), ("DualTowerModel", "tower_hidden_size")])
def test_a_net_refuses_sizes_it_cannot_have(net: str, argument: str):
    with pytest.raises(ConfigError, match=f"model.{argument}=0: expected 2 or more"):
        MODELS.build(net, {argument: 0})


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Logistic", {"C": 0}, r"model\.C=0: expected a number above 0"),
        ("Volatility", {"C": -1.0}, r"model\.C=-1\.0: expected a number above 0"),
        ("GradientBoosting", {"num_leaves": 1}, r"model\.num_leaves=1: expected"),
        ("GradientBoosting", {"row_fraction": 1.5}, r"model\.row_fraction=1\.5: expected a fraction"),
        ("GradientBoosting", {"patience": 0}, r"model\.patience=0: expected"),
        ("Majority", {"C": 1.0}, "argument"),
    ],
)
def test_a_baseline_refuses_arguments_it_cannot_have(name: str, arguments: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        BASELINES.build(name, arguments)


def test_nothing_but_our_nets_is_built_from_a_configuration():
    for name in ("torch.nn.Linear", "os.system", "nn", "__all__"):
        with pytest.raises(SteError, match="expected one of"):
            MODELS.build(name, {})


def test_nothing_but_our_baselines_is_built_from_a_configuration_or_a_checkpoint():
    for name in ("os.system", "REFERENCE_BASELINES", "Baseline", "Examples", "__all__"):
        with pytest.raises(ConfigError, match=r"model\.baseline=.*expected one of .*GradientBoosting, Logistic"):
            BASELINES.build(name, {})
