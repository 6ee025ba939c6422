"""Recurrent layers of many replicas at once: batched matrix products and a hand-written cell.

PyTorch's own recurrent kernels take one set of weights. The formulas are those of `torch.nn.LSTM` and
`torch.nn.GRU`; R replicas, B windows, T steps, D inputs, H units.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ste.seed_ensembles.stacked_linear import affine, stacked

_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class _StackedRecurrent(nn.Module):
    """The same recurrent layers of every replica, oldest step first; parameters are named as PyTorch names them."""

    def __init__(self, layers: Sequence[Any], dropout: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        first = layers[0]
        if first.bidirectional or not first.batch_first or not first.bias or first.proj_size:
            raise TypeError(f"{type(first).__name__}: expected batch first, one direction, biases and no projection")
        self.num_layers = first.num_layers
        for name, _ in first.named_parameters():
            self.register_parameter(name, stacked([getattr(layer, name) for layer in layers]))
        self.dropout = dropout

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Compute the last layer's states `[R, B, T, H]` of `[R, B, T, D]`; the final state is not returned."""
        steps = x.transpose(1, 2)  # [R, T, B, D]: the layout in which PyTorch's own layers drop units between them
        for layer in range(self.num_layers):
            if layer:
                steps = self.dropout(steps)
            steps = self._layer(steps, [getattr(self, f"{name}_l{layer}") for name in _WEIGHTS])
        return steps.transpose(1, 2), None

    def _layer(self, x: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
        """Compute states `[R, T, B, H]` of `[R, T, B, D]` with the layer's `_WEIGHTS`."""
        raise NotImplementedError


class StackedLSTM(_StackedRecurrent):
    """R LSTMs (Hochreiter and Schmidhuber 1997)."""

    def _layer(self, x: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
        input_weight, hidden_weight, input_bias, hidden_bias = weights
        size = hidden_weight.shape[-1]
        recurrent = hidden_weight.mT
        out: list[torch.Tensor] = []
        hidden, cell = x.new_zeros(x.shape[0], x.shape[2], size), x.new_zeros(())
        alone = x.shape[1] == 1  # then the recurrent weights still get their gradient, 0, and decay as they should
        for driven in affine(x, input_weight, input_bias + hidden_bias).unbind(1):  # [R, B, 4 H]: i, f, g, o
            gates = torch.baddbmm(driven, hidden, recurrent) if out or alone else driven  # both states begin at 0
            admit, forget = gates[..., : 2 * size].sigmoid().chunk(2, dim=-1)
            candidate = admit * gates[..., 2 * size : 3 * size].tanh()
            cell = torch.addcmul(candidate, forget, cell) if out else candidate
            hidden = gates[..., 3 * size :].sigmoid() * cell.tanh()
            out.append(hidden)
        return torch.stack(out, dim=1)


class StackedGRU(_StackedRecurrent):
    """R GRUs (Cho et al. 2014), the reset gate applied after the recurrent product, as PyTorch has it."""

    def _layer(self, x: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
        input_weight, hidden_weight, input_bias, hidden_bias = weights
        size = hidden_weight.shape[-1]
        recurrent, bias = hidden_weight.mT, hidden_bias.unsqueeze(1)
        hidden = x.new_zeros(x.shape[0], x.shape[2], size)
        out = []
        for driven in affine(x, input_weight, input_bias).unbind(1):  # [R, B, 3 H]: reset, update, new
            back = torch.baddbmm(bias, hidden, recurrent)
            reset, update = (driven[..., : 2 * size] + back[..., : 2 * size]).sigmoid().chunk(2, dim=-1)
            new = torch.addcmul(driven[..., 2 * size :], reset, back[..., 2 * size :]).tanh()
            hidden = torch.lerp(new, hidden, update)
            out.append(hidden)
        return torch.stack(out, dim=1)
