"""One suite that every net passes, whatever it is; a new net needs no new test."""

import math
import warnings
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from feature_sets import FEATURES, FORMS
from net_inputs import net_inputs
from ste.config.load import model_configs
from ste.models.alstm import AttentiveLSTM
from ste.models.dual_tower import DualTowerModel
from ste.models.gru import SimpleGRU
from ste.models.lstm import SimpleLSTM
from ste.models.market_attention import MarketAttention
from ste.models.mlp import MLP
from ste.models.tcn import TCN
from ste.models.transformer import TransformerClassifier, _positions
from ste.registry import MODELS
from ste.training.module import TrendModule

T, F, C = 4, len(FEATURES), 3
NETS = {
    name: {k: v for k, v in config.items() if v is not None}
    for name, config in model_configs().items()
    if config.get("net") in MODELS
}
SEQUENCE_NETS = [MODELS[name] for name in MODELS if name not in ("MLP", "DualTowerModel")]


def example(net: type, n: int, weeks: int = T, features: int = F, seed: int = 0) -> torch.Tensor:
    shape = (n, weeks, features) if net.input_view == "sequence" else (n, features)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=sorted(NETS))
def net(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    arguments = dict(NETS[request.param])
    return MODELS.build(arguments.pop("net"), arguments)


def module(net: torch.nn.Module) -> TrendModule:
    arguments = next(dict(a) for a in NETS.values() if a["net"] == type(net).__name__)
    arguments.pop("net")
    return TrendModule(
        net=type(net).__name__,
        net_arguments=arguments | {"num_classes": C},
        forms=FORMS,
        representation="standard",
        optimizer={"name": "adam", "lr": 1e-2, "weight_decay": 0.0, "momentum": 0.0},
        scheduler={"name": "none"},
    )


@pytest.mark.parametrize("n", [1, 4, 33])
@pytest.mark.parametrize("weeks", [1, 4, 10])
def test_logits_have_a_row_per_example(net: torch.nn.Module, n: int, weeks: int):
    assert net(*net_inputs(net, example(type(net), n, weeks))).shape == (n, C)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_classes_and_features_are_the_datas(net: torch.nn.Module, classes: int):
    other = type(net)(num_classes=classes, input_size=11)
    assert other(*net_inputs(net, example(type(net), 4, weeks=15, features=11))).shape == (4, classes)


def test_a_net_is_its_last_linear_layer_on_its_latent_representation(net: torch.nn.Module):
    net.eval()
    x = net_inputs(net, example(type(net), 5))
    latent = net.latent(*x)
    assert latent.dim() == 2
    assert len(latent) == 5
    assert torch.equal(net(*x), net.classify(latent))
    last = [module for module in net.modules() if isinstance(module, torch.nn.Linear)][-1]
    assert latent.shape[1] == last.in_features
    torch.testing.assert_close(net(*x), latent @ last.weight.T + last.bias)


def test_the_same_seed_gives_the_same_net(net: torch.nn.Module):
    def gradients() -> list[torch.Tensor]:
        torch.manual_seed(3)
        again = type(net)()
        again(*net_inputs(net, example(type(net), 7))).square().sum().backward()
        return [p.grad for p in again.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(gradients(), gradients(), strict=True))


def test_a_net_becomes_one_graph_for_batches_of_any_size(net: torch.nn.Module):
    x = example(type(net), 6)
    net.eval()
    inputs = [net_inputs(net, x[:n]) for n in (4, 6, 1)]
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how torch keeps the weights of its recurrent layers
        graph = torch.export.export(net, inputs[0], dynamic_shapes=({0: batch},) * len(inputs[0])).module()
    for one in inputs[1:]:
        torch.testing.assert_close(graph(*one), net(*one))


def test_an_example_does_not_depend_on_its_batch(net: torch.nn.Module):
    x = example(type(net), 6)
    net.eval()
    torch.testing.assert_close(net(*net_inputs(net, x, apart=True))[2:3], net(*net_inputs(net, x[2:3])))


def test_every_parameter_learns(net: torch.nn.Module):
    net(*net_inputs(net, example(type(net), 16))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_every_feature_is_read(net: torch.nn.Module):
    x = example(type(net), 16).requires_grad_()
    net(*net_inputs(net, x))[:, 0].sum().backward()
    assert (x.grad.abs().reshape(-1, F).sum(0) > 0).all()


def test_eight_examples_can_be_learnt_by_heart(net: torch.nn.Module):
    x, y = net_inputs(net, example(type(net), 8)), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(*x), y).backward()
        optimizer.step()
    net.eval()
    assert torch.nn.functional.cross_entropy(net(*x), y) < 0.1
    assert (net(*x).argmax(1) == y).all()


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
    inputs = net_inputs(net, x)
    assert torch.equal(model.eval().probabilities(*inputs), again.eval().probabilities(*inputs))
    assert dict(again.hparams) == dict(model.hparams)


def test_probabilities_sum_to_one(net: torch.nn.Module):
    probs = module(net).eval().probabilities(*net_inputs(net, example(type(net), 9)))
    torch.testing.assert_close(probs.sum(1), torch.ones(9))
    assert (probs > 0).all()


def test_dropout_is_off_in_evaluation(net: torch.nn.Module):
    noisy = type(net)(dropout=0.5).eval()
    x = net_inputs(net, example(type(net), 4))
    assert torch.equal(noisy(*x), noisy(*x))


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_an_impossible_dropout_is_refused(net: torch.nn.Module, dropout: float):
    with pytest.raises(ValueError, match="dropout="):
        type(net)(dropout=dropout)


@pytest.mark.parametrize(
    ("net", "arguments", "message"),
    [
        (MLP, {"hidden_size": 0}, "hidden_size=0: expected 1 or more"),
        (MLP, {"num_layers": 0}, "num_layers=0: expected 1 or more"),
        (SimpleGRU, {"hidden_size": 0}, "hidden_size=0: expected 1 or more"),
        (SimpleGRU, {"num_layers": -1}, "num_layers=-1: expected 1 or more"),
        (AttentiveLSTM, {"hidden_size": 0}, "hidden_size=0: expected 1 or more"),
        (TCN, {"hidden_size": 0}, "hidden_size=0: expected 1 or more"),
        (TCN, {"num_layers": 0}, "num_layers=0: expected 1 or more"),
        (TCN, {"kernel_size": 1}, "kernel_size=1: expected 2 or more"),
        (TransformerClassifier, {"hidden_size": 33}, "hidden_size=33: expected an even number, 2 or more"),
        (TransformerClassifier, {"hidden_size": 0}, "hidden_size=0: expected an even number, 2 or more"),
        (TransformerClassifier, {"num_layers": 0}, "num_layers=0: expected 1 or more"),
        (TransformerClassifier, {"num_heads": 5}, "num_heads=5: expected a divisor of hidden_size=32"),
        (MarketAttention, {"num_heads": 3}, "num_heads=3: expected a divisor of hidden_size=32"),
        (MarketAttention, {"hidden_size": 0}, "hidden_size=0: expected 1 or more"),
        (TransformerClassifier, {"num_heads": 0}, "num_heads=0: expected a divisor of hidden_size=32"),
    ],
)
def test_sizes_that_cannot_be_are_refused(net: type, arguments: dict[str, int], message: str):
    with pytest.raises(ValueError, match=f"^{message}$"):
        net(**arguments)


@pytest.mark.parametrize(
    ("net", "arguments", "parameters"),
    [
        (SimpleLSTM, {}, 57_731),
        (DualTowerModel, {}, 2_371),
        (DualTowerModel, {"stock_size": 11}, 2_371),
        (MLP, {}, 1_859),
        (SimpleGRU, {}, 5_379),
        (AttentiveLSTM, {}, 10_435),
        (TCN, {}, 5_955),
        (TransformerClassifier, {}, 17_763),
        (MarketAttention, {}, 9_635),
    ],
)
def test_the_documented_numbers_of_parameters(net: type, arguments: dict[str, int], parameters: int):
    assert sum(p.numel() for p in net(**arguments).parameters()) == parameters
    assert f"{parameters:,}" in net.__doc__


def test_the_seed_documents_state_files_fit():
    names = {name.rsplit(".", 1)[0] for name in DualTowerModel().state_dict()}
    assert names == {"stock_tower.0", "stock_tower.2", "context_tower.0", "context_tower.2", "head.0", "head.3"}
    gates = {f"lstm.{kind}_{gate}_l{layer}" for kind in ("weight", "bias") for gate in ("ih", "hh") for layer in (0, 1)}
    layers = {f"head.{layer}.{kind}" for layer in (0, 3) for kind in ("weight", "bias")}
    assert set(SimpleLSTM().state_dict()) == gates | layers


@pytest.mark.parametrize("net", SEQUENCE_NETS)
def test_a_sequence_net_reads_the_order_of_weeks(net: type):
    torch.manual_seed(0)
    built, x = net().eval(), example(net, 3)
    shuffled = x[:, [2, 0, 1, 3]]  # the last week stays
    assert ((built(*net_inputs(net, x)) - built(*net_inputs(net, shuffled))).abs().amax(1) > 1e-4).all()


@pytest.mark.parametrize("net", SEQUENCE_NETS)
def test_a_sequence_net_depends_on_every_week(net: type):
    torch.manual_seed(0)
    built, x = net(**({"sequence_length": 10} if net is TCN else {})).eval(), example(net, 4, weeks=10)
    x.requires_grad_()
    built(*net_inputs(net, x))[:, 0].sum().backward()
    assert (x.grad.abs().sum(2) > 0).all()


def test_an_attentive_lstm_computes_the_papers_equations():
    torch.manual_seed(0)
    net, x = AttentiveLSTM(input_size=5, hidden_size=8), example(AttentiveLSTM, 3, features=5)
    mapped = torch.tanh(x @ net.mapping[0].weight.T + net.mapping[0].bias)
    cell = torch.nn.LSTMCell(8, 8)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in net.lstm.state_dict().items()})
    state, steps = None, []
    for t in range(T):
        state = cell(mapped[:, t], state)
        steps.append(state[0])
    first, _, second = net.attention
    scores = torch.stack([second.weight[0] @ torch.tanh(first(h)).T for h in steps])  # [T, B]
    shares = scores.exp() / scores.exp().sum(0)
    attended = sum(share[:, None] * h for share, h in zip(shares, steps, strict=True))
    torch.testing.assert_close(net.latent(x), torch.cat([attended, steps[-1]], dim=1))


def test_a_tcn_block_is_two_dilated_convolutions_and_a_way_around_them():
    torch.manual_seed(0)
    net = TCN(input_size=5, hidden_size=6, num_layers=3).eval()
    x = example(TCN, 2, weeks=9, features=5)

    def convolve(series: torch.Tensor, layer: torch.nn.Conv1d, dilation: int) -> torch.Tensor:
        out = layer.bias.repeat(2, 9, 1)
        for t in range(9):
            for tap in range(3):
                before = t - (2 - tap) * dilation
                if before >= 0:
                    out[:, t] += series[:, before] @ layer.weight[:, :, tap].T
        return out

    with torch.no_grad():
        series = x
        for block, dilation in zip(net.blocks, (1, 2, 4), strict=True):
            first, second = (part for part in block.convolutions if isinstance(part, torch.nn.Conv1d))
            around = series if dilation > 1 else series @ block.residual.weight[:, :, 0].T + block.residual.bias
            inner = convolve(convolve(series, first, dilation).relu(), second, dilation).relu()
            series = (inner + around).relu()
        torch.testing.assert_close(net.latent(x), series[:, -1])


@pytest.mark.parametrize(("kernel_size", "num_layers", "weeks"), [(2, 1, 3), (2, 2, 7), (2, 3, 15), (3, 1, 5)])
def test_a_tcn_sees_its_receptive_field_and_nothing_before(kernel_size: int, num_layers: int, weeks: int):
    torch.manual_seed(0)
    net = TCN(kernel_size=kernel_size, num_layers=num_layers, dropout=0.0)
    assert net.receptive_field == weeks
    x = example(TCN, 64, weeks=weeks + 3).requires_grad_()
    net(x).square().sum().backward()
    seen = x.grad.abs().sum((0, 2)) > 0
    assert seen.tolist() == [False] * 3 + [True] * weeks


def test_no_step_of_a_tcn_sees_a_later_one():
    torch.manual_seed(0)
    net, x = TCN(sequence_length=10).eval(), example(TCN, 4, weeks=10)
    changed = x.clone()
    changed[:, 6:] += 1.0
    before, after = net.blocks(x.transpose(1, 2)), net.blocks(changed.transpose(1, 2))
    torch.testing.assert_close(before[:, :, :6], after[:, :, :6])
    assert not torch.allclose(before[:, :, 6], after[:, :, 6])


@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_a_tcn_has_the_fewest_blocks_that_see_the_window(kernel_size: int):
    for weeks in range(1, 40):
        net = TCN(kernel_size=kernel_size, sequence_length=weeks)
        assert net.receptive_field >= weeks
        blocks = len(net.blocks)
        if blocks > 1:
            assert TCN(kernel_size=kernel_size, num_layers=blocks - 1).receptive_field < weeks


def test_a_transformer_layer_is_torchs_pre_norm_layer():
    torch.manual_seed(0)
    net, x = TransformerClassifier(hidden_size=12, num_heads=3, num_layers=1).eval(), example(TransformerClassifier, 5)
    ours = net.layers[0]
    layer = torch.nn.TransformerEncoderLayer(
        12, 3, dim_feedforward=24, activation="gelu", batch_first=True, norm_first=True
    )
    layer.self_attn.in_proj_weight.data = ours.query_key_value.weight.data
    layer.self_attn.in_proj_bias.data.zero_()
    pairs = {
        layer.self_attn.out_proj: ours.attention_out,
        layer.norm1: ours.attention_norm,
        layer.norm2: ours.feedforward[0],
        layer.linear1: ours.feedforward[1],
        layer.linear2: ours.feedforward[3],
    }
    for theirs, own in pairs.items():
        theirs.load_state_dict(own.state_dict())
    embedded = net.embedding(x) + _positions(T, net.embedding.weight)
    torch.testing.assert_close(net.latent(x), net.norm(layer.eval()(embedded)[:, -1]))


def test_positions_are_sinusoids_of_the_weeks_age():
    weight = torch.zeros(6, 1)
    positions = _positions(10, weight)
    for t in range(10):
        for i in range(3):
            angle = (9 - t) / 10_000 ** (2 * i / 6)
            assert positions[t, i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert positions[t, 3 + i].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert torch.equal(positions[-4:], _positions(4, weight))


def test_the_towers_see_their_own_columns_only():
    torch.manual_seed(0)
    net, x = DualTowerModel(stock_size=11), example(DualTowerModel, 1)
    changed = x.clone()
    changed[:, 11:] += 1.0
    assert torch.equal(net.stock_tower(x[:, :11]), net.stock_tower(changed[:, :11]))
    assert not torch.equal(net(x), net(changed))


def test_the_public_names_are_nets():
    for name in MODELS:
        assert issubclass(MODELS[name], torch.nn.Module)
        assert MODELS[name].input_view in ("sequence", "flat")
