"""Progress bar over epochs with losses, the monitored metric, its best value and the time left."""

import sys

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ste.registry import CALLBACKS
from ste.training.module import TrendModule


@CALLBACKS.register
class EpochProgress(ProgressBar):
    """Draw one bar over epochs on a terminal; do nothing where standard error is no terminal.

    Args:
        monitor: metric to show, such as `val/log_loss`.
        mode: `min` or `max`, which of its values is better.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.better = min if mode == "min" else max
        self.best: float | None = None
        self.progress: Progress | None = None
        self.task: TaskID | None = None

    def disable(self) -> None:
        """Draw nothing (Lightning calls it on every rank but 0)."""
        self._stop()

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
        """Show the previous epoch."""
        self._show(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the last epoch and leave the line on the terminal."""
        self._show(trainer, pl_module)
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Release the terminal."""
        self._stop()

    def _show(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrendModule)
        if self.progress is None or self.task is None or not module.history:
            return
        metrics = module.history[-1]
        text = f"train loss {metrics['train/loss']:.4f}"
        if self.monitor in metrics:
            value = metrics[self.monitor]
            self.best = value if self.best is None else self.better(self.best, value)
            text += f"  {self.monitor} {value:.4f}  best {self.best:.4f}"
        self.progress.update(self.task, completed=trainer.current_epoch, description=text)

    def _stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
