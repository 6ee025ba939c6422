"""Curves over epochs, from a module's own history to a run."""

import time

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_only

from ste.tracking.tracked_run import Run
from ste.training.module import TrendModule

EVERY = 1.0
"""Seconds between two writes: each is a transaction, which costs more than a small epoch."""

GROUP = "curves"
"""One group, and the first by name: the UI shows the curves before the final figures."""


class Curves(pl.Callback):
    """Sends each epoch's figures once, with the epoch as the step; epochs of less than a second go together.

    The history travels in the checkpoint, so that a resumed run sends what a killed process still owed.

    Args:
        run: the tracked run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sent = run.steps(f"{GROUP}/train_loss")
        self._last = 0.0

    @rank_zero_only
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the epochs before."""
        if time.monotonic() - self._last >= EVERY:
            self._send(pl_module)

    @rank_zero_only
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the last ones."""
        self._send(pl_module)

    @rank_zero_only
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Send what there is of a run that stops."""
        self._send(pl_module)

    def _send(self, module: pl.LightningModule) -> None:
        assert isinstance(module, TrendModule)
        self._last = time.monotonic()
        owed = {
            epoch: {f"{GROUP}/{name.replace('/', '_')}": value for name, value in figures.items()}
            for epoch, figures in enumerate(module.history)
            if epoch not in self._sent
        }
        if owed:
            self._run.log_history(owed)
            self._sent |= set(owed)
