"""One suite that every net passes, whatever it is; a new net needs no new test."""

import warnings
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

import ste.models
from ste.config import model_configs
from ste.models import DualTowerModel, SimpleLSTM
from ste.schema import FEATURES
from ste.training.module import TrendModule, build_net

T, F, C = 4, len(FEATURES), 3
NETS = {name: {k: v for k, v in config.items() if v is not None} for name, config in model_configs().items()}


def example(net: type, n: int, seed: int = 0) -> torch.Tensor:
    shape = (n, T, F) if net.input_view == "sequence" else (n, F)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=sorted(NETS))
def net(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    arguments = dict(NETS[request.param])
    return build_net(arguments.pop("net"), arguments)


def module(net: torch.nn.Module) -> TrendModule:
    arguments = next(dict(a) for a in NETS.values() if a["net"] == type(net).__name__)
    arguments.pop("net")
    return TrendModule(
        net=type(net).__name__,
        net_arguments=arguments | {"num_classes": C},
        columns=list(FEATURES),
        representation="standard",
        optimizer={"name": "adam", "lr": 1e-2, "weight_decay": 0.0, "momentum": 0.0},
        scheduler={"name": "none"},
    )


@pytest.mark.parametrize("n", [1, 4, 33])
def test_logits_have_a_row_per_example(net: torch.nn.Module, n: int):
    assert net(example(type(net), n)).shape == (n, C)


def test_an_example_does_not_depend_on_its_batch(net: torch.nn.Module):
    x = example(type(net), 6)
    net.eval()
    torch.testing.assert_close(net(x)[2:3], net(x[2:3]))


def test_every_parameter_learns(net: torch.nn.Module):
    net(example(type(net), 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_every_feature_is_read(net: torch.nn.Module):
    x = example(type(net), 16).requires_grad_()
    net(x)[:, 0].sum().backward()
    assert (x.grad.abs().reshape(-1, F).sum(0) > 0).all()


def test_eight_examples_can_be_learnt_by_heart(net: torch.nn.Module):
    x, y = example(type(net), 8), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    assert (net(x).argmax(1) == y).all()
    assert loss < 0.1


def test_a_checkpoint_alone_gives_the_same_probabilities(net: torch.nn.Module, tmp_path: Path):
    model = module(net)
    x = example(type(net), 5) * 3 + 1
    model.representation.fit(lambda: [x])
    trainer = pl.Trainer(
        max_epochs=0, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit of no epochs, only to attach the trainer
        trainer.fit(model, train_dataloaders=[x])
    trainer.save_checkpoint(tmp_path / "m.ckpt")
    again = TrendModule.load_from_checkpoint(tmp_path / "m.ckpt", weights_only=True)
    assert torch.equal(model.eval().probabilities(x), again.eval().probabilities(x))
    assert dict(again.hparams) == dict(model.hparams)


def test_probabilities_sum_to_one(net: torch.nn.Module):
    chances = module(net).eval().probabilities(example(type(net), 9))
    torch.testing.assert_close(chances.sum(1), torch.ones(9))
    assert (chances > 0).all()


def test_dropout_is_off_in_evaluation(net: torch.nn.Module):
    noisy = type(net)(dropout=0.5).eval()
    x = example(type(net), 4)
    assert torch.equal(noisy(x), noisy(x))


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_an_impossible_dropout_is_refused(net: torch.nn.Module, dropout: float):
    with pytest.raises(ValueError, match="dropout="):
        type(net)(dropout=dropout)


def test_the_seed_documents_sizes():
    def count(net: torch.nn.Module) -> int:
        return sum(p.numel() for p in net.parameters())

    assert count(SimpleLSTM(input_size=21, hidden_size=64, num_layers=2, num_classes=3)) == 57_731
    ours = DualTowerModel(input_size=21, tower_hidden_size=32, hidden_size=16, num_classes=3)
    assert count(ours) == count(DualTowerModel(stock_size=11)) == 2_371


def test_an_lstm_reads_the_order_of_weeks():
    torch.manual_seed(0)
    net, x = SimpleLSTM(), example(SimpleLSTM, 3)
    assert not torch.allclose(net(x), net(x.flip(1)))


def test_the_towers_see_their_own_columns_only():
    torch.manual_seed(0)
    net, x = DualTowerModel(stock_size=11), example(DualTowerModel, 1)
    changed = x.clone()
    changed[:, 11:] += 1.0
    assert torch.equal(net.stock_tower(x[:, :11]), net.stock_tower(changed[:, :11]))
    assert not torch.equal(net(x), net(changed))


def test_the_public_names_are_nets():
    for name in ste.models.__all__:
        assert issubclass(getattr(ste.models, name), torch.nn.Module)
        assert getattr(ste.models, name).input_view in ("sequence", "flat")
