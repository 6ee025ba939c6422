"""Stacks of layers against PyTorch's own, one replica after the other."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ste.registry import MODELS
from ste.seed_ensembles.replica_optimizer import ReplicaViews, clip_replicas
from ste.seed_ensembles.stacked_dropout import RandomStreams, StackedDropout
from ste.seed_ensembles.stacking import stack

REPLICAS = 3
SMALL = {"SimpleLSTM": {"hidden_size": 6}, "TransformerClassifier": {"hidden_size": 8, "num_heads": 2}}
NETS = list(MODELS)


def nets_of(name: str, count: int = REPLICAS, dropout: float = 0.0) -> list[nn.Module]:
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(MODELS[name](dropout=dropout, **SMALL.get(name, {})).double())
    return made


def inputs_of(net: nn.Module, weeks: int = 4, rows: int = 5) -> torch.Tensor:
    torch.manual_seed(99)
    shape = (rows, weeks, 21) if net.input_view == "sequence" else (rows, 21)
    return torch.randn(REPLICAS, *shape, dtype=torch.float64)


@pytest.mark.parametrize("weeks", [1, 4])
@pytest.mark.parametrize("name", NETS)
def test_a_stack_of_nets_gives_each_one_s_logits_and_gradients(name: str, weeks: int):
    nets = nets_of(name)
    whole = stack(nets, RandomStreams(REPLICAS))
    assert [n for n, _ in whole.named_parameters()] == [n for n, _ in nets[0].named_parameters()]
    x = inputs_of(nets[0], weeks)
    logits = whole(x)
    logits.square().sum().backward()
    for i, net in enumerate(nets):
        own = net(x[i])
        torch.testing.assert_close(logits[i], own, rtol=1e-10, atol=1e-12)
        own.square().sum().backward()
        for (key, stacked), alone in zip(whole.named_parameters(), net.parameters(), strict=True):
            torch.testing.assert_close(stacked.grad[i], alone.grad, rtol=1e-8, atol=1e-12, msg=key)


@pytest.mark.parametrize("name", NETS)
def test_one_replica_s_state_loads_into_its_class(name: str):
    nets = nets_of(name)
    whole = stack(nets, RandomStreams(REPLICAS))
    other = nets_of(name, 1)[0]
    other.load_state_dict({name: value[2] for name, value in whole.state_dict().items()})
    x = inputs_of(other)[0]
    torch.testing.assert_close(other(x), nets[2](x))


@pytest.mark.parametrize("name", NETS)
def test_dropout_masks_are_those_of_the_replica_alone(name: str):
    nets = [nets_of(name, REPLICAS, share)[i] for i, share in enumerate((0.5, 0.0, 0.2))]
    streams = RandomStreams(REPLICAS)
    whole = stack(nets, streams)
    streams.seed([7, 8, 9])
    x = inputs_of(nets[0])
    logits = whole(x)
    for i, net in enumerate(nets):
        torch.manual_seed(7 + i)
        torch.testing.assert_close(logits[i], net(x[i]), rtol=1e-10, atol=1e-12)
    whole.eval()
    torch.testing.assert_close(whole(x)[0], nets[0].eval()(x[0]), rtol=1e-10, atol=1e-12)


def test_one_draw_for_all_replicas_drops_each_one_s_share():
    """On a CPU each replica draws by itself; `at_once` is what runs elsewhere."""
    layer = StackedDropout([0.0, 0.5, 0.9], RandomStreams(3))
    x = torch.ones(3, 200, 500)
    for draw in (layer, lambda x: x * layer.draw_masks(x, x.shape)):
        out = draw(x)
        assert torch.equal(out[0], x[0])
        for i, share in ((1, 0.5), (2, 0.9)):
            assert float((out[i] == 0).double().mean()) == pytest.approx(share, abs=0.01)
            assert float(out[i].mean()) == pytest.approx(1.0, abs=0.03)


@settings(max_examples=25)
@given(
    kind=st.sampled_from(["LSTM", "GRU"]),
    sizes=st.tuples(*[st.integers(1, 5)] * 4),
    layers=st.integers(1, 3),
    count=st.integers(1, 4),
)
def test_recurrent_layers_of_any_size_are_pytorch_s(kind: str, sizes: tuple[int, ...], layers: int, count: int):
    rows, weeks, inputs, units = sizes
    build: Callable[..., nn.Module] = getattr(nn, kind)
    alone = [build(inputs, units, layers, batch_first=True).double() for _ in range(count)]
    whole = stack([nn.Sequential(layer) for layer in alone], RandomStreams(count))[0]
    x = torch.randn(count, rows, weeks, inputs, dtype=torch.float64, requires_grad=True)
    states, _ = whole(x)
    expected = torch.stack([layer(own)[0] for layer, own in zip(alone, x, strict=True)])
    torch.testing.assert_close(states, expected, rtol=1e-9, atol=1e-12)
    towards = torch.randn_like(states)
    got, wanted = (torch.autograd.grad((out * towards).sum(), x, retain_graph=True)[0] for out in (states, expected))
    torch.testing.assert_close(got, wanted, rtol=1e-8, atol=1e-12)


class Odd(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.BatchNorm1d(3), "BatchNorm1d cannot be stacked"),
        (nn.Flatten(), "Flatten cannot be stacked"),
        (nn.LSTM(2, 2), "LSTM: expected batch first"),
        (nn.GRU(2, 2, batch_first=True, bidirectional=True), "GRU: expected batch first, one direction"),
        (nn.Conv1d(2, 2, 1, groups=2), "Conv1d: expected one group"),
        (nn.LayerNorm((2, 3)), "LayerNorm: expected one dimension"),
    ],
)
def test_a_layer_without_a_stacked_form_is_refused(layer: nn.Module, message: str):
    with pytest.raises(TypeError, match=message):
        stack([Odd(layer), Odd(layer)], RandomStreams(2))


@settings(max_examples=30)
@given(most=st.floats(0.1, 10.0))
def test_each_replica_s_gradients_are_clipped_by_its_own_norm(most: float):
    stacked = [nn.Parameter(torch.zeros(3, *shape, dtype=torch.float64)) for shape in ((4, 2), (5,), ())]
    for parameter in stacked:
        parameter.grad = torch.randn_like(parameter) * torch.tensor([0.1, 1.0, 100.0]).view(
            -1, *[1] * (parameter.dim() - 1)
        )
    alone = [[nn.Parameter(p.detach()[i]) for p in stacked] for i in range(3)]
    for i, own in enumerate(alone):
        for parameter, whole in zip(own, stacked, strict=True):
            parameter.grad = whole.grad[i].clone()
        nn.utils.clip_grad_norm_(own, most)
    clip_replicas(stacked, most)
    for i, own in enumerate(alone):
        for parameter, whole in zip(own, stacked, strict=True):
            torch.testing.assert_close(whole.grad[i], parameter.grad)


def test_views_move_the_net_and_only_their_own_replica():
    nets = nets_of("MLP")
    whole = stack(nets, RandomStreams(REPLICAS))
    before = {name: p.detach().clone() for name, p in whole.named_parameters()}
    views = ReplicaViews(whole, REPLICAS)
    optimizer = torch.optim.SGD(views.groups([0.0, 0.1, 0.2], [0.0] * 3), lr=1.0)
    whole(inputs_of(nets[0])).square().sum().backward()
    views.take_gradients()
    optimizer.step()
    for name, parameter in whole.named_parameters():
        for i, rate in enumerate((0.0, 0.1, 0.2)):
            torch.testing.assert_close(parameter[i], before[name][i] - rate * parameter.grad[i])
