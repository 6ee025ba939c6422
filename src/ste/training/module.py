"""The one training step, for every net."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics.aggregation import MeanMetric

import ste.models
from ste.data.windows import Batch
from ste.errors import ConfigError
from ste.evaluation.epoch_metrics import EpochMetrics, Step, TrainingMetrics
from ste.features.normalization import Representation
from ste.training.adversarial import perturbation
from ste.training.augmentation.batch_transforms import augment_batch, generator
from ste.training.cached_dataset import Ready
from ste.training.distributed import average_gradients, rank
from ste.training.grouped_batches import Group
from ste.training.optimizers import build_optimizer, build_scheduler


def build_net(name: str, arguments: dict[str, Any]) -> nn.Module:
    """A net of `ste.models` by its class name; nothing else can be named.

    Raises:
        ConfigError: an argument the net does not take or cannot work with.
    """
    if name not in ste.models.__all__:
        raise ConfigError(f"model.net={name}: expected one of {', '.join(ste.models.__all__)}.")
    try:
        return getattr(ste.models, name)(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.{error}.") from None


class TrendModule(pl.LightningModule):
    """Raw features in, class probabilities out; a checkpoint of it needs nothing else.

    Every argument is a plain value, so that a checkpoint loads with `weights_only=True`.

    Args:
        net: class name in `ste.models`.
        net_arguments: its sizes.
        columns: feature names of the table, in order.
        representation: `stationary` or `standard`.
        optimizer, scheduler: their settings as dicts.
        monitor: validation metric that chooses the epoch, and its `mode`.
        mode: `min` or `max`.
        class_weights: loss weight of each class, or None.
        label_smoothing: share of the target spread over all classes.
        adversarial_weight: weight, beta, of the loss on perturbed latent representations; 0 does not perturb.
        adversarial_size: their perturbation's L2 norm, epsilon.
        seed: of dropout and augmentation; each epoch's stream depends on it and the epoch alone.
        augment: `AugmentSettings` as a dict, or None.
    """

    def __init__(
        self,
        net: str,
        net_arguments: dict[str, Any],
        columns: list[str],
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
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False  # a group of batches is several steps
        # How a fit goes, no part of the model: the gradients' largest norm, and what is validated on after each epoch.
        self.gradient_clip: float | None = None
        self.validation: Iterable[Batch] | None = None
        self.representation = Representation(columns, representation)
        self.net = build_net(net, net_arguments)
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.loss = nn.CrossEntropyLoss(weight=weights, label_smoothing=label_smoothing)
        num_classes = net_arguments["num_classes"]
        self.train_figures = TrainingMetrics()
        self.val_loss = MeanMetric()
        self.val_figures = EpochMetrics(num_classes)
        self.history: list[dict[str, float]] = []
        self._epoch: dict[str, float] = {}
        self._steps: list[Step] = []
        self._schedule: LRScheduler | ReduceLROnPlateau | None = None
        self._schedule_state: dict[str, Any] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `[B, C]` of raw features, `[B, T, F]` or `[B, F]` as the net reads them."""
        return self.net(self.representation(x))

    @torch.no_grad()
    def probabilities(self, x: torch.Tensor) -> torch.Tensor:
        """Class probabilities float32 `[B, C]`."""
        return self(x).float().softmax(dim=1)

    @property
    def predictor(self) -> nn.Module:
        """What gives the logits `[B, C]` of prepared features."""
        return self.net

    def prepared(self, batch: Batch) -> torch.Tensor:
        """A batch's features as the net reads them."""
        return batch.features if isinstance(batch, Ready) else self.representation(batch.features)

    def on_train_epoch_start(self) -> None:
        """Give each epoch its own random stream, so that a resumed run draws what it would have drawn."""
        seed = self.epoch_seed(int(self.hparams["seed"]))
        torch.default_generator.manual_seed(seed)  # torch.manual_seed looks for every kind of device, each time
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)

    def epoch_seed(self, seed: int) -> int:
        """Seed of this epoch's and this process's random stream in the run of a seed."""
        return (seed << 20) + self.current_epoch * 64 + rank()

    def training_step(self, batch: Batch | Group, batch_idx: int) -> None:
        """Learn from a batch, or from those of a group one after the other."""
        group = batch if isinstance(batch, Group) else Group(batch_idx, [batch])
        counted: Any = self.optimizers()
        optimizer = counted.optimizer
        for number, one in enumerate(group.batches, start=group.first):
            loss = self.objective(one, number)
            self.forget(optimizer)
            if self._scaled:  # Lightning scales the loss, and its gradients back before they are clipped
                self.manual_backward(loss)
                counted.step()
                continue
            loss.backward()
            self.on_after_backward()
            if one is group.batches[-1]:  # the one that Lightning counts, for its checkpoints
                counted.step()
            else:
                self.on_before_optimizer_step(optimizer)
                optimizer.step()
        self.count_steps()

    def count_steps(self) -> None:
        """Add the steps since the last time to the epoch's figures; each by itself would take a tenth of its time."""
        steps, self._steps = self._steps, []
        self.train_figures.update(steps)

    @cached_property
    def _scaled(self) -> bool:
        """Whether a step is more than a backward pass and the optimizer's own."""
        return self.trainer.precision == "16-mixed"

    def on_after_backward(self) -> None:
        """Bring the gradients of several processes together."""
        average_gradients(self.learnt)

    def objective(self, batch: Batch, number: int) -> torch.Tensor:
        """Cross-entropy of a batch, and with `adversarial_weight` of the same batch perturbed, which no curve shows.

        Args:
            batch: of raw features, or of prepared ones.
            number: in its epoch.
        """
        features, target = self._augmented(batch, number)
        latent: torch.Tensor = self.net.latent(features)  # type: ignore[operator]
        logits = self.net.classify(latent)  # type: ignore[operator]
        loss = self.loss(logits, target)
        self._steps.append(Step(loss.detach(), logits.detach(), batch.label))
        weight = float(self.hparams["adversarial_weight"])
        if weight > 0.0:
            away = perturbation(self._loss_of, latent, target, self.hparams["adversarial_size"])
            loss = loss + weight * self._loss_of(latent + away, target)
        return loss.sum() if loss.dim() else loss  # of replicas; a single net's is one number already

    def _augmented(self, batch: Batch, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Prepared features of a training batch, and its target: labels `[B]` or shares of the classes `[B, C]`."""
        features = self.prepared(batch)
        settings = self.hparams["augment"]
        if settings is None:
            return features, batch.label
        rng = generator(int(self.hparams["seed"]), self.current_epoch, number, rank())
        classes = int(self.hparams["net_arguments"]["num_classes"])
        return augment_batch(settings, features, batch.label, classes, self.representation.varies, rng)

    def _loss_of(self, latent: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.loss(self.net.classify(latent), target)  # type: ignore[operator]

    def on_train_epoch_end(self) -> None:
        """Validate, keep the epoch's figures, and move the learning rate."""
        if self.validation is not None:
            self._validate(self.validation)
        self.keep({f"train/{name}": value for name, value in self.train_figures.compute().items()})
        self.train_figures.reset()
        rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        shown, self._epoch = self._epoch | {"train/lr": float(rate)}, {}
        self.history.append(shown)
        # Lightning would move the rate after the checkpoint is saved, and a resumed run would lose the move.
        if isinstance(self._schedule, ReduceLROnPlateau):
            self._schedule.step(shown[f"val/{self.hparams['monitor']}"])
        elif self._schedule is not None:
            self._schedule.step()

    @torch.no_grad()
    def _validate(self, batches: Iterable[Batch]) -> None:
        """What Lightning's own loop would do: around one batch of few rows that takes longer than a small epoch."""
        self.eval()
        precision = self.trainer.precision_plugin
        with precision.val_step_context():
            for number, batch in enumerate(batches):
                there = type(batch)(*(part.to(self.device) for part in batch))
                self.validation_step(precision.convert_input(there), number)
        self.on_validation_epoch_end()
        self.train()

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Nothing, where it is there: Lightning would look through the whole of a group."""
        one = batch.batches[0] if isinstance(batch, Group) else batch
        there = one.features.device == device
        return batch if there else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the curves and the schedule's place."""
        checkpoint["history"] = self.history
        checkpoint["schedule"] = None if self._schedule is None else self._schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        self.history = list(checkpoint["history"])
        self._schedule_state = checkpoint["schedule"]

    def on_train_start(self) -> None:
        """Put a resumed schedule where it was; it exists only now."""
        if self._schedule is not None and self._schedule_state is not None:
            self._schedule.load_state_dict(self._schedule_state)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the epoch's validation figures."""
        logits = self.net(self.prepared(batch))
        self.val_loss.update(self.loss(logits, batch.label), len(batch.label))
        self.val_figures.update(logits.float().softmax(dim=1), batch.label)

    def on_validation_epoch_end(self) -> None:
        """Keep the epoch's validation figures, and tell Lightning's callbacks of the one that chooses."""
        figures = {f"val/{name}": value for name, value in self.val_figures.compute().items()}
        self.keep({"val/loss": float(self.val_loss.compute()), **figures})
        self.val_loss.reset()
        self.val_figures.reset()
        # `self.log` would look through everything that was ever logged, each time that a callback asks.
        monitor = f"val/{self.hparams['monitor']}"
        self.trainer.callback_metrics[monitor] = torch.tensor(self._epoch[monitor])

    def keep(self, figures: Mapping[str, torch.Tensor | float]) -> None:
        """Figures of this epoch, for its curves; logging them all would cost Lightning more than a small epoch."""
        self._epoch |= {name: float(value) for name, value in figures.items()}

    def forget(self, optimizer: Any) -> None:
        """Forget the gradients of the step before."""
        for group in optimizer.param_groups:  # as `zero_grad` does, which also looks after hooks and a profiler
            for parameter in group["params"]:
                parameter.grad = None

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clip the gradients' norm."""
        if self.gradient_clip is not None:
            self.clip(self.gradient_clip)

    def clip(self, norm: float) -> None:
        """Clip the norm of all parameters' gradients together."""
        gradients = [parameter.grad for parameter in self.learnt if parameter.grad is not None]
        # What `clip_grad_norm_` does, for parameters of one type on one device.
        total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        # Most gradients are short, and times 1 they stay what they are. An accelerator is not waited for to know.
        if total.device.type != "cpu" or not float(total) < 0.99 * norm:
            nn.utils.clip_grads_with_norm_(self.learnt, norm, total)

    @cached_property
    def learnt(self) -> list[nn.Parameter]:
        """The net's parameters; to walk through its modules at each step would take longer than to add them up."""
        return list(self.net.parameters())

    def configure_optimizers(self) -> Any:
        """The optimizer; its schedule, where there is one, is stepped by the module itself."""
        trainer = self.trainer
        # Under 16-bit floats gradients are scaled up; fused kernels would scale them back after the clipping.
        fused = trainer.precision != "16-mixed"
        optimizer = build_optimizer(self.moved(), self.hparams["optimizer"], fused=fused)
        self._schedule = self.schedule(optimizer, trainer.max_epochs or 1)
        return optimizer

    def moved(self) -> Any:
        """What the optimizer moves: parameters, or groups of them."""
        return self.net.parameters()

    def schedule(self, optimizer: Any, max_epochs: int) -> LRScheduler | ReduceLROnPlateau | None:
        """The learning rate's course, or None."""
        mode = str(self.hparams["mode"])
        return build_scheduler(optimizer, self.hparams["scheduler"], max_epochs=max_epochs, mode=mode)
