"""Lightning's Trainer from its settings."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.loggers import Logger

from ste.config import TrainerSettings
from ste.errors import ConfigError

# Raised by Lightning's own use of torch, and by a resumed run, whose folder is its own.
warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).* is deprecated")
warnings.filterwarnings("ignore", message=r"Checkpoint directory .* exists and is not empty")


def build_trainer(
    settings: TrainerSettings, callbacks: Sequence[pl.Callback] = (), loggers: Sequence[Logger] = ()
) -> pl.Trainer:
    """Build Lightning's Trainer.

    Callbacks that draw a progress bar or save checkpoints are left out where `enable_progress_bar` or
    `enable_checkpointing` is off.

    Raises:
        ConfigError: an argument that the Trainer does not accept, or a device that is not there.
    """
    if settings.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise ConfigError(f"trainer.accelerator={settings.accelerator}: no CUDA device was found. Try trainer=cpu.")
    arguments: dict[str, Any] = asdict(settings)
    del arguments["threads"]  # the only setting that is no argument of Lightning's Trainer
    chosen = list(callbacks)
    if settings.enable_progress_bar is False:
        chosen = [one for one in chosen if not isinstance(one, ProgressBar)]
    if settings.enable_checkpointing is False:
        chosen = [one for one in chosen if not isinstance(one, Checkpoint)]
    # Without a callback Lightning would add one that writes to the current folder.
    arguments["enable_checkpointing"] = any(isinstance(one, Checkpoint) for one in chosen)
    if settings.deterministic is None:  # kernels of a CPU repeat exactly without it, and the check costs time
        arguments["deterministic"] = settings.accelerator != "cpu"
    try:
        return pl.Trainer(callbacks=chosen, logger=list(loggers) or False, use_distributed_sampler=False, **arguments)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"trainer: Lightning refuses these settings: {reason}") from None
