"""Components of a user's own modules: found, trained, stored with the run, and never imported by a stored file."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import ste
from conftest import SMALL_WORLD, Call
from plugin_files import AUGMENTATION, LOSS, METRIC, NET, forgotten_plugins
from ste import plugins
from ste.config.config_files import group_choices
from ste.config.feature_sets import load_feature_set
from ste.config.help_page import help_page
from ste.config.load import compose_command, load_settings, to_dict
from ste.config.plugin_record import check_needed, check_recorded, record_plugins
from ste.config.typed_plugins import typed_plugins
from ste.config.typed_values import as_typed
from ste.errors import ConfigError, SteError
from ste.evaluation.bootstrap import Resampling
from ste.evaluation.metrics.base import ScoredExamples
from ste.inference.onnx_model import ServedModel
from ste.plugins import PLUGINS, Plugin, load_plugin
from ste.registry import KINDS, LOSSES, METRICS, MODELS


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    with forgotten_plugins():
        yield


def write_net(folder: Path, module: str = "user_net", name: str = "UserNet") -> None:
    (folder / f"{module}.py").write_text(NET.format(name=name))
    (folder / f"{module}.yaml").write_text(f"net: {name}   # of a user\nhidden_size: 8   # units of its layer\n")


def write_all(folder: Path) -> str:
    """Write a net, a loss, a metric and a transform; returns what is typed for them."""
    write_net(folder)
    for module, text in (("user_loss", LOSS), ("user_metric", METRIC), ("user_transform", AUGMENTATION)):
        (folder / f"{module}.py").write_text(text)
    return "plugins=[user_net,user_loss,user_metric,user_transform]"


def test_importing_the_package_imports_no_library():
    code = "import ste, sys; print({'torch', 'numpy', 'importlib.metadata'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_net_loss_metric_and_transform_of_a_user_train_export_and_predict(call: Call, folder: Path):
    typed = write_all(folder)
    settings = ["fit.loss=squares", "fit.loss_arguments.scale=2", "fit.monitor=truth", "augment.name=halves"]
    overrides = [*SMALL_WORLD, "trainer.max_epochs=1", "model=user_net", *settings, "augment.arguments.factor=0.9"]
    code, out, err = call("train", typed, *overrides)
    assert code == 0, err
    assert "UserNet" in out
    assert "validation truth" in out
    (config,) = folder.glob("outputs/runs/train/*/config.yaml")
    stored = yaml.safe_load(config.read_text())
    assert stored["plugins"] == ["user_net", "user_loss", "user_metric", "user_transform"]
    assert stored["origins"]["user_net"] == {"distribution": "", "components": ["model UserNet"]}
    assert stored["fit"]["loss_arguments"] == {"scale": 2}
    code, out, err = call("evaluate", typed)
    assert (code, out.splitlines()[-1]) == (0, "the same figures as tracked, to the last digit"), err
    code, out, err = call("export", typed, "run=latest", "register=false")
    assert code == 0, err
    served = ServedModel(folder / "model.onnx")
    assert served.card.plugins == []  # the file needs no plugin
    probs = served.probabilities(np.abs(np.random.default_rng(0).normal(size=(3, *served.card.shape))) + 1.0)
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, rtol=1e-5)


def test_a_run_names_the_plugin_that_it_needs_and_imports_nothing(call: Call, folder: Path):
    write_net(folder)
    code, out, err = call("train", "plugins=user_net", *SMALL_WORLD, "model=user_net", "trainer.max_epochs=1")
    assert code == 0, err
    run = out.split("python -m ste.report run=")[1].split()[0]
    with forgotten_plugins():
        for name in ("user_net",):
            PLUGINS.pop(name)
            MODELS.remove("UserNet")
            del sys.modules[name]
        for command, argument in (("evaluate", "run=latest"), ("export", "run=latest"), ("report", "run=latest")):
            code, _, err = call(command, argument)
            assert code == 2
            assert "the model UserNet comes from the plugin user_net, which is not imported." in err
            assert "try plugins=[user_net]." in err
        assert "user_net" not in sys.modules
        code, _, err = call("train", f"resume={run}")
        assert code == 2
        assert "FINISHED" in err
    assert call("evaluate", "plugins=[user_net]")[0] == 0


def test_a_stopped_run_is_resumed_with_its_plugin(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch):
    write_net(folder)
    (folder / "user_stop.py").write_text(
        "import lightning.pytorch as pl\nimport ste\n\n@ste.register('callback')\nclass UserStop(pl.Callback):\n"
        "    def on_train_epoch_end(self, trainer, pl_module):\n"
        "        import os\n"
        "        if os.environ.get('USER_STOP') and trainer.current_epoch == 0:\n"
        "            raise OSError(28, 'full', 'x')\n"
    )
    monkeypatch.setenv("USER_STOP", "1")
    typed = ["plugins=[user_net,user_stop]", *SMALL_WORLD, "model=user_net", "+callbacks.stop.name=UserStop"]
    code, _, err = call("train", *typed)
    assert code == 2, err
    from mlflow.tracking import MlflowClient

    client = MlflowClient("sqlite:///outputs/mlflow.db")
    (experiment,) = [one for one in client.search_experiments() if one.name == "ste"]
    (run,) = client.search_runs([experiment.experiment_id])
    run_id = run.info.run_id
    monkeypatch.delenv("USER_STOP")
    for name in ("user_net", "user_stop"):
        PLUGINS.pop(name)
        del sys.modules[name]
    MODELS.remove("UserNet")
    KINDS["callback"].remove("UserStop")
    code, _, err = call("train", f"resume={run_id}")
    assert code == 2
    assert "comes from the plugin user_net" in err
    code, out, err = call("train", f"resume={run_id}", "plugins=[user_net,user_stop]")
    assert code == 0, err
    assert "of 3, validation log-loss" in out


def test_a_file_that_names_a_module_does_not_import_it(folder: Path):
    (folder / "user_spy.py").write_text("raise SystemExit('imported')\n")
    values = to_dict(compose_command("train", [])) | {"plugins": ["user_spy"]}
    from ste.config import TrainSettings

    with pytest.raises(ConfigError, match=r"plugins=\[user_spy\]: a configuration file names it, and only the command"):
        load_settings(TrainSettings, values)
    origins = {"user_spy": {"distribution": "spies 1.0", "components": ["model Spy"]}}
    expected = r"the model Spy comes from the plugin user_spy of the distribution spies 1\.0, which is not imported"
    with pytest.raises(ConfigError, match=expected):
        load_settings(TrainSettings, {**values, "plugins": ["user_spy"], "origins": origins})
    with pytest.raises(ConfigError, match=r"model=x: a feature comes from the plugin user_spy, which is not imported"):
        check_needed(["user_spy"], "model=x: a feature")
    assert "user_spy" not in sys.modules


def test_a_package_ships_choices_of_every_group(folder: Path):
    package = folder / "user_pack"
    (package / "conf" / "model").mkdir(parents=True)
    (package / "conf" / "augment").mkdir()
    (package / "__init__.py").write_text(NET.format(name="PackNet"))
    (package / "conf" / "model" / "pack_net.yaml").write_text(
        "net: PackNet   # of the package\nhidden_size: 4   # units\n"
    )
    (package / "conf" / "augment" / "noisy.yaml").write_text("name: jitter   # louder\nsigma: 0.7   # of the noise\n")
    load_typed(folder, "user_pack")
    assert "pack_net" in group_choices("train", "model")
    config = to_dict(compose_command("train", ["plugins=[user_pack]", "model=pack_net", "augment=noisy"]))
    assert config["model"] == {"net": "PackNet", "hidden_size": 4}
    assert config["augment"]["sigma"] == 0.7
    page = help_page("train", ["plugins=[user_pack]", "model=pack_net"])
    assert "pack_net" in page
    assert "of the package" in page
    assert group_choices("predict", "model") == []


def load_typed(folder: Path, *modules: str) -> None:
    for module in modules:
        load_plugin(module)


def test_the_help_lists_the_choice_beside_the_module(call: Call, folder: Path):
    write_net(folder)
    code, out, _ = call("train", "--help", "plugins=[user_net]", "model=user_net")
    assert code == 0
    assert "user_net" in out
    assert "units of its layer" in out


def test_a_choice_with_the_name_of_another_is_refused(folder: Path):
    (folder / "user_x.py").write_text("")
    (folder / "user_x.yaml").write_text("net: X\n")
    other = folder / "user_y"
    (other / "conf" / "model").mkdir(parents=True)
    (other / "__init__.py").write_text("")
    (other / "conf" / "model" / "lstm.yaml").write_text("net: X\n")
    load_typed(folder, "user_x")
    assert "user_x" in group_choices("train", "model")
    load_typed(folder, "user_y")
    with pytest.raises(ConfigError, match=r"lstm\.yaml: model=lstm is .*Give the file another name"):
        group_choices("train", "model")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nraise KeyError('gone')\n", r"user_bad\.py, line 2: KeyError: 'gone'"),
        ("def f(:\n", r"user_bad\.py, line 1: SyntaxError"),
        ("\nimport no_such_module_here\n", r"user_bad\.py, line 2: ModuleNotFoundError"),
        (
            "import ste\n\n@ste.register('modle')\nclass A: ...\n",
            r"line 3: ste\.register=modle: expected one of .* Try ste\.register=model",
        ),
        (
            "import ste\n@ste.register('metric', low=0, high=1)\ndef m(examples): ...\n",
            r"line 2: metric m: expected its range and direction\. Try @ste\.register\(.metric., low=0\.0",
        ),
        (
            "import ste\n@ste.register('feature')\ndef f(x): ...\n",
            r"line 2: feature function f: no look-back; expected the number of values",
        ),
        (
            "import ste\n@ste.register('feature', lookback=3)\ndef f(x): ...\n",
            r"line 2: feature function f: argument x has no type; expected np\.ndarray for each input",
        ),
        (
            "import ste\n@ste.register('label')\nclass L: ...\n",
            r"line 2: label L: is no LabelMethod\. Expected a subclass of it, or a function of LabelRows",
        ),
        (
            "import ste\n@ste.register('label')\ndef f(): ...\n",
            r"line 2: label f: takes no argument\. Expected def f\(rows: LabelRows\) -> Labels",
        ),
        (
            "import ste\n@ste.register('loss', 'focal')\nclass A: ...\n",
            r"fit\.loss=focal: registered by ste and user_bad",
        ),
        ("import ste\n@ste.register('loss', low=1)\nclass A: ...\n", r"a component of this kind has no option low"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_message(call: Call, folder: Path, text: str, message: str):
    (folder / "user_bad.py").write_text(text)
    assert "focal" in LOSSES
    with pytest.raises(ConfigError, match=message):
        load_plugin("user_bad")
    assert "user_bad" not in PLUGINS
    code, _, err = call("train", "plugins=[user_bad]")
    assert code == 2
    assert err.count("error: ") == 1
    assert "Traceback" not in err


def test_a_module_that_is_not_there_is_named(call: Call, folder: Path):
    code, _, err = call("train", "plugins=[user_gone]")
    assert code == 2
    assert f"plugins=[user_gone]: no such module. Expected user_gone.py or a package in {folder}" in err


def test_a_net_in_the_folder_is_proposed_where_its_plugin_is_not_typed(call: Call, folder: Path):
    write_net(folder)
    code, _, err = call("train", "model=user_net")
    assert code == 2
    assert "Try plugins=[user_net] model=user_net." in err


@pytest.mark.parametrize("text", ["plugins=a,b", "plugins={a: b}", "plugins=[a-b]", "plugins=[1]", "plugins=null"])
def test_plugins_are_a_list_of_modules(text: str):
    with pytest.raises(ConfigError, match=r"expected a list of modules. Try plugins=\[my_module\]"):
        typed_plugins([text])


def test_one_plugin_needs_no_brackets():
    assert as_typed("plugins=my.module") == "plugins=[my.module]"
    assert typed_plugins(["seed=1", as_typed("plugins=my.module")]) == ["my.module"]
    assert as_typed("fit.loss_arguments.gamma=1") == "++fit.loss_arguments.gamma=1"


def test_a_plugin_of_an_installed_distribution_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "user_installed.py").write_text(LOSS)
    monkeypatch.syspath_prepend(folder)
    entry = EntryPoint("loss", "user_installed", plugins.ENTRY_POINTS)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry] if group == "ste.plugins" else [])
    monkeypatch.setattr(plugins, "_searched", False)
    plugins.load_installed_plugins()
    assert LOSSES.plugin("squares") == Plugin("user_installed")
    assert record_plugins({"fit": {"loss": "squares"}})["plugins"] == ["user_installed"]
    check_recorded({"user_installed": {"components": ["loss squares"]}})


def test_a_component_of_the_project_that_a_plugin_imports_stays_the_project_s(folder: Path):
    (folder / "user_imports.py").write_text(
        "import ste.models.mlp\nfrom ste.registry import MODELS\nassert 'MLP' in MODELS\n"
    )
    load_plugin("user_imports")
    assert MODELS.plugin("MLP") is None
    assert "plugins" not in record_plugins({"model": {"net": "MLP"}, "plugins": ["user_imports"]})


def test_a_notebook_may_define_its_component_again():
    for value in (1.0, 2.0):

        @ste.register("metric", "notebook", low=0.0, high=value, higher_is_better=True)
        def metric(examples):
            return None

    assert METRICS["notebook"].high == 2.0
    assert METRICS.plugin("notebook") == Plugin(__name__)
    with pytest.raises(ConfigError, match=r"fit\.monitor=mcc: registered by ste and test_plugins"):
        ste.register("metric", "mcc", low=-1.0, high=1.0, higher_is_better=True)(metric)
    METRICS.remove("notebook")


def test_batch_normalization_trains_where_one_example_remains(small, folder: Path):
    from runs import build_data, build_model, fit_model
    from ste.experiment.run import split_settings

    write_net(folder)
    load_plugin("user_net")
    settings, _ = small("model=lstm", "trainer.max_epochs=1")
    settings.model = {"net": "UserNet", "hidden_size": 8}
    panel = split_settings(settings).data.panel
    data = build_data(settings, panel)
    rest = len(data.datasets["train"]) - 1
    settings.data.batch_size = rest
    fitted = fit_model(settings, data, build_model(settings, data), folder)
    norm = fitted.model.net.norm
    assert int(norm.num_batches_tracked) == 1  # all but the lone example
    assert torch.isfinite(norm.running_mean).all()
    settings.train.replicas = 2
    with pytest.raises(SteError, match="BatchNorm1d cannot be stacked, so replicas of UserNet cannot be"):
        build_model(settings, data)


def test_a_package_ships_a_feature_set_and_a_label_choice(call: Call, folder: Path):
    conf = folder / "user_sets" / "conf"
    (conf / "feature_sets").mkdir(parents=True)
    (conf / "labels").mkdir()
    (conf.parent / "__init__.py").write_text("")
    (conf / "feature_sets" / "own_set.yaml").write_text("columns: [{name: x, expr: $close, unit: price}]\n")
    (conf / "labels" / "calm.yaml").write_text("# @package data.labels\nmethod: fixed\nthreshold: 0.03   # of calm\n")
    load_plugin("user_sets")
    assert load_feature_set("own_set").names == ("x",)
    assert to_dict(compose_command("train", ["labels=calm"]))["data"]["labels"]["threshold"] == 0.03
    (folder / "own_set.yaml").write_text("columns: [{name: y, expr: $close}]\n")
    with pytest.raises(ConfigError, match=r"features=own_set: there are .*conf/feature_sets/own_set.yaml and own_set"):
        load_feature_set("own_set")
    assert load_feature_set("own_set.yaml").names == ("y",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns:\n\t- name: x\n", r"mine\.yaml, line 2: starts with a tab\. Indent with spaces"),
        (
            "- name: x\n",
            r"expected `columns:`, a list of columns with name and expr\. Try python -m ste\.new feature_set",
        ),
        ("columns:\n  - 3\n", r"column 1: found 3; expected name and expr"),
        ("columns:\n  - {name: x, expr: Ref($close, 2) - 1}\n", r"Put it in quotes: expr: 'Ref\(\$close, 2\) - 1'"),
        ("columns:\n  - {name: 3, expr: $close}\n", r"expected a name of letters, .* Try name=momentum"),
        ("columns: [\n", r"mine\.yaml, line 2: is no YAML: "),
        (b"\xff\xfe\x00", r"mine\.yaml: cannot be read as text"),
    ],
)
def test_a_fault_in_a_feature_set_is_one_message(folder: Path, text: str | bytes, message: str):
    (folder / "mine.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        load_feature_set("mine.yaml")


def test_a_component_without_a_file_of_its_own_is_proposed(call: Call, folder: Path):
    (folder / "user_parts.py").write_text(
        NET.format(name="Filed") + "\n\n@ste.register('label')\ndef calm(rows):\n    return None\n"
    )
    code, _, err = call("train", "plugins=[user_parts]", "labels=calm")
    assert (code, "Try data.labels.method=calm." in err) == (2, True)
    code, _, err = call("train", "plugins=[user_parts]", "model=Filed")
    assert (code, "(net: Filed), and try model=user_parts." in err) == (2, True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1.0", "returned float; expected"),
        ("np.ones(3)", r"returned shape \[3\]"),
        ("1 / 0", r"ZeroDivisionError: .*line 9"),
    ],
)
def test_a_metric_that_returns_something_else_is_named(folder: Path, value: str, message: str):
    text = METRIC.replace("truth", "user_figure").replace(
        "examples.mean(examples.probs[np.arange(len(examples.labels)), examples.labels])", value
    )
    (folder / "user_figures.py").write_text(text)
    load_plugin("user_figures")
    examples = ScoredExamples(
        np.full((4, 3), 1 / 3), np.zeros(4, int), np.arange(4), Resampling.draw_blocks(4, 1, 5, 0), ("a", "b", "c")
    )
    with pytest.raises(ConfigError, match=rf"metric user_figure: {message}"):
        METRICS["user_figure"].compute(examples)
