"""Processes that fit one model: each learns from its share of every batch, and all make the same steps.

They average gradients after each backward pass, and figures at the end of an epoch (torchmetrics does that by itself).
To Lightning each is a run of its own: its own strategy would broadcast before every step, and again within its handler
of SIGTERM, where the other process may be waiting for an average (docs/decisions.md).
"""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import PrefixStore  # type: ignore[attr-defined]

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for another one that says nothing; the end of a process is seen at once."""


@dataclass(frozen=True)
class Place:
    """A process among those of a run.

    Attributes:
        local: its number on its machine, from 0.
        devices: processes on each machine.
        node: number of its machine, from 0.
        nodes: machines.
        address, port: where the first process of the first machine listens.
    """

    local: int = 0
    devices: int = 1
    node: int = 0
    nodes: int = 1
    address: str = "127.0.0.1"
    port: int = 0

    @property
    def rank(self) -> int:
        """Its number among all."""
        return self.node * self.devices + self.local

    @property
    def world_size(self) -> int:
        """All of them."""
        return self.nodes * self.devices


def rank() -> int:
    """This process's number in the group it is in; 0 where it is alone."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """Processes of the group; 1 where this one is alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def joined(place: Place, store: Any, *, gpu: bool) -> Iterator[None]:
    """Be in the group, which begins when all are there.

    Args:
        place: of this process.
        store: that all of them know.
        gpu: whether each has a GPU, the one of its local number.
    """
    if gpu:
        torch.cuda.set_device(place.local)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if gpu else "gloo",
        store=PrefixStore("fit", store),
        rank=place.rank,
        world_size=place.world_size,
        timeout=TIMEOUT,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Let each parameter's gradient be its mean over the processes, in one message; alone, nothing happens."""
    count = world_size()
    if count == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= count
    for gradient, mean in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


class OwnSignals(pl.Callback):
    """SIGTERM means what it meant before Lightning took it: the first process alone decides that a run is stopped."""

    def __init__(self) -> None:
        self._own = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put it back."""
        signal.signal(signal.SIGTERM, self._own)
