"""Adversarial training of every net: the perturbation, the objective, and that off is off."""

import re
import warnings
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from feature_sets import FEATURES, FORMS
from runs import compose_values
from ste.config import TrainSettings
from ste.config.load import load_settings, model_configs
from ste.config.run_settings import FitSettings
from ste.data.window_dataset import Batch
from ste.errors import ConfigError
from ste.evaluation.epoch_metrics import Step
from ste.registry import MODELS
from ste.training.adversarial import perturbation
from ste.training.module import TrendModule

T, F, C = 4, len(FEATURES), 3
NETS = list(MODELS)


class Before(TrendModule):
    """The training step without adversarial training."""

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        logits = self(batch.features, batch.group)
        loss = self.loss(logits, batch.label)
        self.train_metrics.update([Step(loss.detach(), logits.detach(), batch.label)])
        return loss


def module(net: str, kind: type[TrendModule] = TrendModule, **more: Any) -> TrendModule:
    arguments = next(dict(config) for config in model_configs().values() if config.get("net") == net)
    arguments = {key: value for key, value in arguments.items() if key != "net" and value is not None}
    torch.manual_seed(0)
    return kind(
        net=net,
        net_arguments=arguments | {"num_classes": C},
        forms=FORMS,
        representation="standard",
        optimizer={"name": "adam", "lr": 1e-2, "weight_decay": 0.0, "momentum": 0.0},
        scheduler={"name": "none"},
        **more,
    )


def batches(net: str, n: int = 48, size: int = 16) -> list[Batch]:
    """Labels that the first feature of the last week tells."""
    x = torch.randn((n, T, F), generator=torch.Generator().manual_seed(1))
    y = torch.bucketize(x[:, -1, 0].contiguous(), torch.tensor([-0.4, 0.4]))
    x = x if MODELS[net].input_view == "sequence" else x[:, -1]
    dates = torch.arange(n) // 4 if MODELS[net].sees_market else None
    groups = [None] * (n // size) if dates is None else dates.split(size)
    return [
        Batch(x[i : i + size], y[i : i + size], group=group) for i, group in zip(range(0, n, size), groups, strict=True)
    ]


def fitted(trained: TrendModule, net: str, epochs: int = 3, precision: str = "32-true") -> TrendModule:
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        precision=precision,
        deterministic=True,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, of a fit without validation
        trainer.fit(trained, DataLoader(batches(net), batch_size=None))
    return trained


def same_weights(one: TrendModule, other: TrendModule) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def softmax_gradient(weight: np.ndarray, bias: np.ndarray, latent: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Of each row's cross-entropy under a linear layer, in closed form: `W' (softmax(W e + b) - onehot)`."""
    logits = latent @ weight.T + bias
    probs = np.exp(logits - logits.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    return (probs - np.eye(len(bias))[label]) @ weight


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 40),
    width=st.integers(1, 12),
    classes=st.integers(2, 4),
    size=st.floats(1e-3, 10.0),
)
def test_each_row_moves_by_epsilon_along_its_gradient(seed: int, rows: int, width: int, classes: int, size: float):
    draw = torch.Generator().manual_seed(seed)
    layer = torch.nn.Linear(width, classes).double()
    latent = torch.randn((rows, width), generator=draw, dtype=torch.float64)
    label = torch.randint(classes, (rows,), generator=draw)
    step = perturbation(lambda e, y: cross_entropy(layer(e), y), latent, label, size).numpy()
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    gradient = softmax_gradient(weight, bias, latent.numpy(), label.numpy())
    assert np.linalg.norm(step, axis=1) == pytest.approx(np.full(rows, size))
    np.testing.assert_allclose(step, size * gradient / np.linalg.norm(gradient, axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("net", NETS)
def test_the_loss_rises_by_epsilon_times_the_gradients_norm(net: str):
    model = module(net).double().eval()
    batch = batches(net)[0]
    latent = model.net.latent(*model.inputs(batch.features.double(), batch.group)).detach().requires_grad_()

    def losses(e: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return cross_entropy(model.net.classify(e), y, reduction="none")

    (gradient,) = torch.autograd.grad(losses(latent, batch.label).sum(), latent)
    size = 1e-5
    step = perturbation(lambda e, y: losses(e, y).mean(), latent, batch.label, size)
    rise = losses(latent + step, batch.label) - losses(latent, batch.label)
    torch.testing.assert_close(rise, size * gradient.norm(dim=1), rtol=1e-3, atol=0.0)


def test_the_perturbation_is_a_constant_and_leaves_no_gradient_behind():
    layer = torch.nn.Linear(5, C)
    latent = torch.randn(4, 5, requires_grad=True)
    step = perturbation(lambda e, y: cross_entropy(layer(e), y), latent, torch.tensor([0, 1, 2, 0]), 0.1)
    assert not step.requires_grad
    assert latent.grad is None
    assert layer.weight.grad is None


def test_where_the_loss_is_flat_nothing_moves():
    layer = torch.nn.Linear(5, C)
    torch.nn.init.zeros_(layer.weight)
    step = perturbation(lambda e, y: cross_entropy(layer(e), y), torch.randn(4, 5), torch.tensor([0, 1, 2, 0]), 0.1)
    assert torch.equal(step, torch.zeros(4, 5))


def test_a_sure_example_in_a_large_batch_moves_as_it_does_alone():
    layer = torch.nn.Linear(5, C).double()
    layer.bias.data = torch.tensor([20.0, 0.0, 0.0], dtype=torch.float64)
    latent, label = torch.randn(50_000, 5, dtype=torch.float64), torch.zeros(50_000, dtype=torch.int64)

    def step(rows: int) -> torch.Tensor:
        return perturbation(lambda e, y: cross_entropy(layer(e), y), latent[:rows], label[:rows], 0.1)

    torch.testing.assert_close(step(50_000)[:1], step(1))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("more", [{}, {"class_weights": [0.5, 1.0, 2.0], "label_smoothing": 0.1}])
def test_the_objective_is_the_papers(net: str, more: dict[str, Any]):
    model = module(net, adversarial_weight=0.3, adversarial_size=0.2, **more).eval()
    batch = batches(net)[0]
    objective = model.training_step(batch, 0)
    objective.backward()
    found = [p.grad.clone() for p in model.net.parameters()]

    model.zero_grad()
    weight = torch.tensor(more.get("class_weights", [1.0] * C))

    def loss(e: torch.Tensor) -> torch.Tensor:
        smoothing = more.get("label_smoothing", 0.0)
        return cross_entropy(model.net.classify(e), batch.label, weight=weight, label_smoothing=smoothing)

    latent = model.net.latent(*model.inputs(model.representation(batch.features), batch.group))
    (gradient,) = torch.autograd.grad(loss(latent), latent, retain_graph=True)
    step = torch.stack([0.2 * row / row.norm() for row in gradient]).detach()
    expected = loss(latent) + 0.3 * loss(latent + step)
    expected.backward()
    torch.testing.assert_close(objective, expected)
    torch.testing.assert_close(found, [p.grad for p in model.net.parameters()], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed"])
@pytest.mark.parametrize("net", NETS)
def test_off_is_bit_for_bit_what_it_was(net: str, precision: str):
    before, off = (fitted(module(net, kind=kind), net, precision=precision) for kind in (Before, TrendModule))
    assert same_weights(before, off)
    assert [e["train/loss"] for e in before.history] == [e["train/loss"] for e in off.history]
    assert not same_weights(before, module(net))


@pytest.mark.parametrize("net", NETS)
def test_on_changes_the_weights_and_repeats(net: str):
    on = {"adversarial_weight": 0.5, "adversarial_size": 0.1}
    trained = fitted(module(net, **on), net)
    assert not same_weights(trained, fitted(module(net), net))
    assert same_weights(trained, fitted(module(net, **on), net))


@pytest.mark.parametrize("net", NETS)
def test_it_learns(net: str):
    history = fitted(module(net, adversarial_weight=0.5, adversarial_size=0.1), net, epochs=25).history
    assert history[-1]["train/loss"] < 0.6 * history[0]["train/loss"]
    assert history[-1]["train/accuracy"] > 0.8


def test_the_training_curve_is_of_the_clean_loss():
    clean, adversarial = module("MLP").eval(), module("MLP", adversarial_weight=5.0).eval()
    for model in (clean, adversarial):
        model.training_step(batches("MLP")[0], 0)
        model._update_train_metrics()
    assert clean.train_metrics.compute() == adversarial.train_metrics.compute()


def test_it_trains_in_mixed_precision():
    history = fitted(module("SimpleGRU", adversarial_weight=0.5), "SimpleGRU", precision="bf16-mixed").history
    assert history[-1]["train/loss"] < history[0]["train/loss"]


def test_double_precision_stays_double():
    on = module("SimpleGRU", adversarial_weight=0.5).double()
    batch = batches("SimpleGRU")[0]
    loss = on.training_step(batch._replace(features=batch.features.double()), 0)
    loss.backward()
    assert loss.dtype == torch.float64
    assert all(p.grad.dtype == torch.float64 for p in on.net.parameters())


def test_a_small_step_is_not_lost_in_sixteen_bits():
    layer = torch.nn.Linear(5, C).bfloat16()
    latent = torch.full((1, 5), 3.0, dtype=torch.bfloat16)
    step = perturbation(lambda e, y: cross_entropy(layer(e.bfloat16()).float(), y), latent, torch.tensor([1]), 1e-3)
    assert step.norm().item() == pytest.approx(1e-3, rel=1e-5)
    assert (latent + step).dtype == torch.float32


def test_a_checkpoint_from_before_is_read_as_off():
    arguments = {k: v for k, v in module("MLP").hparams.items() if not k.startswith("adversarial")}
    assert TrendModule(**arguments).hparams["adversarial_weight"] == 0.0


def test_settings_reach_the_command_line():
    fit = load_settings(TrainSettings, compose_values("fit.adversarial_weight=0.01", "fit.adversarial_size=0.1")).fit
    assert (fit.adversarial_weight, fit.adversarial_size) == (0.01, 0.1)
    assert load_settings(TrainSettings, compose_values()).fit == FitSettings()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fit.adversarial_weight=-1", "fit.adversarial_weight=-1: expected a finite number, 0 or more."),
        ("fit.adversarial_weight=inf", "fit.adversarial_weight=inf: expected a finite number, 0 or more."),
        ("fit.adversarial_size=0", "fit.adversarial_size=0: expected a finite number above 0. Try"),
        ("fit.adversarial_size=nan", "fit.adversarial_size=nan: expected a finite number above 0."),
        ("fit.adversarial_size=big", "fit.adversarial_size=big: expected a finite number above 0"),
    ],
)
def test_settings_that_cannot_be_used_are_told(override: str, message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_settings(TrainSettings, compose_values(override))
