"""Logits divided by a temperature, as a part of a net's module (`ste.evaluation.temperature`)."""

from typing import Any

import torch
from torch import nn


class Tempered(nn.Module):
    """A predictor whose logits are divided by a temperature, 1 of which changes no digit.

    Args:
        predictor: module from normalized features, and dates, to logits `[B, C]`.
        temperature: scalar.
    """

    def __init__(self, predictor: nn.Module, temperature: torch.Tensor) -> None:
        super().__init__()
        self.predictor = predictor
        self.temperature = temperature

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Compute logits `[B, C]` of normalized features `[B, ...]`, and their dates."""
        logits: torch.Tensor = self.predictor(*inputs)
        return logits / self.temperature.to(logits.dtype)


def add_temperature(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Give the state of a module that was saved before there was a temperature one of 1."""
    state.setdefault(f"{prefix}temperature", torch.ones(()))
