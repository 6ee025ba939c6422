"""Weights of training examples: their definition, and their way into the loss and the baselines."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from feature_sets import FORMS
from ste.baselines.examples import SplitExamples
from ste.baselines.linear import Logistic
from ste.baselines.naive import Majority
from ste.baselines.sklearn_baseline import SklearnBaseline
from ste.config import LabelSettings, SyntheticSettings, TrainSettings
from ste.config.load import compose_command, load_settings
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.data.window_dataset import Batch, JoinedDataset
from ste.errors import ConfigError
from ste.features.normalization import Normalizer
from ste.labels.weights import age_weights, average_uniqueness, example_weights
from ste.training.fit import fit_net
from ste.training.losses.base import LossInputs
from ste.training.losses.cross_entropy import CrossEntropy
from ste.training.module import TrendModule


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 20), st.integers(1, 6)), min_size=1, max_size=30, unique_by=lambda row: row[:2]))  # fmt: skip # noqa: E501
def test_uniqueness_is_the_mean_share_of_a_label_in_its_periods(rows) -> None:
    ticker, period, span = (np.array(column) for column in zip(*rows, strict=True))
    found = average_uniqueness(ticker, period, period + span)
    for row, (own, start, length) in enumerate(rows):
        shares = []
        for week in range(start + 1, start + length + 1):
            active = sum(t == own and s < week <= s + n for t, s, n in rows)
            shares.append(1 / active)
        assert found[row] == pytest.approx(np.mean(shares))
    assert ((found > 0) & (found <= 1 + 1e-12)).all()


def test_labels_of_one_period_are_all_unique_and_old_ones_weigh_less() -> None:
    period = np.arange(10)
    assert average_uniqueness(np.zeros(10, dtype=int), period, period + 1) == pytest.approx(np.ones(10))
    overlapping = average_uniqueness(np.zeros(10, dtype=int), period, period + 4)
    assert overlapping[5] == pytest.approx(1 / 4)
    assert overlapping[-1] == pytest.approx((1 / 4 + 1 / 3 + 1 / 2 + 1) / 4)
    np.testing.assert_allclose(age_weights(np.array([8, 4, 0]), 4.0), [1.0, 0.5, 0.25])
    both = example_weights("both", 4.0, np.zeros(3, dtype=int), np.array([8, 4, 0]), np.array([9, 5, 1]))
    np.testing.assert_allclose(both, np.array([1.0, 0.5, 0.25]) / np.mean([1.0, 0.5, 0.25]))
    assert example_weights("none", 4.0, period, period, period) is None


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> TrendDataModule:
    labels = LabelSettings(method="triple_barrier", horizon=4, weights="both", half_life=20.0)
    chosen = SyntheticSettings(source="world", tickers=3, start="2019-01-01", end="2021-12-31", labels=labels)
    return TrendDataModule(Panel.read(prepare(chosen, tmp_path_factory.mktemp("weights")), chosen), "sequence")


def test_training_examples_alone_have_weights_of_mean_one(weighted: TrendDataModule) -> None:
    train = weighted.datasets["train"]
    store, ends = train.store, train.ends.numpy()
    assert train.weights is not None
    assert float(train.weights.mean()) == pytest.approx(1.0, abs=1e-6)
    unique = average_uniqueness(store.columns.ticker[ends], store.period[ends], store.label_end[ends])
    expected = unique * 0.5 ** ((store.period[ends].max() - store.period[ends]) / 20.0)
    np.testing.assert_allclose(train.weights, expected / expected.mean(), rtol=1e-5)
    assert weighted.datasets["validation"].weights is None
    seen = list(weighted.train_dataloader())
    assert sum(len(batch.weight) for batch in seen) == len(train)
    assert sum(float(batch.weight.sum()) for batch in seen) == pytest.approx(len(train), rel=1e-5)
    assert all(batch.weight is None for batch in weighted.val_dataloader())
    joined = JoinedDataset(train, weighted.datasets["validation"])[torch.tensor([0, len(train), 1])]
    np.testing.assert_allclose(joined.weight, [train.weights[0], 1.0, train.weights[1]])


def test_without_weights_batches_have_none(weighted: TrendDataModule) -> None:
    panel = weighted.panel
    plain = replace(panel, settings=replace(panel.settings, labels=replace(panel.settings.labels, weights="none")))
    assert all(batch.weight is None for batch in TrendDataModule(plain, "flat").train_dataloader())
    assert Batch(torch.zeros(1), torch.zeros(1)).weight is None


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("classes", [None, torch.tensor([0.5, 1.0, 2.5])])
def test_a_weight_counts_as_so_many_examples(smoothing: float, classes: torch.Tensor | None) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    one = nn.CrossEntropyLoss(weight=classes, label_smoothing=smoothing)
    loss = CrossEntropy()
    loss.set_up(3, None if classes is None else classes.tolist(), smoothing)
    same = loss(logits, target, LossInputs(torch.ones(6)))
    torch.testing.assert_close(same, one(logits, target))
    counts = torch.tensor([3, 1, 0, 1, 1, 0])
    repeated = torch.repeat_interleave(torch.arange(6), counts)
    found = loss(logits, target, LossInputs(counts.float()))
    if classes is None:
        torch.testing.assert_close(found, one(logits[repeated], target[repeated]))
    replicas = loss(logits[None], target[None], LossInputs(counts.float()[None]))
    torch.testing.assert_close(replicas, found[None])
    torch.testing.assert_close(loss(logits[None], target[None])[0], same)
    fractions = torch.softmax(torch.randn(6, 3), dim=1)
    soft = loss(logits, fractions, LossInputs(torch.ones(6)))
    torch.testing.assert_close(soft, one(logits, fractions))


def test_baselines_take_the_weights_or_refuse_them(weighted: TrendDataModule) -> None:
    scale = Normalizer(FORMS, "stationary")
    scale.fit(weighted.training_chunks)
    train, validation = (SplitExamples.from_split(weighted, name, scale) for name in ("train", "validation"))
    majority = Majority()
    majority.fit(train, validation, 0)
    own = np.array([train.weights[train.labels == k].sum() for k in range(3)])
    np.testing.assert_allclose(majority.frequencies, own / own.sum())
    logistic = Logistic()
    logistic.fit(train, validation, 0)
    x = (train.table("last") - logistic.mean) / logistic.scale
    expected = LogisticRegression(C=1.0, max_iter=300).fit(x, train.labels, sample_weight=train.weights)
    np.testing.assert_allclose(logistic.weights, expected.coef_.T, atol=2e-3)
    with pytest.raises(ConfigError, match=r"KNeighborsClassifier cannot weigh examples. Try data.labels.weights=none"):
        SklearnBaseline(KNeighborsClassifier()).fit(train, validation, 0)


def test_a_net_learns_the_class_of_the_examples_that_count(weighted: TrendDataModule, tmp_path: Path) -> None:
    """Examples of one class alone have a weight, so that the net predicts that class everywhere."""
    overrides = ["model=mlp", "trainer.max_epochs=6", "optimizer.lr=0.01", "data.labels.weights=age", "tracking=off"]
    chosen = load_settings(TrainSettings, compose_command("train", overrides))
    assert (chosen.data.labels.weights, chosen.data.labels.half_life) == ("age", 104)
    data = TrendDataModule(weighted.panel, "flat")
    train = data.datasets["train"]
    train.weight = (train.store.label == 0).float() * 3
    module = TrendModule(
        net="MLP",
        net_arguments={"input_size": data.dims.input_size, "num_classes": 3, "hidden_size": 8},
        forms=FORMS,
        representation="stationary",
        optimizer=asdict(chosen.optimizer),
        scheduler=asdict(chosen.scheduler),
        adversarial_weight=0.1,
    )
    module.representation.fit(data.training_chunks)
    fit_net(module, data, tmp_path, chosen.trainer, [], [])
    predicted = module.probabilities(train[torch.arange(len(train))].features)
    assert (predicted.argmax(dim=1) == 0).float().mean() > 0.99
    assert not (train.labels == 0).all()
