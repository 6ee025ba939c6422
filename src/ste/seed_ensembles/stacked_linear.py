"""Linear, convolution and normalization layers of R replicas; dimensions are otherwise PyTorch's."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


def stacked(parameters: Sequence[torch.Tensor]) -> nn.Parameter:
    """Stack R parameters to one, `[R, ...]`."""
    return nn.Parameter(torch.stack([parameter.detach() for parameter in parameters]))


def affine(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Compute `x W^T + b` of each replica.

    Args:
        x: `[R, ..., D]`, at least two dimensions before the last.
        weight: `[R, O, D]`.
        bias: `[R, O]`, or None.

    Returns:
        `[R, ..., O]`.
    """
    flat = x.flatten(1, -2)
    out = torch.bmm(flat, weight.mT) if bias is None else torch.baddbmm(bias.unsqueeze(1), flat, weight.mT)
    return out.unflatten(1, x.shape[1:-1])


class StackedLinear(nn.Module):
    """R linear layers, from `[R, ..., D]` to `[R, ..., O]`."""

    bias: nn.Parameter | None

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = stacked([layer.weight for layer in layers])
        bias = None if layers[0].bias is None else stacked([layer.bias for layer in layers])
        self.register_parameter("bias", bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute `[R, ..., O]` of `[R, ..., D]`."""
        return affine(x, self.weight, self.bias)


class StackedConv1d(nn.Module):
    """R convolutions as one with R groups, from `[R, B, C, T]` to `[R, B, O, T']`."""

    def __init__(self, layers: Sequence[nn.Conv1d]) -> None:
        super().__init__()
        first = layers[0]
        if first.groups != 1 or first.padding_mode != "zeros" or first.bias is None:
            raise TypeError("Conv1d: expected one group, a bias and padding with zeros")
        self.weight = stacked([layer.weight for layer in layers])
        self.bias = stacked([layer.bias for layer in layers if layer.bias is not None])
        self.stride, self.padding, self.dilation = first.stride, first.padding, first.dilation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute `[R, B, O, T']` of `[R, B, C, T]`."""
        count = len(x)
        out = functional.conv1d(
            x.transpose(0, 1).flatten(1, 2),
            self.weight.flatten(0, 1),
            self.bias.flatten(),
            self.stride,
            self.padding,
            self.dilation,
            groups=count,
        )
        return out.unflatten(1, (count, -1)).transpose(0, 1)


class StackedLayerNorm(nn.Module):
    """R layer normalizations over the last dimension, each with its own scale and shift."""

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        first = layers[0]
        if len(first.normalized_shape) != 1 or first.weight is None or first.bias is None:
            raise TypeError("LayerNorm: expected one dimension, a scale and a shift")
        self.shape, self.eps = first.normalized_shape, first.eps
        self.weight = stacked([layer.weight for layer in layers])
        self.bias = stacked([layer.bias for layer in layers])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize `[R, ..., D]` over its last dimension."""
        each = (len(x), *[1] * (x.dim() - 2), -1)
        normal = functional.layer_norm(x, self.shape, eps=self.eps)
        return torch.addcmul(self.bias.view(each), normal, self.weight.view(each))
