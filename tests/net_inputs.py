"""The inputs of any net: features, and the date of each example where the net reads it."""

from typing import Any

import torch


def net_inputs(net: Any, x: torch.Tensor, *, apart: bool = False) -> tuple[torch.Tensor, ...]:
    """Features of B examples, `[B, ...]` or of replicas `[R, B, ...]`, and for a net that sees the market their dates.

    Args:
        net: a net or its class.
        x: features.
        apart: whether each example has a date of its own; else all have one.
    """
    if not net.sees_market:
        return (x,)
    shape = x.shape[: x.dim() - 2]
    return x, torch.arange(shape[-1]).expand(shape).clone() if apart else torch.zeros(shape, dtype=torch.int64)
