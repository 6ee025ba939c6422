"""The LightningModule of every net."""

from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics.aggregation import MeanMetric

from ste.data.batch_loader import BatchLoader
from ste.data.datamodule import DatasetView, TrendDataModule
from ste.data.window_dataset import Batch
from ste.evaluation.epoch_metrics import EpochMetrics, Step, TrainingMetrics
from ste.evaluation.temperature import Calibration
from ste.features.normalization import Normalizer
from ste.registry import MODELS
from ste.training.adversarial import check_adversarial, perturbation
from ste.training.augmentation.batch_transforms import augment_batch, generator
from ste.training.cached_dataset import NormalizedBatch
from ste.training.lone_example import running_statistics
from ste.training.losses.base import LossInputs
from ste.training.losses.build import build_loss, loss_inputs
from ste.training.optimizers import build_optimizer, build_scheduler
from ste.training.run_logger import RunLogger
from ste.training.tempered import Tempered, add_temperature

STEPS = 32
"""Training steps whose metrics are added together."""


class TrendModule(pl.LightningModule):
    """Train a net: raw features in, class logits out. Its checkpoint is complete: nothing else is needed to predict.

    Every argument is a plain value, so that a checkpoint loads with `weights_only=True`.

    Args:
        net: class name in `ste.registry.MODELS`.
        net_arguments: keyword arguments of the net.
        forms: how each feature is normalized (`ColumnForms.to_dict`).
        representation: `stationary` or `standard`.
        optimizer: `OptimizerSettings` as a dict.
        scheduler: `SchedulerSettings` as a dict.
        monitor: validation metric that selects the epoch, without `val/`.
        mode: `min` or `max`, which of its values is better.
        class_weights: loss weight of each class; None weighs all alike.
        label_smoothing: fraction of the target spread over all classes.
        adversarial_weight: weight, beta, of the loss on perturbed latent representations; 0 turns it off.
        adversarial_size: L2 norm, epsilon, of the perturbation.
        seed: of dropout and augmentation; each epoch's random stream depends on it and the epoch alone.
        augment: `AugmentSettings` as a dict, or None.
        loss: name in `ste.registry.LOSSES`.
        loss_arguments: keyword arguments of the loss.

    Attributes:
        history: metrics of each epoch by name, saved in the checkpoint.
        temperature: that the logits of predictions are divided by, float32; 1 in training and validation.
        calibration: how it was chosen; None where it is 1.
    """

    temperature: torch.Tensor

    selects_epochs = False
    """Whether the module selects the best epoch itself, instead of a ModelCheckpoint."""

    def __init__(
        self,
        net: str,
        net_arguments: dict[str, Any],
        forms: dict[str, Any],
        representation: str,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any],
        monitor: str = "log_loss",
        mode: str = "min",
        class_weights: list[float] | None = None,
        label_smoothing: float = 0.0,
        adversarial_weight: float = 0.0,
        adversarial_size: float = 0.05,
        seed: int = 0,
        augment: dict[str, Any] | None = None,
        loss: str = "cross_entropy",
        loss_arguments: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.representation = Normalizer(forms, representation)
        self.net: nn.Module = MODELS.build(net, net_arguments)
        classes = int(net_arguments["num_classes"])
        self.loss = build_loss(loss, loss_arguments or {}, classes, class_weights, label_smoothing)
        if adversarial_weight > 0.0:
            check_adversarial(net, self.net, loss, self.loss)
        self.train_metrics = TrainingMetrics()
        self.val_loss = MeanMetric()
        self.val_metrics = EpochMetrics(classes)
        self.history: list[dict[str, float]] = []
        self.calibration: Calibration | None = None
        self.register_buffer("temperature", torch.ones(()))
        self.register_load_state_dict_pre_hook(add_temperature)
        self._steps: list[Step] = []
        self._learning_rate = 0.0

    @property
    def sees_market(self) -> bool:
        """Whether the net reads the examples of a date together (`ste.models.base.MarketNet`)."""
        return bool(getattr(self.net, "sees_market", False))

    @property
    def whole_dates(self) -> bool:
        """Whether the net or the loss needs batches of whole dates."""
        return self.sees_market or self.loss.needs_groups

    def inputs(self, features: torch.Tensor, group: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Return the inputs of the net: features, and the dates `[B]` where it reads them.

        Raises:
            TypeError: no dates, and the net reads them.
        """
        if not self.sees_market:
            return (features,)
        if group is None:
            raise TypeError(f"{type(self.net).__name__} reads the date of each example")
        return features, group

    def forward(self, x: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        """Compute logits `[B, C]` of raw features, `[B, T, F]` or `[B, F]` as the net reads them, and their dates."""
        logits: torch.Tensor = self.predictor(*self.inputs(self.representation(x), group))
        return logits

    @torch.no_grad()
    def probabilities(self, x: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        """Compute class probabilities, float32 `[B, C]`, of raw features and their dates, int64 `[B]`."""
        return self(x, group).float().softmax(dim=1)

    @property
    def predictor(self) -> nn.Module:
        """The module that computes the logits `[B, C]` of predictions from normalized features."""
        return Tempered(self.net, self.temperature)

    def set_calibration(self, calibration: Calibration | None) -> None:
        """Predict with a temperature; None predicts without."""
        self.calibration = calibration
        self.temperature.fill_(1.0 if calibration is None else calibration.temperature)

    def normalized(self, batch: Batch) -> torch.Tensor:
        """Return a batch's normalized features."""
        if isinstance(batch, NormalizedBatch):
            return batch.features
        return self.representation(batch.features.to(self.representation.mean.dtype))

    def training_loader(self, data: TrendDataModule, cached: DatasetView) -> BatchLoader:
        """Return the loader of training batches.

        Args:
            data: examples.
            cached: replaces a dataset by its cached, normalized form.
        """
        return data.train_dataloader(cached, whole_dates=self.whole_dates)

    def select_epochs(self, validation: Iterable[Batch]) -> int:
        """Load the best epoch's weights, where `selects_epochs`, and return the epoch."""
        raise NotImplementedError

    # Training

    def on_train_start(self) -> None:
        """Send the curves of a resumed run, step a plateau schedule that was saved before its step, stop if stopped."""
        for logger in self.loggers:
            if isinstance(logger, RunLogger):
                logger.resend(self.history)
        for config in self.trainer.lr_scheduler_configs:  # Lightning saves the checkpoint of an epoch before this step
            if isinstance(config.scheduler, ReduceLROnPlateau) and config.scheduler.last_epoch < len(self.history):
                config.scheduler.step(self.history[-1][str(config.monitor)])
        for callback in self.trainer.early_stopping_callbacks:
            if isinstance(callback, EarlyStopping) and callback.wait_count >= callback.patience:
                self.trainer.should_stop = True

    def on_train_epoch_start(self) -> None:
        """Seed the epoch's random stream, so that a resumed run draws what it would have drawn."""
        torch.manual_seed(self.epoch_seed(int(self.hparams["seed"])))
        self._learning_rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def epoch_seed(self, seed: int) -> int:
        """Return the seed of this epoch's and this rank's random stream in the run of a seed."""
        return (seed << 20) + self.current_epoch * 64 + self.global_rank

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Compute the loss of a batch, plus that of the perturbed batch with `adversarial_weight`."""
        features, target = self._augmented(batch, batch_idx)
        beta = float(self.hparams["adversarial_weight"])
        latent: torch.Tensor | None = None
        read = self.inputs(features, batch.group)
        with running_statistics(self.net, alone=batch.label.shape[-1] == 1):
            if beta > 0.0:
                latent = self.net.latent(*read)  # type: ignore[operator]
                logits = self.net.classify(latent)  # type: ignore[operator]
            else:
                logits = self.net(*read)
        label, inputs = batch.label, loss_inputs(batch)
        if batch.group is not None:  # the others of a date were read by the net
            rows = batch.labelled
            logits, label, inputs = logits[rows], label[rows], inputs.at(rows)
            latent, target = None if latent is None else latent[rows], label
        return self._objective(logits, latent, target, label, inputs)

    def _objective(
        self,
        logits: torch.Tensor,
        latent: torch.Tensor | None,
        target: torch.Tensor,
        label: torch.Tensor,
        inputs: LossInputs,
    ) -> torch.Tensor:
        """Compute the loss of logits, add the step to the epoch's metrics and, with `latent`, the perturbed loss."""
        loss = self.loss_of(logits, target, inputs)
        self._add_step(loss.detach(), logits.detach(), label)
        beta = float(self.hparams["adversarial_weight"])
        if latent is not None and beta > 0.0:

            def perturbed(latent: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
                return self.loss_of(self.net.classify(latent), target, inputs)  # type: ignore[operator]

            away = perturbation(perturbed, latent, target, self.hparams["adversarial_size"])
            loss = loss + beta * perturbed(latent + away, target)
        return loss

    def loss_of(self, logits: torch.Tensor, target: torch.Tensor, inputs: LossInputs) -> torch.Tensor:
        """Compute the mean loss of logits `[B, C]` and targets."""
        loss: torch.Tensor = self.loss(logits, target, inputs)
        return loss

    def _add_step(self, loss: torch.Tensor, logits: torch.Tensor, label: torch.Tensor) -> None:
        self._steps.append(Step(loss, logits, label))
        if len(self._steps) == STEPS:
            self._update_train_metrics()

    def _augmented(self, batch: Batch, batch_idx: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return normalized features and the target: labels `[B]` or class fractions `[B, C]`."""
        features = self.normalized(batch)
        settings = self.hparams["augment"]
        if settings is None:
            return features, batch.label
        rng = generator(int(self.hparams["seed"]), self.current_epoch, batch_idx, self.global_rank)
        classes = int(self.hparams["net_arguments"]["num_classes"])
        return augment_batch(settings, features, batch.label, classes, self.representation.varies, rng)

    def _update_train_metrics(self) -> None:
        """Add the steps since the last update to the epoch's metrics: each alone would take a tenth of a small step."""
        if self._steps:
            steps, self._steps = self._steps, []
            self.train_metrics.update(steps)

    def clip(self, max_value: float | None, algorithm: str | None = None) -> None:
        """Clip the gradients in place.

        Args:
            max_value: L2 norm of all gradients together, or with `algorithm="value"` each gradient; None does not clip.
            algorithm: `norm` (the default) or `value`.
        """
        if max_value is None:
            return
        if algorithm == "value":
            nn.utils.clip_grad_value_(self.net.parameters(), max_value)
        else:
            nn.utils.clip_grad_norm_(self.net.parameters(), max_value)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's training metrics and append all of its metrics to the history."""
        self._update_train_metrics()
        self.log_epoch({f"train/{name}": value for name, value in self.train_metrics.compute().items()})
        self.log_epoch({"train/lr": self._learning_rate})
        self.train_metrics.reset()
        self.history.append({name: float(value) for name, value in self.trainer.callback_metrics.items()})

    # Validation

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the epoch's validation metrics."""
        logits, label, inputs = (
            self.net(*self.inputs(self.normalized(batch), batch.group)),
            batch.label,
            loss_inputs(batch),
        )
        if batch.group is not None:
            rows = batch.labelled
            logits, label, inputs = logits[rows], label[rows], inputs.at(rows)
        self.val_loss.update(self.loss_of(logits, label, inputs), len(label))
        self.val_metrics.update(logits.float().softmax(dim=1), label)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's validation metrics."""
        self.log_epoch({"val/loss": float(self.val_loss.compute())})
        self.log_epoch({f"val/{name}": value for name, value in self.val_metrics.compute().items()})
        self.val_loss.reset()
        self.val_metrics.reset()

    def log_epoch(self, metrics: dict[str, float]) -> None:
        """Log metrics of the epoch in float64; torchmetrics has reduced them over the ranks already."""
        wide = torch.float32 if self.device.type == "mps" else torch.float64
        values = torch.tensor(list(metrics.values()), dtype=wide, device=self.device)
        self.log_dict(dict(zip(metrics, values.unbind(), strict=True)), on_epoch=True, sync_dist=True)

    # Checkpoints and optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save history and calibration."""
        checkpoint["history"] = self.history
        checkpoint["calibration"] = None if self.calibration is None else self.calibration.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the history."""
        self.history = list(checkpoint["history"])

    def optimizer_params(self) -> Any:
        """Return the parameters, or parameter groups, that the optimizer updates."""
        return self.net.parameters()

    def configure_optimizers(self) -> Any:
        """Build the optimizer and its learning-rate schedule, which is stepped once an epoch."""
        # Lightning does not clip with fused kernels there, and 16-mixed has to unscale gradients before the step.
        mixed = str(self.trainer.precision).endswith("-mixed") and self.automatic_optimization
        fused = not (mixed or self.trainer.precision == "16-mixed")
        optimizer = build_optimizer(self.optimizer_params(), self.hparams["optimizer"], fused=fused)
        mode, epochs = str(self.hparams["mode"]), max(self.trainer.max_epochs or 1, 1)
        scheduler = build_scheduler(optimizer, self.hparams["scheduler"], max_epochs=epochs, mode=mode)
        if scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "epoch", "monitor": f"val/{self.hparams['monitor']}"},
        }
