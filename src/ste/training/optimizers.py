"""Optimizers and learning-rate schedules by name."""

from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau


def build_optimizer(parameters: Any, settings: dict[str, Any], *, fused: bool) -> Optimizer:
    """Build an optimizer of `torch.optim`.

    Args:
        parameters: parameters or parameter groups.
        settings: `OptimizerSettings` as a dict.
        fused: use fused kernels; RMSprop has none.
    """
    lr, decay, momentum = settings["lr"], settings["weight_decay"], settings["momentum"]
    match settings["name"]:
        case "adam":
            return torch.optim.Adam(parameters, lr=lr, weight_decay=decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=lr, weight_decay=decay, fused=fused)
        case "sgd":
            return torch.optim.SGD(parameters, lr=lr, weight_decay=decay, momentum=momentum, fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=lr, weight_decay=decay, momentum=momentum)
        case name:
            raise ValueError(f"optimizer {name}: expected adam, adamw, sgd or rmsprop")


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
    match settings["name"]:
        case "none":
            return None
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=max_epochs, eta_min=settings["min_lr"])
        case "plateau":
            return ReduceLROnPlateau(
                optimizer,
                mode=mode,  # type: ignore[arg-type]
                factor=settings["factor"],
                patience=settings["patience"],
                min_lr=settings["min_lr"],
            )
        case name:
            raise ValueError(f"scheduler {name}: expected none, cosine or plateau")
