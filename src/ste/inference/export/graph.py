"""A trained model as one torch module from raw features to class probabilities, ready to be traced.

Shapes: B a batch, T periods in a window, F features, C classes, K members.
"""

from collections.abc import Sequence

import torch
from torch import nn

from ste.baselines import GradientBoosting, Logistic, Majority, Persistence, Volatility
from ste.baselines.fitted_baseline import FittedBaseline
from ste.ensembles.pooling import Combination, Pool
from ste.errors import RunError
from ste.evaluation.metrics.base import MIN_PROBABILITY
from ste.inference.export.trees import Trees
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.training.fit import Model

_REFUSED = {
    Persistence: "it repeats the class that came last, which is no feature of the table",
    Volatility: "it reads twelve weeks of the ticker and the ranges of all tickers of a week, which no window holds",
}
"""Baselines that a window of features is not enough for."""


def graph_of(model: Model) -> nn.Module:
    """Raw features, `[B, T, F]` or `[B, F]` as the model reads them, to probabilities float32 `[B, C]`.

    Raises:
        RunError: a baseline that reads what is not among the features of a window.
    """
    if isinstance(model, ReplicaModule):
        return _Chain(model.representation, _Replicas(model.net, model.weights)).eval()
    if not isinstance(model, FittedBaseline):
        return _Chain(model.representation, model.net, nn.Softmax(dim=-1)).eval()
    baseline = model.baseline
    if isinstance(baseline, Majority):
        return _Shares(baseline)
    if isinstance(baseline, GradientBoosting):
        return _Chain(model.representation, Trees(baseline.booster)).eval()
    if isinstance(baseline, Logistic) and type(baseline) not in _REFUSED:
        return _Chain(model.representation, _Logistic(baseline)).eval()
    reason = _REFUSED.get(type(baseline), "it has no ONNX form here")
    raise RunError(f"{model.name} cannot be exported: {reason}. Export a net, logistic, gbm or majority.")


class Members(nn.Module):
    """An ensemble: each member reads its own last periods of the longest window, and what they say is combined.

    Args:
        members: from `graph_of`.
        lengths: periods that each reads; None is one row without a dimension of time.
        combination: what was learnt, of a fold.
        flat: whether all members read rows, and so the ensemble does.
    """

    def __init__(
        self, members: Sequence[nn.Module], lengths: Sequence[int | None], combination: Combination, *, flat: bool
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.lengths = list(lengths)
        self.combine = _Pool(combination) if isinstance(combination, Pool) else _Stacking(combination)
        self.flat = flat

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Probabilities float32 `[B, C]` of raw features, `[B, T, F]` or `[B, F]`."""
        said = [member(self._own(features, n)) for member, n in zip(self.members, self.lengths, strict=True)]
        return self.combine(torch.stack(said).double()).float()

    def _own(self, features: torch.Tensor, length: int | None) -> torch.Tensor:
        if self.flat:
            return features
        return features[:, -1] if length is None else features[:, -length:]


class _Chain(nn.Sequential):
    """One after the other; the exporter asks for the input's name."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for part in self:
            features = part(features)
        return features


class _Replicas(nn.Module):
    """Weighted mean of the replicas' probabilities, whatever the size of the batch."""

    weights: torch.Tensor

    def __init__(self, net: nn.Module, weights: torch.Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("weights", weights.float().view(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.net(x.expand(len(self.weights), *x.shape))
        mean = (self.weights * logits.softmax(dim=-1)).sum(dim=0)
        return mean / mean.sum(dim=-1, keepdim=True)


class _Shares(nn.Module):
    """The same probabilities for every example."""

    shares: torch.Tensor

    def __init__(self, baseline: Majority) -> None:
        super().__init__()
        self.register_buffer("shares", torch.from_numpy(baseline.frequencies).float())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.shares.expand(features.shape[0], -1)


class _Logistic(nn.Module):
    """Multinomial logistic regression on the last period, in the float64 that it was fitted in."""

    mean: torch.Tensor
    scale: torch.Tensor
    weights: torch.Tensor
    intercept: torch.Tensor

    def __init__(self, baseline: Logistic) -> None:
        super().__init__()
        for name in ("mean", "scale", "weights", "intercept"):
            self.register_buffer(name, torch.from_numpy(getattr(baseline, name).copy()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = x[:, -1] if x.dim() == 3 else x
        scores = (last.double() - self.mean) / self.scale @ self.weights + self.intercept
        return scores.softmax(dim=-1).float()


class _Pool(nn.Module):
    """`evaluation.ensembling.Pool` of `[K, B, C]`."""

    weights: torch.Tensor

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.register_buffer("weights", torch.from_numpy(pool.weights).view(-1, 1, 1))

    def forward(self, chances: torch.Tensor) -> torch.Tensor:
        return (self.weights * chances).sum(dim=0)


class _Stacking(nn.Module):
    """`evaluation.ensembling.Stacking` of `[K, B, C]`."""

    weights: torch.Tensor
    intercept: torch.Tensor

    def __init__(self, stacking: Combination) -> None:
        super().__init__()
        assert not isinstance(stacking, Pool)
        # As one product: [C, K, C] to [K C, C].
        count = len(stacking.intercept)
        self.register_buffer("weights", torch.from_numpy(stacking.coefficients).reshape(count, -1).T.contiguous())
        self.register_buffer("intercept", torch.from_numpy(stacking.intercept))

    def forward(self, chances: torch.Tensor) -> torch.Tensor:
        logs = chances.clamp(min=MIN_PROBABILITY).log().transpose(0, 1).flatten(1)  # [B, K C]
        return (logs @ self.weights + self.intercept).softmax(dim=-1)
