"""Plugins of a user, written into a folder, imported, and forgotten again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ste.plugins import PLUGINS
from ste.registry import KINDS

NET = """
import torch
from torch import nn

import ste


@ste.register("model")
class {name}(nn.Module):
    input_view = "sequence"

    def __init__(self, input_size: int, num_classes: int, hidden_size: int = 8) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(input_size)
        self.recurrent = nn.GRU(input_size, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrent(self.norm(x.transpose(1, 2)).transpose(1, 2))[0][:, -1])
"""
LOSS = """
import torch

import ste
from ste.training.losses.base import Loss


@ste.register("loss", "squares")
class Squares(Loss):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def values(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        probs = logits.softmax(dim=-1)
        return self.scale * (probs - self.fractions(target, probs)).square().sum(dim=-1)
"""
METRIC = """
import numpy as np

import ste


@ste.register("metric", low=0.0, high=1.0)
def truth(examples):
    return examples.mean(examples.probs[np.arange(len(examples.labels)), examples.labels])
"""
AUGMENTATION = """
from dataclasses import replace

import ste


@ste.register("augmentation")
def halves(batch, rng, factor: float = 0.5):
    return replace(batch, features=batch.features * factor)
"""


@contextmanager
def forgotten_plugins() -> Iterator[None]:
    """Remove the plugins that are imported within the context, and what they registered."""
    modules, path = set(sys.modules), list(sys.path)
    known = {kind: set(registry.of_plugins) for kind, registry in KINDS.items()}
    plugins = set(PLUGINS)
    try:
        yield
    finally:
        for kind, registry in KINDS.items():
            for name in set(registry.of_plugins) - known[kind]:
                registry.remove(name)
        for name in set(PLUGINS) - plugins:
            del PLUGINS[name]
        own = [name for name in set(sys.modules) - modules if name.startswith("user_")]
        for name in own:
            del sys.modules[name]
        sys.path[:] = path
