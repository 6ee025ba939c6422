"""Gradient clipping, parameter groups and plateau schedule of single replicas."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ste.training.optimizers import build_scheduler


@torch.no_grad()
def clip_replicas(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale each replica's gradients to a joint norm of at most `max_norm`, as `clip_grad_norm_` does for one net.

    Args:
        parameters: stacked, `[R, ...]`.
        max_norm: L2 norm over all gradients of a replica.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([gradient.reshape(len(gradient), -1).norm(dim=1) for gradient in gradients])  # [P, R]
    scale = (max_norm / (norms.norm(dim=0) + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))


class ReplicaViews:
    """Expose each replica's slices of the stacked parameters as parameters, for an optimizer with a group for each.

    They share the stacked parameters' memory, so that updating them updates the net. One elementwise optimizer over
    the stacked parameters is faster (16 replicas at batch 8: about 1 ms a step), but has one learning rate for all.

    Args:
        net: stacked net of R replicas, on the training device.
        count: R.

    Attributes:
        stacked: parameters of the net.
        replicas: views of each replica, in the order of `stacked`.
    """

    def __init__(self, net: nn.Module, count: int) -> None:
        self.stacked = list(net.parameters())
        self.replicas = [[nn.Parameter(p.detach()[i]) for p in self.stacked] for i in range(count)]

    def groups(self, lr: Sequence[float], weight_decay: Sequence[float]) -> list[dict[str, Any]]:
        """Return a parameter group for each replica."""
        return [
            {"params": params, "lr": rate, "weight_decay": decay}
            for params, rate, decay in zip(self.replicas, lr, weight_decay, strict=True)
        ]

    def take_gradients(self) -> None:
        """Set each view's gradient to its slice of the stacked one."""
        for k, parameter in enumerate(self.stacked):
            if parameter.grad is not None:
                for own, gradient in zip(self.replicas, parameter.grad.unbind(0), strict=True):
                    own[k].grad = gradient


class ReplicaPlateau:
    """Step a `ReduceLROnPlateau` for each replica by its own metric, on an optimizer with a group for each.

    Args:
        optimizer: with R groups.
        settings: `SchedulerSettings` as a dict.
        mode: `min` or `max`, which values of the metric are better.
    """

    def __init__(self, optimizer: Any, settings: dict[str, Any], mode: str) -> None:
        self.optimizer = optimizer  # not its groups: restoring the optimizer replaces them
        self.schedules: list[ReduceLROnPlateau] = []
        for group in optimizer.param_groups:  # the class changes all groups of an optimizer together
            alone = SGD([torch.zeros(())], lr=group["lr"])
            schedule = build_scheduler(alone, settings, max_epochs=1, mode=mode)
            assert isinstance(schedule, ReduceLROnPlateau)
            self.schedules.append(schedule)

    def step(self, metrics: torch.Tensor) -> None:
        """End an epoch with the replicas' metrics `[R]`."""
        for schedule, group, metric in zip(self.schedules, self.optimizer.param_groups, metrics.tolist(), strict=True):
            schedule.step(metric)
            group["lr"] = schedule.optimizer.param_groups[0]["lr"]

    def state_dict(self) -> dict[str, Any]:
        """Return every replica's state."""
        return {"schedules": [schedule.state_dict() for schedule in self.schedules]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the states; the rates are those of the restored optimizer."""
        for schedule, own, group in zip(self.schedules, state["schedules"], self.optimizer.param_groups, strict=True):
            schedule.load_state_dict(own)
            schedule.optimizer.param_groups[0]["lr"] = group["lr"]
