"""Progress over epochs with losses, the monitored metric, its best value and the time left."""

from contextlib import ExitStack

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar

from ste.config.progress import ProgressStep, step
from ste.registry import CALLBACKS
from ste.training.module import TrendModule


@CALLBACKS.register
class EpochProgress(ProgressBar):
    """Show how many epochs are trained, with the latest figures (`ste.config.progress`).

    Args:
        monitor: metric to show, such as `val/log_loss`.
        mode: `min` or `max`, which of its values is better.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.better = min if mode == "min" else max
        self.best: float | None = None
        self._shown: ProgressStep | None = None
        self._open = ExitStack()

    def disable(self) -> None:
        """Show nothing (Lightning calls it on every rank but 0)."""
        self._open.close()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the step."""
        if trainer.is_global_zero:
            self._shown = self._open.enter_context(step("training", trainer.max_epochs))
            self._shown.update(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the previous epoch."""
        self._show(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the last epoch and end the step."""
        self._show(trainer, pl_module)
        self._open.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End the step."""
        self._open.close()

    def _show(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrendModule)
        if self._shown is None or not module.history:
            return
        metrics = module.history[-1]
        text = f"loss {metrics['train/loss']:.4f}"
        if self.monitor in metrics:
            value = metrics[self.monitor]
            self.best = value if self.best is None else self.better(self.best, value)
            text += f", validation {value:.4f}, best {self.best:.4f}"
        self._shown.update(trainer.current_epoch, text)
