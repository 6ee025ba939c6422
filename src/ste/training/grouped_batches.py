"""Several batches in one step of Lightning's training loop.

The loop spends a fifth of a millisecond around each step, as long as the complete step of a small net. Grouped, a
small net trains up to a half faster, with the same numbers. Manual optimization, a public interface of Lightning, makes
the optimizer steps. It turns itself off where anything else has to see single batches, and with a learning-rate
schedule.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from ste.config import TrainerSettings
from ste.data.batch_loader import BatchLoader
from ste.data.window_dataset import Batch
from ste.training.module import TrendModule

MAX_BATCHES = 32
MAX_EXAMPLES = 16384
"""Examples in a group: its batches are gathered together."""

_BATCH_HOOKS = (
    *("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward"),
    *("on_after_backward", "on_before_optimizer_step"),
)
_OFF = {
    "accumulate_grad_batches": 1,
    "fast_dev_run": False,
    "limit_train_batches": None,
    "max_steps": -1,
    "max_time": None,
    "min_steps": None,
    "overfit_batches": 0,
    "profiler": None,
    "val_check_interval": None,
    "log_every_n_steps": 0,
    "barebones": False,
}
"""Trainer arguments that count batches, at the values that do not."""


class BatchGroup:
    """Consecutive batches of an epoch.

    Args:
        first: index of the first one in its epoch.
        batches: in order.
    """

    def __init__(self, first: int, batches: list[Batch]) -> None:
        self.first, self.batches = first, batches

    def to(self, device: torch.device, **_: Any) -> "BatchGroup":
        """Return the group on a device (Lightning calls it; cached batches are there already)."""
        return BatchGroup(self.first, [batch.on(device) for batch in self.batches])


class GroupedLoader:
    """Iterate over a loader's batches in groups.

    Args:
        loader: of batches.
    """

    def __init__(self, loader: BatchLoader) -> None:
        self.loader = loader
        self.size = max(1, min(MAX_BATCHES, MAX_EXAMPLES // loader.examples))
        # Lightning announces each epoch to `loader.sampler.set_epoch`, and asks for both of these.
        self.sampler, self.batch_sampler = loader, None

    def __len__(self) -> int:
        return math.ceil(len(self.loader) / self.size)

    def __iter__(self) -> Iterator[BatchGroup]:
        batches, total = iter(self.loader), len(self.loader)
        for first in range(0, total, self.size):
            yield BatchGroup(first, list(islice(batches, self.size)))


def can_group(module: TrendModule, settings: TrainerSettings, callbacks: Sequence[pl.Callback]) -> bool:
    """Return whether nothing in a fit has to see single batches, or needs automatic optimization.

    Args:
        module: to train; Lightning steps its learning-rate schedule under automatic optimization alone.
        settings: of the Trainer.
        callbacks: of the fit.
    """
    unscaled = settings.precision in ("32-true", "64-true", "bf16-mixed")  # Lightning converts or scales the others
    return (
        settings.processes == 1
        and settings.strategy == "auto"
        and unscaled
        and module.hparams["scheduler"]["name"] == "none"
        and all(getattr(settings, name) == value for name, value in _OFF.items())
        and all(_ignores_batches(callback) for callback in callbacks)
    )


@contextmanager
def grouped(module: TrendModule, loader: BatchLoader, settings: TrainerSettings) -> Iterator[GroupedLoader]:
    """Let a module train on groups of batches within the context.

    Args:
        module: to train.
        loader: of its training batches.
        settings: with the gradient clipping.

    Yields:
        The loader for `Trainer.fit`.
    """
    single: Callable[[Batch, int], torch.Tensor] = module.training_step

    def step(group: BatchGroup, batch_idx: int) -> None:
        _train(module, single, group, settings)

    module.automatic_optimization = False
    module.training_step = step  # type: ignore[method-assign, assignment]
    try:
        yield GroupedLoader(loader)
    finally:
        del module.training_step
        module.automatic_optimization = True


def _train(
    module: TrendModule, single: Callable[[Batch, int], torch.Tensor], group: BatchGroup, settings: TrainerSettings
) -> None:
    """Make an optimizer step for each batch of a group, as automatic optimization does."""
    counted: Any = module.optimizers()
    optimizer = counted.optimizer
    for batch_idx, batch in enumerate(group.batches, start=group.first):
        loss = single(batch, batch_idx)
        module.optimizer_zero_grad(module.current_epoch, batch_idx, optimizer)
        loss.backward()
        module.on_after_backward()
        module.clip(settings.gradient_clip_val, settings.gradient_clip_algorithm)
        if batch is group.batches[-1]:  # the one that Lightning counts
            counted.step()
        else:
            optimizer.step()


def _ignores_batches(callback: pl.Callback) -> bool:
    if isinstance(callback, ModelCheckpoint):
        return bool(callback.every_n_epochs)  # excludes an interval of steps or of time
    return all(getattr(type(callback), name) is getattr(pl.Callback, name) for name in _BATCH_HOOKS)
