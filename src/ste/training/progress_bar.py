"""One line that tells how a fit goes: epoch, losses, the monitored figure and its best, time left."""

import sys
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ste.training.module import TrendModule


class EpochProgress(pl.Callback):
    """A bar over epochs on a terminal; nothing where nobody watches.

    Args:
        monitor: figure to show, such as `val/log_loss`.
        mode: whether it is better `min` or `max`.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        self.monitor = monitor
        self.better = min if mode == "min" else max
        self.best: float | None = None
        self.progress: Progress | None = None
        self.task: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the bar."""
        if not (trainer.is_global_zero and sys.stderr.isatty()):
            return
        self.progress = Progress(
            TextColumn("[bold]epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=28),
            TextColumn("{task.description}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        self.task = self.progress.add_task("", total=trainer.max_epochs, completed=trainer.current_epoch)
        self.progress.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the epoch before: only now are all of its figures there."""
        self._show(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the last epoch, and leave the line standing."""
        self._show(trainer, pl_module)
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
        self._stop()

    def _show(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrendModule)
        if self.progress is None or not module.history:
            return
        shown = module.history[-1]
        value = shown[self.monitor]
        self.best = value if self.best is None else self.better(self.best, value)
        text = f"train loss {shown['train/loss']:.4f}  {self.monitor} {value:.4f}  best {self.best:.4f}"
        self.progress.update(self.task, completed=trainer.current_epoch, description=text)

    def _stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
