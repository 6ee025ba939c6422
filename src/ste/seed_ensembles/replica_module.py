"""LightningModule of several replicas of one net, trained together."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torchmetrics import Metric
from torchmetrics.aggregation import MeanMetric

from ste.data.batch_loader import BatchLoader
from ste.data.datamodule import DatasetView, TrendDataModule
from ste.data.window_dataset import Batch
from ste.errors import ConfigError
from ste.evaluation.epoch_metrics import EpochMetrics, LogLoss
from ste.registry import MODELS
from ste.seed_ensembles.best_epochs import BestEpochs
from ste.seed_ensembles.mean_prediction import Ensemble, replica_logits
from ste.seed_ensembles.replica_loader import PADDING, ReplicaDateLoader, ReplicaLoader
from ste.seed_ensembles.replica_optimizer import ReplicaPlateau, ReplicaViews, clip_replicas
from ste.seed_ensembles.stacked_dropout import RandomStreams
from ste.seed_ensembles.stacking import stack
from ste.training.cached_dataset import NormalizedBatch
from ste.training.losses.base import LossInputs
from ste.training.losses.build import loss_inputs
from ste.training.module import TrendModule
from ste.training.tempered import Tempered


class ReplicaModule(TrendModule):
    """Train R replicas of a net together: replica i is the `TrendModule` of `seed + i`, up to rounding.

    Its prediction is the ensemble's. Training curves are means over replicas, `val/loss` too; the other validation
    curves are of the ensemble of the epoch's nets, and `val/<monitor>_replica_mean` and `_replica_std` are over the
    single nets. Each replica's own best epoch is selected.

    Args:
        replicas: `replicas`, how many; `lr`, `weight_decay` and `dropout`, a value for each or None; `weighting`;
            `patience`, epochs or None. Settings as a dict.
        settings: of `TrendModule`; `seed` is the first replica's.

    Attributes:
        weights: of each replica in the ensemble, float32 `[R]`, sum 1.
        best_epochs: selected epoch of each replica, from 0, int64 `[R]`.
    """

    selects_epochs = True
    weights: torch.Tensor
    best_epochs: torch.Tensor

    def __init__(self, replicas: dict[str, Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.hparams["replicas"] = replicas
        count, monitor = int(replicas["replicas"]), str(self.hparams["monitor"])
        self.count = count
        self.streams = RandomStreams(count)
        nets = _nets(self.hparams["net"], self.hparams["net_arguments"], self.seeds, replicas)
        try:
            self.net = stack(nets, self.streams)
        except TypeError as error:
            raise ConfigError(
                f"train.replicas={count}: {error}, so replicas of {self.hparams['net']} cannot be trained together. "
                "Try train.replicas=1, or a sweep over seeds: -m seed=0,1,2."
            ) from None
        self.replica_metrics = nn.ModuleList(_replica_metric(monitor, self._classes) for _ in range(count))
        self.register_buffer("weights", torch.full((count,), 1.0 / count))
        self.register_buffer("best_epochs", torch.zeros(count, dtype=torch.int64))
        self.best: BestEpochs | None = BestEpochs(count, str(self.hparams["mode"]), replicas["patience"])
        self._views: ReplicaViews | None = None
        self._plateau: ReplicaPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None

    @property
    def seeds(self) -> range:
        """Seed of each replica."""
        first = int(self.hparams["seed"])
        return range(first, first + int(self.hparams["replicas"]["replicas"]))

    @property
    def _classes(self) -> int:
        return int(self.hparams["net_arguments"]["num_classes"])

    @property
    def predictor(self) -> nn.Module:
        """The ensemble; its logits are the log of the mean probabilities, divided by the temperature."""
        return Tempered(Ensemble(self.net, self.weights), self.temperature)

    def normalized(self, batch: Batch) -> torch.Tensor:
        """Return normalized features: one batch for all, `[B, ...]`, or one for each replica, `[R, B, ...]`."""
        if isinstance(batch, NormalizedBatch) or batch.label.dim() == 1:
            return super().normalized(batch)
        flat = Batch(batch.features.flatten(0, 1), batch.label.flatten())  # the weight is read by the loss alone
        return super().normalized(flat).unflatten(0, batch.label.shape)

    @torch.no_grad()
    def replica_probabilities(self, x: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        """Compute each replica's class probabilities, float32 `[R, B, C]`, of raw features and their dates."""
        return self._replica_logits(self.representation(x), group).float().softmax(dim=-1)

    def _replica_logits(self, x: torch.Tensor, group: torch.Tensor | None) -> torch.Tensor:
        features, *dates = self.inputs(x, group)
        return replica_logits(self.net, features, self.count, *dates)

    def training_loader(self, data: TrendDataModule, cached: DatasetView) -> BatchLoader:
        """Return a loader that gives each replica the batches of its seed."""
        train, size = data.datasets["train"], data.settings.batch_size
        if self.whole_dates:
            return ReplicaDateLoader(cached(train.market()), size, data.seed, self.count)
        return ReplicaLoader(cached(train), size, data.seed, self.count)

    def on_train_start(self) -> None:
        """Restore a resumed plateau schedule; stop at once where all replicas had stopped."""
        super().on_train_start()
        if self._plateau is not None and self._plateau_state is not None:
            self._plateau.load_state_dict(self._plateau_state)
        if self.best is not None and self.best.done:
            self.trainer.should_stop = True

    def on_train_epoch_start(self) -> None:
        """Seed each replica's random stream as in its own run."""
        super().on_train_epoch_start()
        self.streams.seed([self.epoch_seed(seed) for seed in self.seeds])

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Compute the sum of the replicas' losses, whose gradients are each replica's own."""
        if batch.group is None:
            return super().training_step(batch, batch_idx).sum()
        # Dropout must draw for each replica what it draws for its own batch, without the padding.
        self.streams.sizes = (batch.group != PADDING).sum(dim=1).tolist()
        try:
            latent = self.net.latent(*self.inputs(self.normalized(batch), batch.group))  # type: ignore[operator]
        finally:
            self.streams.sizes = None
        logits = self.net.classify(latent)  # type: ignore[operator]
        return self._objective(logits, latent, batch.label, batch.label, loss_inputs(batch)).sum()

    def _add_step(self, loss: torch.Tensor, logits: torch.Tensor, label: torch.Tensor) -> None:
        if self.whole_dates:
            known = label >= 0
            logits, label = logits[known], label[known]
        super()._add_step(loss, logits, label)

    def loss_of(self, logits: torch.Tensor, target: torch.Tensor, inputs: LossInputs) -> torch.Tensor:
        """Compute losses `[R]` of logits `[R, B, C]` and targets `[R, B]`; examples of the label -1 do not count."""
        if inputs.group is None:
            return self.loss(logits, target, inputs)
        losses = []
        for i, own in enumerate(target):
            rows = own >= 0
            parts = LossInputs(*(None if part is None else part[i] for part in inputs))
            losses.append(self.loss(logits[i][rows], own[rows], parts.at(rows)))
        return torch.stack(losses)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the epoch's metrics, the ensemble's and each replica's."""
        logits, label, inputs = (
            self._replica_logits(self.normalized(batch), batch.group),
            batch.label,
            loss_inputs(batch),
        )
        if batch.group is not None:
            rows = batch.labelled
            logits, label, inputs = logits[:, rows], label[rows], inputs.at(rows)
        inputs = LossInputs(*(None if part is None else part.expand(self.count, -1) for part in inputs))
        losses = self.loss_of(logits, label.expand(self.count, -1), inputs)
        self.val_loss.update(losses, len(label))
        probs = logits.float().softmax(dim=-1)
        self.val_metrics.update(probs.mean(dim=0), label)
        for i, metric in enumerate(self.replica_metrics):
            if isinstance(metric, MeanMetric):
                metric.update(losses[i], len(label))
            else:
                metric.update(probs[i], label)  # type: ignore[operator]

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's metrics, update each replica's best epoch and step their plateau schedules."""
        super().on_validation_epoch_end()
        monitor = str(self.hparams["monitor"])
        computed = [metric.compute() for metric in self.replica_metrics]  # type: ignore[operator]
        values = torch.tensor(
            [float(one[monitor] if isinstance(one, dict) else one) for one in computed], dtype=torch.float64
        )
        for metric in self.replica_metrics:
            metric.reset()  # type: ignore[operator]
        self.log_epoch(
            {f"val/{monitor}_replica_mean": float(values.mean()), f"val/{monitor}_replica_std": float(values.std())}
        )
        if self.trainer.sanity_checking:
            return
        assert self.best is not None
        self.best.update(values, self.current_epoch, self.net)
        if self._plateau is not None:
            self._plateau.step(values)

    def on_train_epoch_end(self) -> None:
        """End the epoch, and the training where every replica has stopped."""
        super().on_train_epoch_end()
        assert self.best is not None
        if self.best.done:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save each replica's best epoch and plateau schedule too."""
        super().on_save_checkpoint(checkpoint)
        if self.best is not None:
            checkpoint["best"] = self.best.state_dict()
        checkpoint["plateau"] = None if self._plateau is None else self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore them."""
        super().on_load_checkpoint(checkpoint)
        self._plateau_state = checkpoint.get("plateau")
        if self.best is not None and "best" in checkpoint:
            self.best.load_state_dict(checkpoint["best"], self.device)

    def optimizer_params(self) -> Any:
        """Return the stacked parameters, or a group for each replica where their rates differ."""
        given, settings = self.hparams["replicas"], self.hparams["optimizer"]
        alike = given["lr"] is None and given["weight_decay"] is None
        if alike and self.hparams["scheduler"]["name"] != "plateau":
            return self.net.parameters()
        self._views = ReplicaViews(self.net, self.count)
        lr, decay = (given[name] or [settings[name]] * self.count for name in ("lr", "weight_decay"))
        return self._views.groups(lr, decay)

    def configure_optimizers(self) -> Any:
        """Build the optimizer; a plateau schedule follows each replica's own metric and is stepped by the module."""
        built = super().configure_optimizers()
        if self.hparams["scheduler"]["name"] != "plateau":
            return built
        optimizer = built["optimizer"]
        self._plateau = ReplicaPlateau(optimizer, self.hparams["scheduler"], str(self.hparams["mode"]))
        return optimizer

    def on_after_backward(self) -> None:
        """Give each replica's parameter group its gradients."""
        if self._views is not None:
            self._views.take_gradients()

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        """Clear gradients, also those of parameters that the optimizer updates through views."""
        super().optimizer_zero_grad(epoch, batch_idx, optimizer)
        self.net.zero_grad()

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip in place of Lightning, which would clip the norm of all replicas together."""
        self.clip(gradient_clip_val, gradient_clip_algorithm)

    def clip(self, max_value: float | None, algorithm: str | None = None) -> None:
        """Clip each replica's gradients by its own norm, or every gradient by value."""
        if max_value is None or algorithm == "value":
            super().clip(max_value, algorithm)
        else:
            clip_replicas(self.net.parameters(), max_value)

    @torch.no_grad()
    def select_epochs(self, validation: Iterable[Batch]) -> int:
        """Load each replica's best epoch and weigh the replicas in the ensemble.

        With `weighting=validation` a replica's weight is proportional to exp(-log-loss) on the validation rows, the
        geometric mean of the probability that it gave to the true class.

        Args:
            validation: its batches, on the net's device.

        Returns:
            Median of the selected epochs.

        Raises:
            ConfigError: a replica never had a finite metric.
        """
        assert self.best is not None
        diverged = (~self.best.value.isfinite()).nonzero().flatten().tolist()
        if diverged:
            first = diverged[0]
            raise ConfigError(
                f"the fit diverged: val/{self.hparams['monitor']} of replica {first} (seed {self.seeds[first]}) "
                f"was never finite, nor of {len(diverged) - 1} more. Try a smaller optimizer.lr or train.lr."
            )
        self.net.load_state_dict(self.best.weights)
        self.best_epochs.copy_(self.best.epoch)
        self.best, self._views = None, None
        if self.hparams["replicas"]["weighting"] == "validation":
            self.eval()
            losses = [LogLoss() for _ in range(self.count)]
            for batch in validation:
                rows = slice(None) if batch.group is None else batch.labelled
                each = self.replica_probabilities(batch.features, batch.group)[:, rows]
                for loss, probs in zip(losses, each, strict=True):
                    loss.update(probs, batch.label[rows])
            self.weights.copy_(torch.stack([-loss.compute() for loss in losses]).softmax(dim=0))
        return int(self.best_epochs.median())


def build_module(settings: dict[str, Any]) -> TrendModule:
    """Build a ReplicaModule where the hyperparameters have `replicas`, else a TrendModule."""
    return ReplicaModule(**settings) if "replicas" in settings else TrendModule(**settings)


def _replica_metric(monitor: str, num_classes: int) -> Metric:
    """Return the metric that selects a replica's epoch."""
    if monitor == "loss":
        return MeanMetric()
    return LogLoss() if monitor == "log_loss" else EpochMetrics(num_classes)


def _nets(name: str, arguments: dict[str, Any], seeds: range, replicas: dict[str, Any]) -> list[nn.Module]:
    """Build each replica's net with the initial weights of its seed."""
    nets = []
    with torch.random.fork_rng(devices=[]):
        for i, seed in enumerate(seeds):
            own = {} if replicas["dropout"] is None else {"dropout": replicas["dropout"][i]}
            torch.manual_seed(seed)
            nets.append(MODELS.build(name, arguments | own))
    return nets
