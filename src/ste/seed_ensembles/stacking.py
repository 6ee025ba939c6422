"""Stack R nets of one class to one net.

The stacked net has the same class and attributes: `latent` and `classify` are the net's own, and only the layers
below are stacked. A net therefore needs no batched form, as long as it indexes dimensions from the last. Parameters
keep their names and get a leading dimension R, so that one replica's state dict is a slice.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from ste.seed_ensembles.stacked_dropout import RandomStreams, StackedDropout
from ste.seed_ensembles.stacked_linear import StackedConv1d, StackedLayerNorm, StackedLinear
from ste.seed_ensembles.stacked_recurrent import StackedGRU, StackedLSTM

_SAME = (nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Identity, nn.ConstantPad1d)
"""Layers without parameters that accept a leading dimension as they are."""


def _recurrent(kind: Callable[..., nn.Module]) -> Callable[[Sequence[Any], RandomStreams], nn.Module]:
    def build(layers: Sequence[Any], streams: RandomStreams) -> nn.Module:
        return kind(layers, StackedDropout([layer.dropout for layer in layers], streams, batch=1))

    return build


_STACKS: dict[type[nn.Module], Callable[[Any, RandomStreams], nn.Module]] = {
    nn.Linear: lambda layers, _: StackedLinear(layers),
    nn.Conv1d: lambda layers, _: StackedConv1d(layers),
    nn.LayerNorm: lambda layers, _: StackedLayerNorm(layers),
    nn.LSTM: _recurrent(StackedLSTM),
    nn.GRU: _recurrent(StackedGRU),
    nn.Dropout: lambda layers, streams: StackedDropout([layer.p for layer in layers], streams),
    nn.Dropout1d: lambda layers, streams: StackedDropout([layer.p for layer in layers], streams, channels=True),
}


def stack(nets: Sequence[nn.Module], streams: RandomStreams) -> nn.Module:
    """Stack nets to one from normalized features `[R, B, ...]` to logits `[R, B, C]`, each replica with its parameters.

    Args:
        nets: of one class and one size; they may differ in dropout.
        streams: random streams of the replicas' dropout.

    Raises:
        TypeError: a layer that has no stacked form here.
    """
    net = deepcopy(nets[0])
    _fill(net, nets, streams)
    return net


def _fill(net: nn.Module, nets: Sequence[nn.Module], streams: RandomStreams) -> None:
    """Replace layers by stacked ones."""
    children = list(net.named_children())
    own = [*net.parameters(recurse=False), *net.buffers(recurse=False)]
    if own or not children:
        raise TypeError(f"{type(net).__name__} cannot be stacked")
    for name, child in children:
        if isinstance(child, _SAME):
            continue
        layers = [one.get_submodule(name) for one in nets]
        build = _STACKS.get(type(child))
        if build is None:
            _fill(child, layers, streams)
        else:
            setattr(net, name, build(layers, streams))
