"""Stop unpromising trials of a search while they train."""

import lightning.pytorch as pl
from optuna import load_study
from optuna.trial import Trial

from ste.config import SweepSettings
from ste.errors import Pruned
from ste.training.module import TrendModule
from ste.tuning.study import build_pruner, open_storage


class Pruning(pl.Callback):
    """Report the monitored metric of each epoch to the study, and stop the fit when its pruner decides to.

    Args:
        settings: of the sweep, with storage, study and trial.
        monitor: name of the metric in the module's history, such as `val/log_loss`.

    Raises:
        Pruned: at the start of the next epoch.
    """

    def __init__(self, settings: SweepSettings, monitor: str) -> None:
        assert settings.storage is not None
        assert settings.study is not None
        assert settings.trial is not None
        storage = open_storage(settings.storage)
        study_id = storage.get_study_id_from_name(settings.study)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, settings.trial)
        study = load_study(study_name=settings.study, storage=storage, pruner=build_pruner(settings))
        self._trial = Trial(study, trial_id)
        self._monitor = monitor

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the previous epoch and stop if the trial is pruned; the last epoch is never pruned."""
        if self._report(pl_module) and self._trial.should_prune():
            raise Pruned(trainer.current_epoch - 1)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the last epoch."""
        self._report(pl_module)

    def _report(self, module: pl.LightningModule) -> bool:
        assert isinstance(module, TrendModule)
        if not module.history:
            return False
        self._trial.report(module.history[-1][self._monitor], len(module.history) - 1)
        return True
