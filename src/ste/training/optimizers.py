"""Optimizers and learning-rate schedules by name."""

from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

_OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}


def build_optimizer(parameters: Any, settings: dict[str, Any], *, fused: bool) -> Optimizer:
    """Build an optimizer of `torch.optim`.

    Args:
        parameters: parameters or parameter groups.
        settings: `OptimizerSettings` as a dict.
        fused: use fused kernels; RMSprop has none.
    """
    arguments = {"lr": settings["lr"], "weight_decay": settings["weight_decay"]}
    name = settings["name"]
    if name in ("sgd", "rmsprop"):
        arguments["momentum"] = settings["momentum"]
    if name != "rmsprop":
        arguments["fused"] = fused
    return _OPTIMIZERS[name](parameters, **arguments)


def build_scheduler(
    optimizer: Optimizer, settings: dict[str, Any], *, max_epochs: int, mode: str
) -> LRScheduler | ReduceLROnPlateau | None:
    """Build a schedule that is stepped once an epoch, or None.

    Args:
        optimizer: whose learning rate changes.
        settings: `SchedulerSettings` as a dict.
        max_epochs: epochs of the cosine.
        mode: `min` or `max`, which values of the plateau's metric are better.
    """
    if settings["name"] == "none":
        return None
    if settings["name"] == "cosine":
        return CosineAnnealingLR(optimizer, T_max=max_epochs, eta_min=settings["min_lr"])
    return ReduceLROnPlateau(
        optimizer,
        mode=mode,  # type: ignore[arg-type]
        factor=settings["factor"],
        patience=settings["patience"],
        min_lr=settings["min_lr"],
    )
