"""Lightning logger that sends each epoch's metrics to a tracked run."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

INTERVAL = 1.0
"""Seconds between two writes: each is a transaction, which costs more than a small epoch."""

PREFIX = "curves/"
"""Groups the metrics of epochs, before the final metrics in alphabetical order."""

STEP_PREFIX = "steps/"
"""Groups the metrics that a callback logs by optimizer step."""


class MetricStore(Protocol):
    """The part of a tracked run that receives curves."""

    id: str
    name: str

    def log_history(self, history: dict[int, dict[str, float]]) -> None:
        """Log metrics of several steps."""

    def steps(self, metric: str) -> set[int]:
        """Return the steps of a metric that were logged before."""


class RunLogger(Logger):
    """Send metrics as `curves/<name>` with the epoch as step, each epoch once, several short epochs together.

    A metric that is logged without its epoch becomes `steps/<name>` with the optimizer step.

    Args:
        run: tracked run.
    """

    def __init__(self, run: MetricStore) -> None:
        super().__init__()
        self._run = run
        self._sent = run.steps(curve_name("train/loss"))
        self._pending: dict[int, dict[str, float]] = {}
        self._by_step: dict[int, dict[str, float]] = {}
        self._sent_at = 0.0

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._run.name

    @property
    def version(self) -> str:
        """ID of the run."""
        return self._run.id

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run has logged its settings."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send metrics, at most once per interval.

        Args:
            metrics: values by name; `epoch` is their step.
            step: used where there is no `epoch`.
        """
        if "epoch" in metrics:
            values = {curve_name(name): float(value) for name, value in metrics.items() if name != "epoch"}
            self._pending.setdefault(int(metrics["epoch"]), {}).update(values)
        else:
            values = {STEP_PREFIX + name: float(value) for name, value in metrics.items()}
            self._by_step.setdefault(step or 0, {}).update(values)
        if time.monotonic() - self._sent_at >= INTERVAL:
            self._send()

    def resend(self, history: Sequence[Mapping[str, float]]) -> None:
        """Send the epochs of a resumed run that its killed process had not sent."""
        for epoch, metrics in enumerate(history):
            self.log_metrics({**metrics, "epoch": epoch})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Send the epochs that are complete."""
        self._send()

    def _send(self) -> None:
        """Send complete epochs: their training metrics come last."""
        done = {epoch for epoch, metrics in self._pending.items() if curve_name("train/loss") in metrics}
        owed = {epoch: self._pending.pop(epoch) for epoch in sorted(done)}
        owed = {epoch: metrics for epoch, metrics in owed.items() if epoch not in self._sent}
        steps, self._by_step = self._by_step, {}
        for history in filter(None, (owed, steps)):
            self._run.log_history(history)
            self._sent_at = time.monotonic()
        self._sent |= set(owed)


def curve_name(name: str) -> str:
    """Return the tracked name of a logged metric: `curves/val_loss` of `val/loss`."""
    return PREFIX + name.replace("/", "_")
