"""A stacked LSTM read at its last step."""

import torch
from torch import nn

from ste.models.base import DeepHead, Net, check_arguments
from ste.registry import MODELS


@MODELS.register
class SimpleLSTM(Net):
    """LSTM over a window of weeks, then two linear layers.

    Hochreiter and Schmidhuber (1997), Neural Computation 9(8). 57,731 parameters at its defaults.

    Args:
        input_size: features per week, F.
        hidden_size: units of each LSTM layer; the head has half as many.
        num_layers: stacked LSTM layers.
        num_classes: classes, C.
        dropout: fraction dropped between LSTM layers and before the last linear layer.

    Raises:
        ValueError: a size below 1 (hidden_size below 2), or dropout outside [0, 1).
    """

    head: DeepHead
    input_view = "sequence"

    def __init__(
        self,
        input_size: int = 21,
        hidden_size: int = 64,
        num_layers: int = 2,
        num_classes: int = 3,
        dropout: float = 0.0,
    ) -> None:
        if hidden_size < 2:
            raise ValueError(f"hidden_size={hidden_size}: expected 2 or more")
        check_arguments(dropout, num_layers=num_layers)
        super().__init__()
        self.lstm = nn.LSTM(
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.head = DeepHead(
            nn.Linear(hidden_size, hidden_size // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size // 2, num_classes),
        )

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the last linear layer, `[B, H // 2]`, of windows `[B, T, F]`, oldest week first."""
        hidden, _ = self.lstm(x)  # [B, T, H]
        return self.head.hidden(hidden[..., -1, :])
