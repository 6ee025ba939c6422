"""Normalize raw features of a table before they enter a net; part of the model, so that a checkpoint is complete.

`standard` scales each column by its training mean and standard deviation. `stationary` first removes what drifts, as
each column declares in the schema (`Column.normalization`): prices become their log ratio to the row's close, the MACD
a fraction of the close, the bands their distance from it, volume its log ratio to the window's mean (a flat row: log
dollar volume), counts and the VIX the log of 1 plus the value. The close becomes its position between the bands, -1 at
the lower and 1 at the upper. Slow macro figures become their change since the window's first period (a flat row: 0),
because their level identifies the date rather than the market; docs/decisions.md has the measured effect.
"""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from ste.schema import columns_normalized_by

SLOW_MACRO = columns_normalized_by("window_change")

_RATIOS, _LOGS = columns_normalized_by("log_ratio"), columns_normalized_by("log1p")
_SINGLE = ("stock_close", "stock_volume", "stock_macd", "stock_bb_upper", "stock_bb_lower")
assert set(_SINGLE) == {
    name for kind in ("band_position", "window_mean", "close_fraction", "ratio") for name in columns_normalized_by(kind)
}

CLIP = 6.0
"""Standard deviations at which a normalized feature is clipped, so that a shock does not dominate."""


class Normalizer(nn.Module):
    """Normalizes raw features `[B, T, F]` or `[B, F]` to features of the same shape.

    Args:
        columns: the table's feature names, in order.
        kind: `stationary` (of the `full` feature set only) or `standard`.

    Attributes:
        mean, scale: float32 `[F]`, fitted on training rows only; buffers, so that they are saved with the weights.
        varies: bool `[F]`, columns that are not constant over the training rows; all True in a loaded model.
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
            for name, indices in self._positions().items():
                self.register_buffer(name, torch.tensor(indices), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return normalized features with about zero mean and unit variance over the training rows."""
        if self.kind == "stationary":
            x = self._stationary(x)
        return ((x - self.mean) / self.scale).clamp(-CLIP, CLIP)

    def rows(self, x: torch.Tensor, *, windows: bool) -> torch.Tensor:
        """Normalize raw rows `[N, F]` as far as a row alone decides.

        Args:
            x: raw rows.
            windows: whether windows will be gathered from the rows; columns that depend on the window then stay raw
                for `to_windows`.
        """
        if not windows:
            return self(x)
        ready = self(x.unsqueeze(1)).squeeze(1)
        if self.kind == "stationary":
            for column in self._windowed:
                ready[:, column] = x[:, column]
        return ready

    def to_windows(self, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Return a function that completes windows `[B, T, F]` of `rows` in place; None where none is needed."""
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
        """Columns that depend on the window."""
        return [self._at[name] for name in ("stock_volume", *SLOW_MACRO)]

    @torch.no_grad()
    def fit(self, chunks: Callable[[], Iterable[torch.Tensor]]) -> None:
        """Fit mean and scale to the training windows.

        Args:
            chunks: yields the raw features in parts; called twice.
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
        # A constant column is centred only: dividing by its rounding error would amplify noise.
        constant = scale <= 1e-6 * mean.abs().clamp(min=1e-6)
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(constant, torch.ones_like(scale), scale))
        self.varies.copy_(~constant)

    def _positions(self) -> dict[str, list[int]]:
        """Return the columns of each kind, and the position of each column after concatenating the kinds."""
        kinds = {"_ratios": _RATIOS, "_slow": SLOW_MACRO, "_logs": _LOGS}
        rest = [name for name in self.columns if name not in (*_RATIOS, *_SINGLE, *SLOW_MACRO, *_LOGS)]
        joined = [*_RATIOS, *_SINGLE, *SLOW_MACRO, *_LOGS, *rest]
        positions = {kind: [self._at[name] for name in names] for kind, names in kinds.items()}
        order = [joined.index(name) for name in self.columns]
        return positions | {"_rest": [self._at[name] for name in rest], "_order": order}

    def _stationary(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize each kind of column at once, then restore the table's order: few operations in a graph."""
        at = self._at
        close, upper, lower, macd, volume = (
            x[..., at[f"stock_{name}"], None] for name in ("close", "bb_upper", "bb_lower", "macd", "volume")
        )
        width = (upper - lower).clamp(min=1e-6 * close)
        position = ((2.0 * close - upper - lower) / width).clamp(-3.0, 3.0)
        # `index_select`: an index in brackets takes five times as long.
        ratios = torch.log(x.index_select(-1, self._ratios) / close)
        bands = torch.cat([upper, lower], dim=-1) / close - 1.0
        slow, logs = x.index_select(-1, self._slow), torch.log1p(x.index_select(-1, self._logs))
        if x.dim() == 3:
            volume, slow = _against_mean(volume), _since_first(slow)
        else:
            volume = torch.log1p(volume * close)
            slow = torch.zeros_like(slow)
        kinds = [ratios, position, volume, macd / close, bands, slow, logs, x.index_select(-1, self._rest)]
        return torch.cat(kinds, dim=-1).index_select(-1, self._order)


def _against_mean(volume: torch.Tensor) -> torch.Tensor:
    """Return the log ratio of volumes `[B, T, 1]` to their window's mean."""
    return torch.log((1.0 + volume) / (1.0 + volume.mean(dim=1, keepdim=True)))


def _since_first(values: torch.Tensor) -> torch.Tensor:
    """Return the change of `[B, T, K]` since the window's first period."""
    return values - values[:, :1]
