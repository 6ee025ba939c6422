"""Lightning's logger interface over a tracked run."""

from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from ste.tracking.run import Run


class RunLogger(Logger):
    """Curves over epochs: the epoch is the step, and each epoch is sent once.

    Args:
        run: the tracked run.
        done: last epoch that a resumed run has logged already.
    """

    def __init__(self, run: Run, done: int = -1) -> None:
        super().__init__()
        self._run = run
        self._done = done

    @property
    def name(self) -> str:
        """What Lightning calls the logger."""
        return "mlflow"

    @property
    def version(self) -> str:
        """The run's id."""
        return self._run.id

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Parameters are logged once, by the run itself."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Send an epoch's figures."""
        epoch = int(metrics.pop("epoch", step or 0))
        if epoch > self._done and metrics:
            # One group, and the first by name: the UI shows the curves before the final figures.
            curves = {f"curves/{name.replace('/', '_')}": value for name, value in metrics.items()}
            self._run.log_metrics(curves, step=epoch)
