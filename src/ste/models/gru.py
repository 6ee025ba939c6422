"""A gated recurrent unit read at its last step."""

import torch
from torch import nn

from ste.models.base import Net, check_arguments
from ste.registry import MODELS


@MODELS.register
class SimpleGRU(Net):
    """GRU over a window of weeks, then one linear layer.

    Cho et al. (2014), EMNLP, "Learning Phrase Representations using RNN Encoder-Decoder". 5,379 parameters
    at its defaults.

    Args:
        input_size: features per week, F.
        hidden_size: units of each GRU layer, H.
        num_layers: stacked GRU layers.
        num_classes: classes, C.
        dropout: fraction dropped between GRU layers and before the linear layer.

    Raises:
        ValueError: a size below 1, or dropout outside [0, 1).
    """

    input_view = "sequence"

    def __init__(
        self,
        input_size: int = 21,
        hidden_size: int = 32,
        num_layers: int = 1,
        num_classes: int = 3,
        dropout: float = 0.0,
    ) -> None:
        check_arguments(dropout, hidden_size=hidden_size, num_layers=num_layers)
        super().__init__()
        self.gru = nn.GRU(
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, num_classes)

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """The last step's state, `[B, H]`, of windows `[B, T, F]`, oldest week first."""
        hidden, _ = self.gru(x)  # [B, T, H]
        return self.dropout(hidden[..., -1, :])
