"""Ensemble prediction of replicas."""

import torch
from torch import nn

from ste.data.window_dataset import forward_batch_size


class Ensemble(nn.Module):
    """Deep ensemble: the weighted mean of the replicas' probabilities (Lakshminarayanan et al. 2017, NeurIPS).

    Args:
        net: stacked, of R replicas.
        weights: of the replicas, `[R]`, sum 1.
    """

    def __init__(self, net: nn.Module, weights: torch.Tensor) -> None:
        super().__init__()
        self.net = net
        self.weights = weights

    def forward(self, x: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the log of the mean probabilities, `[B, C]`, of normalized features `[B, ...]` and their dates."""
        probs = replica_logits(self.net, x, len(self.weights), group).float().softmax(dim=-1)
        mean = (self.weights.float().view(-1, 1, 1) * probs).sum(dim=0)
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()


def replica_logits(net: nn.Module, x: torch.Tensor, count: int, group: torch.Tensor | None = None) -> torch.Tensor:
    """Compute every replica's logits `[R, B, C]` of the same normalized features `[B, ...]`.

    Args:
        net: stacked.
        x: features of a batch.
        count: replicas, R.
        group: dates of the examples, `[B]`, for a net that reads those of a date together; else None.
    """
    if group is not None:
        logits: torch.Tensor = net(x.expand(count, *x.shape), group.expand(count, -1))
        return logits
    rows = count * (x.shape[1] if x.dim() == 3 else 1)
    parts = [net(part.expand(count, *part.shape)) for part in x.split(forward_batch_size(rows, x.device))]
    return torch.cat(parts, dim=1)
