"""Stop a hopeless trial of a search while it trains."""

from functools import lru_cache
from typing import Any

import lightning.pytorch as pl

from ste.config import SweepSettings
from ste.errors import Pruned
from ste.training.module import TrendModule
from ste.tuning.study import open_study


class Pruning(pl.Callback):
    """Reports the monitored figure of each epoch, and ends the fit where the study's pruner says so.

    Args:
        settings: of the sweep, with storage, study and trial.
        monitor: name of the figure in the module's history.
        run_id: the trial's tracked run, or None.

    Raises:
        Pruned: at the beginning of the next epoch.
    """

    def __init__(self, settings: SweepSettings, monitor: str, run_id: str | None) -> None:
        from optuna.trial import Trial

        assert settings.storage is not None
        assert settings.study is not None
        study = _study(settings.storage, settings.study, settings.pruner, settings.startup, settings.warmup)
        frozen = next(t for t in study.get_trials(deepcopy=False) if t.number == settings.trial)
        self._trial = Trial(study, frozen._trial_id)
        self._monitor, self._run_id = monitor, run_id

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch before, and ask whether to go on: after the last epoch nobody asks."""
        if self._report(pl_module) and self._trial.should_prune():
            raise Pruned(trainer.current_epoch - 1, self._run_id)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the last epoch."""
        self._report(pl_module)

    def _report(self, module: pl.LightningModule) -> bool:
        assert isinstance(module, TrendModule)
        if not module.history:
            return False
        self._trial.report(module.history[-1][self._monitor], len(module.history) - 1)
        return True


@lru_cache(maxsize=4)
def _study(storage: str, study: str, pruner: str, startup: int, warmup: int) -> Any:
    """One study for all trials of a process."""
    return open_study(SweepSettings(storage=storage, study=study, pruner=pruner, startup=startup, warmup=warmup))


def pruning(settings: SweepSettings, monitor: str, run: Any) -> list[pl.Callback]:
    """The callback, for a trial of a search with a pruner; else nothing."""
    if settings.trial is None or settings.storage is None or settings.pruner == "none":
        return []
    return [Pruning(settings, monitor, run.id if run else None)]
