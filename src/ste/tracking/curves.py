"""Curves over epochs, from a module's own history to a run."""

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_only

from ste.tracking.run import Run
from ste.training.module import TrendModule

GROUP = "curves"
"""One group, and the first by name: the UI shows the curves before the final figures."""


class Curves(pl.Callback):
    """Sends each epoch's figures once, all together, with the epoch as the step.

    The history travels in the checkpoint, so that a resumed run sends what a killed process still owed.

    Args:
        run: the tracked run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sent = run.steps(f"{GROUP}/train_loss")

    @rank_zero_only
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the epoch before."""
        self._send(pl_module)

    @rank_zero_only
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the last epoch."""
        self._send(pl_module)

    def _send(self, module: pl.LightningModule) -> None:
        assert isinstance(module, TrendModule)
        for epoch, figures in enumerate(module.history):
            if epoch not in self._sent:
                named = {f"{GROUP}/{name.replace('/', '_')}": value for name, value in figures.items()}
                self._run.log_metrics(named, step=epoch)
                self._sent.add(epoch)
