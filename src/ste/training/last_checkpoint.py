"""The checkpoint that a stopped run goes on from."""

import time

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

EVERY = 1.0
"""Seconds of training that a kill may cost. A run that goes on from an earlier epoch ends the same."""


class Latest(ModelCheckpoint):
    """Lightning's checkpoint at the end of an epoch, where the one before is not of this very second."""

    _saved = float("-inf")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        now = time.monotonic()
        if now - self._saved >= EVERY:
            self._saved = now
            super().on_train_epoch_end(trainer, pl_module)
