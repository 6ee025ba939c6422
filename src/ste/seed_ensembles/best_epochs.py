"""Each replica's best epoch: its figure, its weights, and when the replica stops."""

from typing import Any

import torch
from torch import nn


class Best:
    """The best epoch of each replica so far, by the rules of Lightning's own checkpoint and early stopping.

    Args:
        count: replicas, R.
        mode: whether the monitored figure is better `min` or `max`.
        patience: epochs without a better one before a replica stops; None never stops.

    Attributes:
        value: the figure at the best epoch, float64 `[R]`.
        epoch: the best epoch, from 0, int64 `[R]`.
        latest: the figure of the last epoch, float64 `[R]`.
        stopped: bool `[R]`; a stopped replica is computed on with the others and keeps what it had.
        weights: parameters at the best epoch, each `[R, ...]`, by name.
    """

    def __init__(self, count: int, mode: str, patience: int | None) -> None:
        self.mode = mode
        self.patience = patience
        worst = float("inf") if mode == "min" else -float("inf")
        self.value = torch.full((count,), worst, dtype=torch.float64)
        self.latest = self.value.clone()
        self.epoch = torch.zeros(count, dtype=torch.int64)
        self.waited = torch.zeros(count, dtype=torch.int64)
        self.stopped = torch.zeros(count, dtype=torch.bool)
        self.weights: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def update(self, figures: torch.Tensor, epoch: int, net: nn.Module) -> None:
        """Take in an epoch.

        Args:
            figures: the monitored one of each replica, float64 `[R]` on the CPU.
            epoch: its number.
            net: stacked, as it is now.
        """
        better = figures < self.value if self.mode == "min" else figures > self.value
        better &= ~self.stopped & figures.isfinite()
        self.latest = figures
        self.value = torch.where(better, figures, self.value)
        self.epoch[better] = epoch
        self.waited = torch.where(better, 0, self.waited + 1)
        if self.patience is not None:
            self.stopped |= (self.waited >= self.patience) | ~figures.isfinite()
        for name, parameter in net.named_parameters():
            if name not in self.weights:
                self.weights[name] = parameter.detach().clone()
            elif better.any():
                taken = better.to(parameter.device).view(-1, *[1] * (parameter.dim() - 1))
                self.weights[name] = torch.where(taken, parameter.detach(), self.weights[name])

    @property
    def done(self) -> bool:
        """Whether every replica has stopped."""
        return bool(self.stopped.all())

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        names = ("value", "latest", "epoch", "waited", "stopped", "weights")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Take it back; weights go to the device of the net."""
        for name, value in state.items():
            setattr(self, name, value.cpu() if name != "weights" else {k: v.to(device) for k, v in value.items()})
