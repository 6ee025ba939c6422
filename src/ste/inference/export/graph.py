"""Trained models as torch modules from raw features to class probabilities, to be traced for ONNX.

Shapes: B a batch, T periods in a window, F features, C classes, K members or replicas.
"""

from collections.abc import Sequence

import torch
from torch import nn

from ste.baselines import GradientBoosting, Logistic, Majority, Persistence, Volatility
from ste.baselines.estimator import Estimator
from ste.baselines.fitted_baseline import FittedBaseline
from ste.ensembles.pooling import Combination, Pool
from ste.errors import RunError
from ste.evaluation.metrics.base import MIN_PROBABILITY
from ste.inference.export.estimators import EstimatorGraph
from ste.inference.export.trees import TreesGraph
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.training.fit import Model

_NOT_EXPORTABLE = {
    Persistence: "it repeats the class that came last, which is no feature of the table",
    Volatility: "it reads twelve weeks of the ticker and the ranges of all tickers of a week, which no window holds",
}
"""Baselines that need more than a window of features, with the reason."""


def model_graph(model: Model) -> nn.Module:
    """Build the graph of a single model, its normalization included.

    Args:
        model: fitted.

    Returns:
        A module from raw features, `[B, T, F]` or `[B, F]` as the model reads them, to probabilities float32 `[B, C]`;
        of a net that sees the market, from features and dates, int64 `[B]`.

    Raises:
        RunError: a baseline that reads more than the features of a window.
    """
    if not isinstance(model, FittedBaseline):
        temperature = float(model.temperature)
        scaled = [] if temperature == 1.0 else [_TemperatureGraph(temperature)]
        if isinstance(model, ReplicaModule):
            parts: list[nn.Module] = [_ReplicasGraph(model.net, model.weights)]
            if scaled:
                parts += [_LogGraph(), *scaled, nn.Softmax(dim=-1)]
        else:
            parts = [model.net, *scaled, nn.Softmax(dim=-1)]
        chain = _MarketGraph if model.sees_market else _GraphChain
        return chain(model.representation, *parts).eval()
    baseline = model.baseline
    if isinstance(baseline, Majority):
        return _MajorityGraph(baseline)
    if isinstance(baseline, GradientBoosting):
        return _GraphChain(model.representation, TreesGraph(baseline.booster)).eval()
    if isinstance(baseline, Estimator):
        return _GraphChain(model.representation, EstimatorGraph(baseline)).eval()
    if isinstance(baseline, Logistic) and type(baseline) not in _NOT_EXPORTABLE:
        return _GraphChain(model.representation, _LogisticGraph(baseline)).eval()
    reason = _NOT_EXPORTABLE.get(type(baseline), "it has no ONNX form here")
    raise RunError(f"{model.name} cannot be exported: {reason}. Export a net, logistic, gbm, majority or sklearn.")


def slice_window(features: torch.Tensor, length: int | None) -> torch.Tensor:
    """Select what a member reads of the longest member's window.

    Args:
        features: `[B, T, F]`; or rows `[B, F]`, which are returned as they are.
        length: newest periods to select; None selects the newest one as a row `[B, F]`.
    """
    if features.dim() == 2:
        return features
    return features[:, -1] if length is None else features[:, -length:]


class EnsembleGraph(nn.Module):
    """An ensemble: each member reads its newest periods of the longest window, and the predictions are combined.

    Args:
        members: of `model_graph`.
        lengths: periods that each member reads; None is one row without a time dimension.
        combination: fitted weights or stacking.
        market: whether each member reads the dates of the examples too; None: no member does.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        lengths: Sequence[int | None],
        combination: Combination,
        market: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        self.market = [False] * len(members) if market is None else list(market)
        self.members = nn.ModuleList(members)
        self.lengths = list(lengths)
        self.combine = _PoolGraph(combination) if isinstance(combination, Pool) else _StackingGraph(combination)

    def forward(self, features: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        """Predict probabilities float32 `[B, C]` from raw features, `[B, T, F]` or `[B, F]`, and dates `[B]`."""
        parts = zip(self.members, self.lengths, self.market, strict=True)
        probs = [
            member(slice_window(features, length), *([group] if market else [])) for member, length, market in parts
        ]
        return self.combine(torch.stack(probs).double()).float()


class _GraphChain(nn.Sequential):
    """Modules in sequence; `nn.Sequential` with the name of the input that the exporter asks for."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for part in self:
            features = part(features)
        return features


class _MarketGraph(nn.Module):
    """Normalization, a net that reads the dates of the examples too, and what follows."""

    def __init__(self, representation: nn.Module, net: nn.Module, *after: nn.Module) -> None:
        super().__init__()
        self.representation, self.net, self.after = representation, net, nn.Sequential(*after)

    def forward(self, features: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.after(self.net(self.representation(features), group))
        return out


class _ReplicasGraph(nn.Module):
    """Weighted mean of the probabilities of K replicas."""

    weights: torch.Tensor

    def __init__(self, net: nn.Module, weights: torch.Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("weights", weights.float().view(-1, 1, 1))

    def forward(self, x: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        count = len(self.weights)
        dates = [] if group is None else [group.expand(count, -1)]
        logits = self.net(x.expand(count, *x.shape), *dates)
        mean = (self.weights * logits.softmax(dim=-1)).sum(dim=0)
        return mean / mean.sum(dim=-1, keepdim=True)


class _TemperatureGraph(nn.Module):
    """Logits divided by a temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits / self.temperature


class _LogGraph(nn.Module):
    """Logarithm of probabilities."""

    def forward(self, probs: torch.Tensor) -> torch.Tensor:
        return probs.clamp(min=torch.finfo(torch.float32).tiny).log()


class _MajorityGraph(nn.Module):
    """The class frequencies of training for every example."""

    frequencies: torch.Tensor

    def __init__(self, baseline: Majority) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.from_numpy(baseline.frequencies).float())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.frequencies.expand(features.shape[0], -1)


class _LogisticGraph(nn.Module):
    """Multinomial logistic regression on the last period, in the float64 of the fit."""

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


class _PoolGraph(nn.Module):
    """`ensembles.pooling.Pool` of `[K, B, C]`."""

    weights: torch.Tensor

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.register_buffer("weights", torch.from_numpy(pool.weights).view(-1, 1, 1))

    def forward(self, probs: torch.Tensor) -> torch.Tensor:
        return (self.weights * probs).sum(dim=0)


class _StackingGraph(nn.Module):
    """`ensembles.pooling.Stacking` of `[K, B, C]`."""

    weights: torch.Tensor
    intercept: torch.Tensor

    def __init__(self, stacking: Combination) -> None:
        super().__init__()
        assert not isinstance(stacking, Pool)
        # One matrix product: coefficients [C, K, C] as [K C, C].
        count = len(stacking.intercept)
        self.register_buffer("weights", torch.from_numpy(stacking.coefficients).reshape(count, -1).T.contiguous())
        self.register_buffer("intercept", torch.from_numpy(stacking.intercept))

    def forward(self, probs: torch.Tensor) -> torch.Tensor:
        logs = probs.clamp(min=MIN_PROBABILITY).log().transpose(0, 1).flatten(1)  # [B, K C]
        return (logs @ self.weights + self.intercept).softmax(dim=-1)
