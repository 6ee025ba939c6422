"""A recurrent net whose tickers attend to each other."""

import torch
from torch import nn

from ste.models.base import MarketNet, check_arguments
from ste.registry import MODELS


class _MarketLayer(nn.Module):
    """Self-attention over the examples of a date, on a normalised copy that is added back."""

    def __init__(self, size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size, bias=False)
        self.out = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
        same = (group[..., :, None] == group[..., None, :]).unsqueeze(-3)  # [1, B, B]: never empty, for itself
        projected = self.query_key_value(self.norm(x)).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = projected.movedim(-3, 0).transpose(-3, -2).unbind(0)  # [heads, B, H / heads]
        score = query @ key.mT / query.shape[-1] ** 0.5
        attended = score.masked_fill(~same, float("-inf")).softmax(dim=-1) @ value
        return x + self.dropout(self.out(attended.transpose(-3, -2).flatten(-2)))


@MODELS.register
class MarketAttention(MarketNet):
    """GRU over each ticker's window, attention across the tickers of the date, then one linear layer.

    The cross-asset attention of Wang et al. (2019), KDD, "AlphaStock", section 4.2: a recurrent state for each ticker,
    and each state attends to those of all tickers at that date. Here with several heads, normalised before and added
    back (as Li et al. 2024, AAAI, "MASTER", have it between stocks), a GRU in place of their LSTM, and without
    AlphaStock's prior of price ranks. A ticker that is missing at a date is absent; one alone attends to itself. 9,635
    parameters at the defaults.

    Args:
        input_size: features per period, F.
        hidden_size: units of each GRU layer and width of the attention, H.
        num_layers: stacked GRU layers.
        num_heads: attention heads, which share `hidden_size`.
        num_classes: classes, C.
        dropout: fraction dropped between GRU layers, after the attention and before the linear layer.

    Raises:
        ValueError: a size below 1, a width that the heads cannot share, or dropout outside [0, 1).
    """

    input_view = "sequence"

    def __init__(
        self,
        input_size: int = 21,
        hidden_size: int = 32,
        num_layers: int = 1,
        num_heads: int = 4,
        num_classes: int = 3,
        dropout: float = 0.1,
    ) -> None:
        check_arguments(dropout, hidden_size=hidden_size, num_layers=num_layers)
        if num_heads < 1 or hidden_size % num_heads:
            raise ValueError(f"num_heads={num_heads}: expected a divisor of hidden_size={hidden_size}")
        super().__init__()
        self.gru = nn.GRU(
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.market = _MarketLayer(hidden_size, num_heads, dropout)
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, num_classes)

    def latent(self, x: torch.Tensor, group: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """State after the attention, `[B, H]`, of windows `[B, T, F]`, oldest first, and their dates `[B]`."""
        hidden, _ = self.gru(x)  # [B, T, H]
        return self.dropout(self.norm(self.market(hidden[..., -1, :], group)))
