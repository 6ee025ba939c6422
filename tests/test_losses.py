"""Losses against formulas of their own, with weights, soft targets, replicas and in a fit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from runs import build_data, build_model, fit_model
from ste.errors import ConfigError
from ste.experiment.model_setup import load_model
from ste.experiment.run import split_settings
from ste.training.losses.base import LossInputs
from ste.training.losses.build import build_loss

NAMES = ("cross_entropy", "focal", "ordinal")


def drawn(seed: int, rows: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=draw, dtype=torch.float64)
    return logits, torch.randint(classes, (rows,), generator=draw)


def by_hand(name: str, probs: np.ndarray, label: int) -> float:
    if name == "cross_entropy":
        return -float(np.log(probs[label]))
    if name == "focal":
        return -float((1 - probs[label]) ** 2.0 * np.log(probs[label]))
    true = np.arange(len(probs)) >= label
    return float(((np.cumsum(probs) - true)[:-1] ** 2).sum())


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(seed=st.integers(0, 1000), rows=st.integers(1, 9), classes=st.integers(2, 5), weighted=st.booleans())
def test_a_loss_is_the_weighted_mean_of_its_formula(name: str, seed: int, rows: int, classes: int, weighted: bool):
    logits, labels = drawn(seed, rows, classes)
    rng = np.random.default_rng(seed)
    of_class = rng.uniform(0.5, 2.0, classes) if weighted else np.ones(classes)
    own = rng.uniform(0.0, 2.0, rows)
    own[0] = 1.0
    loss = build_loss(name, {}, classes, of_class.tolist() if weighted else None).double()
    values = [by_hand(name, p, int(y)) for p, y in zip(logits.softmax(1).numpy(), labels, strict=True)]
    weights = of_class[labels.numpy()]
    assert float(loss(logits, labels)) == pytest.approx(np.average(values, weights=weights), rel=1e-6)
    inputs = LossInputs(torch.from_numpy(own))
    expected = np.average(np.array(values) * own, weights=weights)  # the weights of examples are not normalized
    assert float(loss(logits, labels, inputs)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@settings(max_examples=30)
@given(
    rows=st.integers(1, 6),
    classes=st.integers(2, 4),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_cross_entropy_is_pytorch_s_bit_by_bit_and_of_replicas_each_one_s(
    rows: int, classes: int, weighted: bool, smoothing: float
):
    logits = torch.randn(4, rows, classes)
    label = torch.randint(classes, (4, rows))
    weight = torch.rand(classes) + 0.1 if weighted else None
    alone = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
    loss = build_loss("cross_entropy", {}, classes, None if weight is None else weight.tolist(), smoothing)
    expected = [alone(one, own) for one, own in zip(logits, label, strict=True)]
    assert all(torch.equal(loss(x, y), e) for x, y, e in zip(logits, label, expected, strict=True))
    torch.testing.assert_close(loss(logits, label), torch.stack(expected))
    soft = torch.rand(rows, classes).softmax(1)
    assert torch.equal(loss(logits[0], soft), alone(logits[0], soft))


@pytest.mark.parametrize("name", NAMES)
def test_the_losses_of_replicas_are_those_of_each(name: str):
    loss = build_loss(name, {}, 3, [1.0, 2.0, 0.5], 0.1)
    logits, labels, weight = torch.randn(3, 8, 3), torch.randint(3, (3, 8)), torch.rand(3, 8)
    together = loss(logits, labels, LossInputs(weight))
    alone = [loss(x, y, LossInputs(w)) for x, y, w in zip(logits, labels, weight, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))


def test_focal_without_gamma_is_cross_entropy_and_ordinal_counts_the_distance():
    logits, labels = drawn(0, 50, 3)
    focal, cross = build_loss("focal", {"gamma": 0}, 3), build_loss("cross_entropy", {}, 3)
    torch.testing.assert_close(focal(logits, labels), cross(logits, labels))
    sure = torch.tensor([[50.0, 0.0, 0.0]])
    ordinal = build_loss("ordinal", {}, 3)
    values = [float(ordinal(sure, torch.tensor([label]))) for label in range(3)]
    assert values == pytest.approx([0.0, 1.0, 2.0])


@pytest.mark.parametrize("probs", [(0.2, 0.5, 0.3), (0.6, 0.1, 0.3)])
def test_the_ordinal_loss_is_proper(probs: tuple[float, ...]):
    true = torch.tensor(probs, dtype=torch.float64)
    ordinal = build_loss("ordinal", {}, 3).double()
    best = float(ordinal(true.log()[None], true[None]))
    labels = torch.arange(3)

    def expected(logits: torch.Tensor) -> torch.Tensor:
        return (true * ordinal.values(logits.expand(3, 3), labels)).sum()

    logits = true.log().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(expected(logits), logits)
    assert best == pytest.approx(0.0)
    torch.testing.assert_close(gradient, torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("focall", {}, r"fit\.loss=focall: expected one of cross_entropy, focal, .*\. Try fit\.loss=focal"),
        ("focal", {"gamma": -1}, r"fit\.loss_arguments\.gamma=-1: expected a number of 0 or more"),
        ("focal", {"gama": 1}, r"fit\.loss_arguments\..*unexpected keyword argument 'gama'"),
    ],
)
def test_a_loss_that_cannot_be_built_is_one_message(name: str, arguments: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        build_loss(name, arguments, 3)


@pytest.mark.parametrize("name", ["focal", "ordinal"])
def test_a_net_and_its_replicas_train_with_any_loss(small, folder, name: str):
    figures = []
    for replicas in (1, 2):
        overrides = ["model=mlp", f"fit.loss={name}", "fit.class_weights=true", f"train.replicas={replicas}"]
        run, _ = small(*overrides, "model.dropout=0.0", "trainer.gradient_clip_val=null")
        data = build_data(run, split_settings(run).data.panel)
        fitted = fit_model(run, data, build_model(run, data), folder / f"{name}{replicas}")
        again = load_model(fitted.checkpoint)
        assert again.hparams["loss"] == name
        weights = fitted.model.net.state_dict()["head.weight"]
        figures.append(weights if replicas == 1 else weights[0])
        x = data.datasets["test"][torch.arange(4)].features
        torch.testing.assert_close(again.probabilities(x), fitted.model.probabilities(x))
    torch.testing.assert_close(figures[0], figures[1], atol=1e-4, rtol=1e-3)


def test_a_baseline_has_no_loss(small):
    with pytest.raises(ConfigError, match=r"fit\.loss=focal: Logistic is a baseline, which has its own objective"):
        small("model=logistic", "fit.loss=focal")
