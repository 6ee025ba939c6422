"""Losses of each of several replicas."""

import torch
from torch import nn
from torch.nn import functional


class ReplicaCrossEntropy(nn.Module):
    """Compute each replica's mean cross-entropy, as `nn.CrossEntropyLoss` does for one net.

    Args:
        weight: of each class, `[C]`, or None.
        label_smoothing: fraction of the target spread over all classes.
    """

    weight: torch.Tensor | None

    def __init__(self, weight: torch.Tensor | None, label_smoothing: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.label_smoothing = label_smoothing

    def forward(self, logits: torch.Tensor, label: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        """Compute losses `[R]` of logits `[R, B, C]` and labels `[R, B]`.

        In batches of whole dates, which have a `group`, an example of the label -1 does not count.
        """
        if group is not None:
            return self._of_labelled(logits, label)
        losses = functional.cross_entropy(
            logits.flatten(0, 1), label.flatten(), self.weight, reduction="none", label_smoothing=self.label_smoothing
        ).view(label.shape)
        if self.weight is None:
            return losses.mean(dim=1)
        return losses.sum(dim=1) / self.weight[label].sum(dim=1)

    def _of_labelled(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        known, known_label = (label >= 0).to(logits.dtype), label.clamp(min=0)
        losses = functional.cross_entropy(
            logits.flatten(0, 1),
            known_label.flatten(),
            self.weight,
            reduction="none",
            label_smoothing=self.label_smoothing,
        ).view(label.shape)
        total = known if self.weight is None else known * self.weight[known_label]
        return (losses * known).sum(dim=1) / total.sum(dim=1)


class ReplicaLosses(nn.Module):
    """Compute each replica's loss by a loss of one net, replica by replica.

    Args:
        loss: of one net, `ste.training.losses`.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.needs_groups = bool(getattr(loss, "needs_groups", False))

    def forward(self, logits: torch.Tensor, label: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        """Compute losses `[R]` of logits `[R, B, C]`, labels `[R, B]`, and dates `[R, B]` in batches of whole dates."""
        losses = []
        for i, own in enumerate(label):
            rows = own >= 0
            dates = (group[i][rows],) if self.needs_groups and group is not None else ()
            losses.append(self.loss(logits[i][rows], own[rows], *dates))
        return torch.stack(losses)
