"""From R nets of one kind to one net that is all of them.

The stacked net is the same class with the same attributes: its `latent` and `classify` are the net's own, and
only the layers under them are stacks. A net therefore needs no second, batched form, as long as it counts
dimensions from the last. Parameters keep their names and get R in front, so that one replica's state dict is
a slice.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from ste.seed_ensembles.stacked_dropout import RandomStreams, StackedDropout
from ste.seed_ensembles.stacked_linear import StackedConv1d, StackedLayerNorm, StackedLinear
from ste.seed_ensembles.stacked_recurrent import StackedGRU, StackedLSTM

_SAME = (nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Identity, nn.ConstantPad1d)
"""Layers without parameters for which a dimension in front changes nothing."""


def _recurrent(kind: Callable[..., nn.Module]) -> Callable[[Sequence[Any], RandomStreams], nn.Module]:
    def build(layers: Sequence[Any], streams: RandomStreams) -> nn.Module:
        return kind(layers, StackedDropout([layer.dropout for layer in layers], streams))

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
    """One net of R: prepared features `[R, B, ...]` to logits `[R, B, C]`, each replica by its own parameters.

    Args:
        nets: of one class and one size; they may differ in dropout.
        streams: random streams of the replicas' dropout.

    Raises:
        TypeError: a layer that has no stacked form here.
    """
    whole = deepcopy(nets[0])
    _fill(whole, nets, streams)
    return whole


def unstack(state: dict[str, torch.Tensor], replica: int) -> dict[str, torch.Tensor]:
    """One replica's state dict from the stacked net's."""
    return {name: value[replica] for name, value in state.items()}


def _fill(whole: nn.Module, nets: Sequence[nn.Module], streams: RandomStreams) -> None:
    """Put stacks in the place of layers."""
    children = list(whole.named_children())
    own = [*whole.parameters(recurse=False), *whole.buffers(recurse=False)]
    if own or not children:
        raise TypeError(f"{type(whole).__name__} cannot be stacked")
    for name, child in children:
        if isinstance(child, _SAME):
            continue
        layers = [net.get_submodule(name) for net in nets]
        build = _STACKS.get(type(child))
        if build is None:
            _fill(child, layers, streams)
        else:
            setattr(whole, name, build(layers, streams))
