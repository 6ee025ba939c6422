"""Early stopping that a resumed run cannot forget."""

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping


class Patience(EarlyStopping):
    """Lightning's early stopping; a run that had already stopped does not train another epoch when resumed."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once where the restored count says so."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True
