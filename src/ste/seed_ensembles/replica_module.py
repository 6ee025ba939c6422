"""Replicas of a net under the one training step."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torchmetrics import Metric
from torchmetrics.aggregation import MeanMetric

from ste.data.windows import Batch
from ste.errors import ConfigError
from ste.evaluation.epoch_metrics import EpochMetrics, LogLoss
from ste.seed_ensembles.best_epochs import Best
from ste.seed_ensembles.mean_prediction import Ensemble, replica_logits
from ste.seed_ensembles.replica_optimizer import PlateauOfEach, ReplicaCrossEntropy, Views, clip_each
from ste.seed_ensembles.stacked_dropout import Streams
from ste.seed_ensembles.stacking import stack, unstack
from ste.training.cached_dataset import Ready
from ste.training.module import TrendModule, build_net


class ReplicaModule(TrendModule):
    """R replicas of a net: replica i is the `TrendModule` of `seed + i`, up to rounding, and all learn at once.

    Its prediction is the ensemble's. While it learns, training curves are means over replicas, `val/loss` too;
    the other validation curves are of the ensemble of the epoch's nets, and `val/<monitor>_replica_mean` and
    `_replica_std` are of the nets one by one. What is kept is each replica's own best epoch.

    Args:
        replicas: `replicas`, how many; `lr`, `weight_decay` and `dropout`, a value for each or None; `weighting`;
            `patience`. Settings as a dict.
        settings: of `TrendModule`; `seed` is the first replica's.

    Attributes:
        weights: of each replica in the ensemble, float32 `[R]`, sum 1.
        kept_epochs: the epoch that each replica is kept of, from 0, int64 `[R]`.
    """

    weights: torch.Tensor
    kept_epochs: torch.Tensor

    def __init__(self, replicas: dict[str, Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.hparams["replicas"] = replicas
        count, monitor = int(replicas["replicas"]), str(self.hparams["monitor"])
        self.count = count
        self.streams = Streams(count)
        self.net = stack(_nets(self.hparams["net"], self.hparams["net_arguments"], self.seeds, replicas), self.streams)
        weights, smoothing = self.hparams["class_weights"], self.hparams["label_smoothing"]
        self.loss = ReplicaCrossEntropy(  # type: ignore[assignment]
            None if weights is None else torch.tensor(weights), smoothing
        )
        self.figures = nn.ModuleList(_figure(monitor, self._classes) for _ in range(count))
        self.register_buffer("weights", torch.full((count,), 1.0 / count))
        self.register_buffer("kept_epochs", torch.zeros(count, dtype=torch.int64))
        self.best: Best | None = Best(count, str(self.hparams["mode"]), replicas["patience"])
        self._views: Views | None = None

    @property
    def seeds(self) -> range:
        """Each replica's."""
        first = int(self.hparams["seed"])
        return range(first, first + int(self.hparams["replicas"]["replicas"]))

    @property
    def _classes(self) -> int:
        return int(self.hparams["net_arguments"]["num_classes"])

    @property
    def predictor(self) -> nn.Module:
        """The ensemble; its logits are the log of the mean probabilities."""
        return Ensemble(self.net, self.weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Log of the ensemble's probabilities `[B, C]` of raw features, `[B, T, F]` or `[B, F]`."""
        return self.predictor(self.representation(x))

    def prepared(self, batch: Batch) -> torch.Tensor:
        """Prepared features of a batch of all, `[B, ...]`, or of the replicas' own batches, `[R, B, ...]`."""
        x, of_all = batch.features, batch.label.dim() == 1
        if isinstance(batch, Ready) or of_all:
            return super().prepared(batch)
        return self.representation(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    @torch.no_grad()
    def replica_probabilities(self, x: torch.Tensor) -> torch.Tensor:
        """Each replica's class probabilities, float32 `[R, B, C]`, of raw features."""
        return replica_logits(self.net, self.representation(x), self.count).float().softmax(dim=-1)

    def replica_state(self, replica: int) -> dict[str, torch.Tensor]:
        """State dict of one replica's net, as its class in `ste.models` loads it."""
        return unstack(self.net.state_dict(), replica)

    def on_train_start(self) -> None:
        """Put a resumed schedule where it was; replicas that had all stopped do not train another epoch."""
        super().on_train_start()
        if self.best is not None and self.best.done:
            self.trainer.should_stop = True

    def on_train_epoch_start(self) -> None:
        """Give each replica the random stream that it would have alone."""
        super().on_train_epoch_start()
        self.streams.seed([self.epoch_seed(seed) for seed in self.seeds])

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the epoch's figures, the ensemble's and each replica's."""
        logits = replica_logits(self.net, self.prepared(batch), self.count)
        losses = self.loss(logits, batch.label.expand(self.count, -1))
        self.val_loss.update(losses, len(batch.label))
        chances = logits.float().softmax(dim=-1)
        self.val_figures.update(chances.mean(dim=0), batch.label)
        for i, figure in enumerate(self.figures):
            if isinstance(figure, MeanMetric):
                figure.update(losses[i], len(batch.label))
            else:
                figure.update(chances[i], batch.label)  # type: ignore[operator]

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's curves and keep each replica's best epoch."""
        super().on_validation_epoch_end()
        monitor = str(self.hparams["monitor"])
        found = [figure.compute() for figure in self.figures]  # type: ignore[operator]
        values = [float(one[monitor] if isinstance(one, dict) else one) for one in found]
        figures = torch.tensor(values, dtype=torch.float64)
        for figure in self.figures:
            figure.reset()  # type: ignore[operator]
        monitor = f"val/{monitor}_replica"
        self.keep({f"{monitor}_mean": figures.mean(), f"{monitor}_std": figures.std()})
        assert self.best is not None
        self.best.update(figures, self.current_epoch, self.net)

    def on_train_epoch_end(self) -> None:
        """End the epoch, and the training where every replica has stopped."""
        super().on_train_epoch_end()
        assert self.best is not None
        if self.best.done:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep each replica's best epoch too."""
        super().on_save_checkpoint(checkpoint)
        if self.best is not None:
            checkpoint["best"] = self.best.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it back."""
        super().on_load_checkpoint(checkpoint)
        if self.best is not None and "best" in checkpoint:
            self.best.restore(checkpoint["best"], self.device)

    def moved(self) -> Any:
        """The stacked parameters, or where replicas have rates of their own a group for each."""
        given, settings = self.hparams["replicas"], self.hparams["optimizer"]
        alike = given["lr"] is None and given["weight_decay"] is None
        if alike and self.hparams["scheduler"]["name"] != "plateau":
            return self.net.parameters()
        self._views = Views(self.net, self.count)
        lr, decay = (given[name] or [settings[name]] * self.count for name in ("lr", "weight_decay"))
        return self._views.groups(lr, decay)

    def schedule(self, optimizer: Any, max_epochs: int) -> Any:
        """The learning rates' course, each replica's its own."""
        settings, best = self.hparams["scheduler"], self.best
        if settings["name"] != "plateau" or best is None:
            return super().schedule(optimizer, max_epochs)
        return PlateauOfEach(optimizer, settings, str(self.hparams["mode"]), lambda: best.latest)

    def on_after_backward(self) -> None:
        """Hand each replica's optimizer group its gradients."""
        if self._views is not None:
            self._views.take_gradients()

    def forget(self, optimizer: Any) -> None:
        """Forget gradients, also of parameters that the optimizer moves through views."""
        super().forget(optimizer)
        self.net.zero_grad()

    def clip(self, norm: float) -> None:
        """Clip each replica's own norm."""
        clip_each(self.learnt, norm)

    @torch.no_grad()
    def keep_best(self, validation: Iterable[Batch]) -> None:
        """End the training: each replica at its best epoch, and the weights of the ensemble.

        With `weighting=validation` a replica's weight is proportional to exp(-log-loss) on the validation rows,
        the geometric mean of the probability that it gave to what came.

        Args:
            validation: its batches, on the net's device.

        Raises:
            ConfigError: a replica never had a finite figure.
        """
        assert self.best is not None
        lost = (~self.best.value.isfinite()).nonzero().flatten().tolist()
        if lost:
            raise ConfigError(
                f"the fit diverged: val/{self.hparams['monitor']} of replica {lost[0]} (seed {self.seeds[lost[0]]}) "
                f"was never finite, nor of {len(lost) - 1} more. Try a smaller optimizer.lr or train.lr."
            )
        self.net.load_state_dict(self.best.weights)
        self.kept_epochs.copy_(self.best.epoch)
        self.best, self._views = None, None
        if self.hparams["replicas"]["weighting"] == "validation":
            self.eval()
            losses = [LogLoss() for _ in range(self.count)]
            for batch in validation:
                for loss, chances in zip(losses, self.replica_probabilities(batch.features), strict=True):
                    loss.update(chances, batch.label)
            self.weights.copy_(torch.stack([-loss.compute() for loss in losses]).softmax(dim=0))


def build_module(settings: dict[str, Any]) -> TrendModule:
    """A module of the kind that its hyperparameters say."""
    return ReplicaModule(**settings) if "replicas" in settings else TrendModule(**settings)


def _figure(monitor: str, num_classes: int) -> Metric:
    """What a replica's epoch is chosen by."""
    if monitor == "loss":
        return MeanMetric()
    return LogLoss() if monitor == "log_loss" else EpochMetrics(num_classes)


def _nets(name: str, arguments: dict[str, Any], seeds: range, replicas: dict[str, Any]) -> list[nn.Module]:
    """Each replica's net with the initial weights of its seed."""
    nets = []
    with torch.random.fork_rng(devices=[]):
        for i, seed in enumerate(seeds):
            own = {} if replicas["dropout"] is None else {"dropout": replicas["dropout"][i]}
            torch.manual_seed(seed)
            nets.append(build_net(name, arguments | own))
    return nets
