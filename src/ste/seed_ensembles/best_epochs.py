"""Best epoch of each replica."""

from typing import Any

import torch
from torch import nn


class BestEpochs:
    """Select each replica's best epoch by the rules of Lightning's ModelCheckpoint and EarlyStopping.

    Args:
        count: replicas, R.
        mode: `min` or `max`, which values of the monitored metric are better.
        patience: epochs without a better one before a replica stops; None never stops.

    Attributes:
        value: metric at the best epoch, float64 `[R]`.
        epoch: best epoch, from 0, int64 `[R]`.
        waited: epochs since the best one, int64 `[R]`.
        stopped: bool `[R]`; a stopped replica is still computed with the others, and its best epoch stays.
        weights: parameters at the best epoch, each `[R, ...]`, by name.
    """

    def __init__(self, count: int, mode: str, patience: int | None) -> None:
        self.mode = mode
        self.patience = patience
        worst = float("inf") if mode == "min" else -float("inf")
        self.value = torch.full((count,), worst, dtype=torch.float64)
        self.epoch = torch.zeros(count, dtype=torch.int64)
        self.waited = torch.zeros(count, dtype=torch.int64)
        self.stopped = torch.zeros(count, dtype=torch.bool)
        self.weights: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def update(self, metrics: torch.Tensor, epoch: int, net: nn.Module) -> None:
        """Compare an epoch with the best one.

        Args:
            metrics: monitored metric of each replica, float64 `[R]` on the CPU.
            epoch: from 0.
            net: stacked net with the epoch's weights.
        """
        better = metrics < self.value if self.mode == "min" else metrics > self.value
        better &= ~self.stopped & metrics.isfinite()
        self.value = torch.where(better, metrics, self.value)
        self.epoch[better] = epoch
        self.waited = torch.where(better, 0, self.waited + 1)
        if self.patience is not None:
            self.stopped |= (self.waited >= self.patience) | ~metrics.isfinite()
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

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        names = ("value", "epoch", "waited", "stopped", "weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore the state; weights go to the net's device."""
        for name, value in state.items():
            setattr(self, name, value.cpu() if name != "weights" else {k: v.to(device) for k, v in value.items()})
