"""The checkpoint that a stopped run resumes from."""

import time
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from ste.registry import CALLBACKS

INTERVAL = 1.0
"""Default seconds between two saves. A run that resumes from an earlier epoch ends the same."""


@CALLBACKS.register
class LastCheckpoint(ModelCheckpoint):
    """Save `last.ckpt` at the end of an epoch, at most once per interval.

    Args:
        dirpath: folder.
        interval: seconds between two saves, at least; None is `INTERVAL`.
    """

    def __init__(self, dirpath: Path | str | None = None, interval: float | None = None) -> None:
        super().__init__(
            dirpath=dirpath, filename="last", enable_version_counter=False, save_on_train_epoch_end=True, monitor=None
        )
        self.interval = INTERVAL if interval is None else interval
        self._saved_at = float("-inf")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, unless the interval has not passed."""
        now = time.monotonic()
        # Rank 0 decides: the ranks' clocks differ, and all of them meet in a save.
        if trainer.strategy.broadcast(now - self._saved_at >= self.interval):
            self._saved_at = now
            super().on_train_epoch_end(trainer, pl_module)
