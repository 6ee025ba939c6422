"""Estimators of scikit-learn as models: import paths, arguments, trusted states and ONNX."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from conftest import SMALL_WORLD, Call
from plugin_files import forgotten_plugins
from runs import build_data, build_model, fit_model
from ste.baselines.estimator import Estimator
from ste.baselines.trusted_types import check_trees
from ste.errors import ConfigError, RunError
from ste.experiment.model_setup import load_model
from ste.experiment.run import split_settings
from ste.inference.onnx_model import ServedModel
from ste.plugins import load_plugin

FOREST = ["model=sklearn", "++model.arguments.n_estimators=12", "++model.arguments.max_depth=4"]


def test_a_forest_is_trained_stored_scored_again_and_exported(call: Call, folder: Path):
    code, out, err = call("train", *SMALL_WORLD, *FOREST, "++model.arguments.n_estimators=3")
    assert code == 0, err
    assert "RandomForestClassifier: " in out
    code, out, err = call("evaluate")
    assert (code, out.splitlines()[-1]) == (0, "the same figures as tracked, to the last digit"), err
    code, out, err = call("export", "run=latest", "register=false")
    assert code == 0, err
    assert ServedModel(folder / "model.onnx").card.name == "RandomForestClassifier"


@pytest.mark.parametrize("inputs", ["window", "last"])
def test_it_predicts_what_scikit_learn_predicts(small, folder: Path, inputs: str):
    settings, _ = small(*FOREST, f"model.inputs={inputs}", "seed=5")
    data = build_data(settings, split_settings(settings).data.panel)
    model = build_model(settings, data)
    fitted = fit_model(settings, data, model, folder)
    train, test = data.datasets["train"], data.datasets["test"]

    def table(dataset) -> np.ndarray:
        features = model.representation(dataset[torch.arange(len(dataset))].features).numpy().astype(np.float64)
        return features[:, -1] if inputs == "last" else features.reshape(len(features), -1)

    x = table(train)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-12] = 1.0
    forest = RandomForestClassifier(n_estimators=12, max_depth=4, random_state=5)
    forest.fit((x - mean) / scale, train.labels.numpy())
    expected = forest.predict_proba((table(test) - mean) / scale)
    found = load_model(fitted.checkpoint).predict_proba(data, "test")
    np.testing.assert_allclose(found, expected, atol=0.02)  # a split at a rounded value may go the other way
    assert np.isclose(found, expected, atol=1e-9).mean() > 0.95
    assert fitted.parameters == sum(tree.tree_.node_count for tree in model.baseline.pipeline[-1].estimators_)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.estimator=os.system"], r"only scikit-learn and the plugins of the command line are imported"),
        (["model.estimator=sklearn.ensemble.RandomForest"], r"no estimator RandomForest\. It has .*RandomForestClass"),
        (["model.estimator=sklearn.base.os"], r"sklearn\.base has no estimator os"),
        (["model.estimator=sklearn._config.set_config"], r"expected the import path of a class"),
        (["model.estimator=sklearn.gone.Model"], r"No module named 'sklearn\.gone'"),
        (["model.estimator=sklearn.svm.LinearSVC"], r"it predicts no probabilities .*\(predict_proba\)"),
        (["model.inputs=first"], r"model\.inputs=first: expected window or last"),
        (["++model.arguments.max_dept=3"], r"model\.arguments\.max_dept: RandomForestClassifier has no such argument"),
    ],
)
def test_what_is_no_classifier_is_refused(small, overrides: list[str], message: str):
    settings, _ = small("model=sklearn", *overrides)
    data = build_data(settings, split_settings(settings).data.panel)
    with pytest.raises(ConfigError, match=message):
        build_model(settings, data)


def test_a_class_of_a_plugin_needs_the_plugin_again_to_be_loaded(small, folder: Path):
    (folder / "user_forest.py").write_text(
        "from sklearn.naive_bayes import GaussianNB\n\n\nclass Bayes(GaussianNB):\n    pass\n"
    )
    settings, _ = small("model=sklearn", "model.estimator=user_forest.Bayes")
    data = build_data(settings, split_settings(settings).data.panel)
    with pytest.raises(ConfigError, match=r"Try plugins=\[user_forest\]"):
        build_model(settings, data)
    with forgotten_plugins():
        load_plugin("user_forest")
        fitted = fit_model(settings, data, build_model(settings, data), folder)
        load_model(fitted.checkpoint)
    with pytest.raises(ConfigError, match=r"Try plugins=\[user_forest\]"):
        load_model(fitted.checkpoint)


class Tree:
    """The nodes of a damaged tree, under the name of scikit-learn's class."""

    def __init__(self, left: list[int], right: list[int], feature: list[int]) -> None:
        self.n_features = 2
        kinds = [("left_child", "i8"), ("right_child", "i8"), ("feature", "i8")]
        self.nodes = np.array(list(zip(left, right, feature, strict=True)), dtype=kinds)

    def __getstate__(self):
        return {"nodes": self.nodes}


@pytest.mark.parametrize(
    ("left", "right", "feature"),
    [([0, -1], [1, -1], [0, -2]), ([1, -1], [9, -1], [0, -2]), ([1, -1, -1], [2, -1, -1], [2, -2, -2])],
    ids=["a loop", "a node beyond the end", "a feature that is not there"],
)
def test_a_damaged_tree_is_refused(left: list[int], right: list[int], feature: list[int]):
    check_trees([Tree([1, -1, -1], [2, -1, -1], [1, -2, -2])], "forest")
    with pytest.raises(RunError, match="forest: a tree of its checkpoint is damaged"):
        check_trees({"inside": [Tree(left, right, feature)]}, "forest")


def test_the_state_of_other_types_is_not_trusted():
    assert Estimator().accepts("sklearn.tree._tree.Tree")
    assert not Estimator().accepts("os.system")
    assert not Estimator().accepts("sklearn.metrics._dist_metrics.EuclideanDistance64")
