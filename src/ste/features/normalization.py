"""Normalize raw features of a table before they enter a net; part of the model, so that a checkpoint is complete.

`standard` scales each column by its training mean and standard deviation. `stationary` first removes what drifts, as
each column declares (`Column.normalization`): in the default set prices become their log ratio to the row's close, the
MACD a fraction of the close, the bands their distance from it, volume its log ratio to the window's mean (a flat row:
log dollar volume), counts and the VIX the log of 1 plus the value. The close becomes its position between the bands, -1
at the lower and 1 at the upper. Slow macro figures become their change since the window's first period (a flat row: 0),
because their level identifies the date rather than the market; docs/decisions.md has the measured effect.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from ste.features.column_forms import ColumnForms

CLIP = 6.0
"""Standard deviations at which a normalized feature is clipped, so that a shock does not dominate."""


class Normalizer(nn.Module):
    """Normalizes raw features `[B, T, F]` or `[B, F]` to features of the same shape.

    Args:
        forms: how `stationary` normalizes each column, as plain values (`ColumnForms.to_dict`).
        kind: `stationary` or `standard`.

    Attributes:
        mean, scale: float32 `[F]`, fitted on training rows only; buffers, so that they are saved with the weights.
        varies: bool `[F]`, columns that are not constant over the training rows; all True in a loaded model.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    varies: torch.Tensor

    def __init__(self, forms: dict[str, Any], kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.forms = ColumnForms.from_dict(forms)
        count = len(self.forms.names)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.register_buffer("varies", torch.ones(count, dtype=torch.bool), persistent=False)
        if kind == "stationary":
            for name, indices in self._positions().items():
                self.register_buffer(f"_at_{name}", torch.tensor(indices, dtype=torch.int64), persistent=False)

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
            for column in self.forms.at("window_mean", "window_change"):
                ready[:, column] = x[:, column]
        return ready

    def to_windows(self, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """Return a function that completes windows `[B, T, F]` of `rows` in place; None where none is needed."""
        if self.kind != "stationary":
            return None
        steps = []
        for kind, relative in (("window_mean", _against_mean), ("window_change", _since_first)):
            columns = self.forms.at(kind)
            if columns:
                at, index = _selection(columns, device), torch.tensor(columns, device=device)
                steps.append((at, index, relative, self.mean.to(device)[at], self.scale.to(device)[at]))

        def finish(x: torch.Tensor) -> torch.Tensor:
            for at, index, relative, mean, scale in steps:
                # Selected as in `_stationary`: a mean over a view with other strides differs in the last digit.
                x[..., at] = ((relative(x.index_select(-1, index)) - mean) / scale).clamp_(-CLIP, CLIP)
            return x

        return finish if steps else None

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
        """Return the columns of each kind, and the position of each column after joining the kinds."""
        kinds = {kind: self.forms.at(kind) for kind in _FORMS}
        joined = [column for columns in kinds.values() for column in columns]
        bands = [self.forms.bands[str(column)] for column in kinds["band_position"]]
        return {
            **kinds,
            "lower": [lower for lower, _ in bands],
            "upper": [upper for _, upper in bands],
            "order": [joined.index(column) for column in range(len(joined))],
        }

    def _stationary(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize each kind of column at once, then restore the table's order: few operations in a graph."""
        close = None if self.forms.close is None else x[..., self.forms.close, None]
        parts = [form(self, self._select(x, kind), x, close) for kind, form in _FORMS.items() if self.forms.at(kind)]
        return self._select(torch.cat(parts, dim=-1), "order")

    def _select(self, x: torch.Tensor, name: str) -> torch.Tensor:
        # `index_select`: an index in brackets takes five times as long.
        return x.index_select(-1, self.get_buffer(f"_at_{name}"))

    def _band_position(self, values: torch.Tensor, x: torch.Tensor, close: torch.Tensor) -> torch.Tensor:
        lower, upper = self._select(x, "lower"), self._select(x, "upper")
        width = (upper - lower).clamp(min=1e-6 * close)
        return ((2.0 * values - upper - lower) / width).clamp(-3.0, 3.0)

    def _window_mean(self, values: torch.Tensor, x: torch.Tensor, close: torch.Tensor | None) -> torch.Tensor:
        if x.dim() == 3:
            return _against_mean(values)
        return torch.log1p(values if close is None else values * close)


_FORMS: dict[str, Callable[..., torch.Tensor]] = {
    "log_ratio": lambda own, values, x, close: torch.log(values / close),
    "band_position": Normalizer._band_position,
    "window_mean": Normalizer._window_mean,
    "close_fraction": lambda own, values, x, close: values / close,
    "ratio": lambda own, values, x, close: values / close - 1.0,
    "window_change": lambda own, values, x, close: _since_first(values) if x.dim() == 3 else torch.zeros_like(values),
    "log": lambda own, values, x, close: torch.log(values),
    "log1p": lambda own, values, x, close: torch.log1p(values),
    "fraction": lambda own, values, x, close: values / (1.0 + values),
    "none": lambda own, values, x, close: values,
}
"""Normalized values of the columns of each kind, from the raw values, all columns `x`, and the close."""


def _selection(columns: list[int], device: torch.device) -> slice | torch.Tensor:
    """Return an index of columns; a slice, which copies nothing, where they lie side by side."""
    side_by_side = columns == list(range(columns[0], columns[-1] + 1))
    return slice(columns[0], columns[-1] + 1) if side_by_side else torch.tensor(columns, device=device)


def _against_mean(volume: torch.Tensor) -> torch.Tensor:
    """Return the log ratio of volumes `[B, T, K]` to their window's mean."""
    return torch.log((1.0 + volume) / (1.0 + volume.mean(dim=1, keepdim=True)))


def _since_first(values: torch.Tensor) -> torch.Tensor:
    """Return the change of `[B, T, K]` since the window's first period."""
    return values - values[:, :1]
