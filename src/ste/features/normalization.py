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

_RATIOS = ("stock_open", "stock_high", "stock_low", "stock_sma_20", "stock_sma_50")
_ALONE = ("stock_close", "stock_volume", "stock_macd", "stock_bb_upper", "stock_bb_lower")
_LOGS = ("news_count", "macro_vix", "policy_event_count", "policy_impact_score")

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
    _ratios: torch.Tensor
    _slow: torch.Tensor
    _logs: torch.Tensor
    _rest: torch.Tensor
    _order: torch.Tensor

    def __init__(self, columns: list[str], kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.columns = list(columns)
        self.register_buffer("mean", torch.zeros(len(columns)))
        self.register_buffer("scale", torch.ones(len(columns)))
        self.register_buffer("varies", torch.ones(len(columns), dtype=torch.bool), persistent=False)
        self._at = {name: i for i, name in enumerate(columns)}
        if kind == "stationary":
            for name, indices in self._places().items():
                self.register_buffer(name, torch.tensor(indices), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Prepared features, each about zero mean and unit variance over the training rows."""
        if self.kind == "stationary":
            x = self._stationary(x)
        return ((x - self.mean) / self.scale).clamp(-CLIP, CLIP)

    def rows(self, x: torch.Tensor, *, windows: bool) -> torch.Tensor:
        """Of raw rows `[N, F]` what a row alone decides: all of it, unless windows will be gathered from them.

        Args:
            x: raw rows.
            windows: leave what is measured against a window raw, for `to_windows`.
        """
        if not windows:
            return self(x)
        ready = self(x.unsqueeze(1)).squeeze(1)
        if self.kind == "stationary":
            for column in self._windowed:
                ready[:, column] = x[:, column]
        return ready

    def to_windows(self, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """What is left to do to windows `[B, T, F]` of `rows`, in place, on a device; None where nothing is."""
        if self.kind != "stationary":
            return None
        volume, *slow = self._windowed
        side_by_side = slow == list(range(slow[0], slow[-1] + 1))  # as in the weekly table; a slice copies nothing
        at = slice(slow[0], slow[-1] + 1) if side_by_side else torch.tensor(slow, device=device)
        mean, scale = self.mean.to(device), self.scale.to(device)
        of_volume, of_slow = (mean[volume], scale[volume]), (mean[at], scale[at])

        def finish(x: torch.Tensor) -> torch.Tensor:
            against, since = _against_mean(x[..., volume, None]), _since_first(x[..., at])
            x[..., volume] = ((against.squeeze(-1) - of_volume[0]) / of_volume[1]).clamp_(-CLIP, CLIP)
            x[..., at] = ((since - of_slow[0]) / of_slow[1]).clamp_(-CLIP, CLIP)
            return x

        return finish

    @property
    def _windowed(self) -> list[int]:
        """Columns that are measured against their window."""
        return [self._at[name] for name in ("stock_volume", *SLOW_MACRO)]

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

    def _places(self) -> dict[str, list[int]]:
        """Columns of each kind, and where each column stands once the kinds stand side by side."""
        kinds = {"_ratios": _RATIOS, "_slow": SLOW_MACRO, "_logs": _LOGS}
        rest = [name for name in self.columns if name not in (*_RATIOS, *_ALONE, *SLOW_MACRO, *_LOGS)]
        beside = [*_RATIOS, *_ALONE, *SLOW_MACRO, *_LOGS, *rest]
        places = {kind: [self._at[name] for name in names] for kind, names in kinds.items()}
        order = [beside.index(name) for name in self.columns]
        return places | {"_rest": [self._at[name] for name in rest], "_order": order}

    def _stationary(self, x: torch.Tensor) -> torch.Tensor:
        """Each kind of column by itself, then all in the table's order: few steps, which a traced graph repeats."""
        at = self._at
        close, upper, lower, macd, volume = (
            x[..., at[f"stock_{name}"], None] for name in ("close", "bb_upper", "bb_lower", "macd", "volume")
        )
        width = (upper - lower).clamp(min=1e-6 * close)
        place = ((2.0 * close - upper - lower) / width).clamp(-3.0, 3.0)
        # `index_select`: an index in brackets takes five times as long.
        ratios = torch.log(x.index_select(-1, self._ratios) / close)
        bands = torch.cat([upper, lower], dim=-1) / close - 1.0
        slow, logs = x.index_select(-1, self._slow), torch.log1p(x.index_select(-1, self._logs))
        if x.dim() == 3:
            volume, slow = _against_mean(volume), _since_first(slow)
        else:
            volume = torch.log1p(volume * close)
            slow = torch.zeros_like(slow)
        kinds = [ratios, place, volume, macd / close, bands, slow, logs, x.index_select(-1, self._rest)]
        return torch.cat(kinds, dim=-1).index_select(-1, self._order)


def _against_mean(volume: torch.Tensor) -> torch.Tensor:
    """Log of volumes `[B, T, 1]` against their window's mean."""
    return torch.log((1.0 + volume) / (1.0 + volume.mean(dim=1, keepdim=True)))


def _since_first(values: torch.Tensor) -> torch.Tensor:
    """Change of `[B, T, K]` since the window's first period."""
    return values - values[:, :1]
