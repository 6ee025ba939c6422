"""A transformer encoder read at its last step."""

import torch
from torch import nn
from torch.nn import functional

from ste.models.base import Net, check_arguments
from ste.registry import MODELS


class _Layer(nn.Module):
    """Self-attention over the weeks, then a feed-forward net, each on a normalised copy that is added back."""

    def __init__(self, size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size, bias=False)
        self.attention_out = nn.Linear(size, size)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(size),
            nn.Linear(size, 2 * size),
            nn.GELU(),
            nn.Linear(2 * size, size),
            nn.Dropout(dropout),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(self.attention_out(self._attend(self.attention_norm(x))))
        return x + self.feedforward(x)

    def _attend(self, x: torch.Tensor) -> torch.Tensor:
        projected = self.query_key_value(x).unflatten(-1, (3, self.num_heads, -1))  # [B, T, 3, heads, H / heads]
        query, key, value = projected.movedim(-3, 0).transpose(-3, -2).unbind(0)
        attended = functional.scaled_dot_product_attention(query, key, value)  # [B, heads, T, H / heads]
        return attended.transpose(-3, -2).flatten(-2)


@MODELS.register
class TransformerClassifier(Net):
    """Transformer encoder over a window of weeks, then one linear layer on its last step.

    Vaswani et al. (2017), NeurIPS, with the normalisation before each part (Xiong et al. 2020, ICML), GELU, and
    feed-forward layers of 2 H units. A week's position is its age, in sinusoids, so that windows of any length
    can be read and the latest week is the same in all. 17,763 parameters at the defaults.

    Args:
        input_size: features per week, F.
        hidden_size: width of the encoder, H.
        num_layers: encoder layers.
        num_heads: attention heads, which share `hidden_size`.
        num_classes: classes, C.
        dropout: fraction dropped after the embedding and after each part of a layer.

    Raises:
        ValueError: a size below 1, a width that is odd or that the heads cannot share, or dropout outside [0, 1).
    """

    input_view = "sequence"

    def __init__(
        self,
        input_size: int = 21,
        hidden_size: int = 32,
        num_layers: int = 2,
        num_heads: int = 4,
        num_classes: int = 3,
        dropout: float = 0.1,
    ) -> None:
        if hidden_size < 2 or hidden_size % 2:
            raise ValueError(f"hidden_size={hidden_size}: expected an even number, 2 or more")
        if num_heads < 1 or hidden_size % num_heads:
            raise ValueError(f"num_heads={num_heads}: expected a divisor of hidden_size={hidden_size}")
        check_arguments(dropout, num_layers=num_layers)
        super().__init__()
        self.embedding = nn.Linear(input_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(*(_Layer(hidden_size, num_heads, dropout) for _ in range(num_layers)))
        self.norm = nn.LayerNorm(hidden_size)
        self.head = nn.Linear(hidden_size, num_classes)

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """The last step's state, `[B, H]`, of windows `[B, T, F]`, oldest week first."""
        embedded = self.embedding(x)
        embedded = self.dropout(embedded + _positions(x.shape[-2], self.embedding.weight))
        return self.norm(self.layers(embedded)[..., -1, :])


def _positions(weeks: int, weight: torch.Tensor) -> torch.Tensor:
    """Sinusoids of the weeks' ages, 0 for the last: `[T, H]`, of the type and on the device of a weight `[H, F]`."""
    size = weight.shape[-2]
    age = torch.arange(weeks, device=weight.device, dtype=weight.dtype).flip(0)
    even = torch.arange(0, size, 2, device=weight.device, dtype=weight.dtype)
    angle = age[:, None] * 10_000.0 ** (-even / size)
    return torch.cat([angle.sin(), angle.cos()], dim=1)
