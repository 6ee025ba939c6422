"""How raw features of the weekly table enter a net; part of the model, so that a checkpoint is enough.

`standard` scales each column by its training mean and standard deviation. `stationary` first replaces
what drifts: prices by their log ratio to the row's own close, the MACD by its share of it, volume by
its log ratio to the window's mean (a flat row: dollar volume by its log), counts and the VIX by their
logs. The close itself has no ratio to itself left; its place takes the one thing that the band columns
say together, where the close lies between them (-1 at the lower band, 1 at the upper). The slow macro
figures become their change since the window's first week (a flat row: 0), because their level tells a
net the date rather than the market; docs/decisions.md has what that is worth.
"""

from collections.abc import Callable, Iterable

import torch
from torch import nn

REPRESENTATIONS = ("stationary", "standard")
SLOW_MACRO = ("macro_gdp_growth", "macro_inflation", "macro_unemployment", "macro_interest_rate")

CLIP = 6.0
"""Standard deviations beyond which a prepared feature is cut: a shock must not blow a net up."""


class Representation(nn.Module):
    """Raw features `[B, T, F]` or `[B, F]` to prepared ones of the same shape.

    Args:
        columns: the table's feature names, in order.
        kind: `stationary` or `standard`; the first knows the `full` feature set alone.

    Attributes:
        mean, scale: float32 `[F]`, fitted on training rows alone; buffers, so they travel with the weights.
        varies: bool `[F]`, columns that are not constant over the training rows; known where they were fitted.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    varies: torch.Tensor

    def __init__(self, columns: list[str], kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.columns = list(columns)
        self.register_buffer("mean", torch.zeros(len(columns)))
        self.register_buffer("scale", torch.ones(len(columns)))
        self.register_buffer("varies", torch.ones(len(columns), dtype=torch.bool), persistent=False)
        self._at = {name: i for i, name in enumerate(columns)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Prepared features, each about zero mean and unit variance over the training rows."""
        if self.kind == "stationary":
            x = self._stationary(x)
        return ((x - self.mean) / self.scale).clamp(-CLIP, CLIP)

    @torch.no_grad()
    def fit(self, chunks: Callable[[], Iterable[torch.Tensor]]) -> None:
        """Set mean and scale from the training windows.

        Args:
            chunks: gives the raw features in parts, and is asked twice.
        """
        total = torch.zeros_like(self.mean, dtype=torch.float64)
        square, n = torch.zeros_like(total), 0
        for chunk in chunks():
            x = self._stationary(chunk) if self.kind == "stationary" else chunk
            x = x.double().reshape(-1, x.shape[-1])
            total += x.sum(0)
            n += len(x)
        mean = total / n
        for chunk in chunks():
            x = self._stationary(chunk) if self.kind == "stationary" else chunk
            square += (x.double().reshape(-1, x.shape[-1]) - mean).square().sum(0)
        scale = (square / n).sqrt()
        # A constant column carries nothing and is only centred; rounding must not blow it up.
        constant = scale <= 1e-6 * mean.abs().clamp(min=1e-6)
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(constant, torch.ones_like(scale), scale))
        self.varies.copy_(~constant)

    def _stationary(self, x: torch.Tensor) -> torch.Tensor:
        at = self._at
        close = x[..., at["stock_close"]]
        upper, lower = x[..., at["stock_bb_upper"]], x[..., at["stock_bb_lower"]]
        out = x.clone()
        for name in ("open", "high", "low", "sma_20", "sma_50"):
            i = at[f"stock_{name}"]
            out[..., i] = torch.log(x[..., i] / close)
        out[..., at["stock_bb_upper"]] = upper / close - 1.0
        out[..., at["stock_bb_lower"]] = lower / close - 1.0
        out[..., at["stock_macd"]] = x[..., at["stock_macd"]] / close
        width = (upper - lower).clamp(min=1e-6 * close)
        out[..., at["stock_close"]] = ((2.0 * close - upper - lower) / width).clamp(-3.0, 3.0)
        volume = x[..., at["stock_volume"]]
        if x.dim() == 3:
            average = volume.mean(dim=1, keepdim=True)
            out[..., at["stock_volume"]] = torch.log((1.0 + volume) / (1.0 + average))
        else:
            out[..., at["stock_volume"]] = torch.log1p(volume * close)
        slow = [at[name] for name in SLOW_MACRO]
        out[..., slow] = x[..., slow] - x[:, :1, slow] if x.dim() == 3 else 0.0
        for name in ("news_count", "macro_vix", "policy_event_count", "policy_impact_score"):
            out[..., at[name]] = torch.log1p(x[..., at[name]])
        return out
