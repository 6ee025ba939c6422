"""An LSTM whose steps are weighed by temporal attention."""

import torch
from torch import nn

from ste.models.base import Net, check_arguments
from ste.registry import MODELS


@MODELS.register
class AttentiveLSTM(Net):
    """Feature mapping, LSTM, and attention over its steps, concatenated with its last step.

    Feng et al. (2019), IJCAI, "Enhancing Stock Movement Prediction with Adversarial Training", section 2;
    its Adv-ALSTM is this net with `fit.adversarial_weight` above 0. The paper's mapping and attention
    layers have sizes of their own (E and E'); here both are `hidden_size`. 10,435 parameters at the defaults.

    Args:
        input_size: features per week, F.
        hidden_size: units of the mapping, of the LSTM and of the attention, H.
        num_classes: classes, C.
        dropout: fraction dropped before the linear layer.

    Raises:
        ValueError: a size below 1, or dropout outside [0, 1).
    """

    input_view = "sequence"

    def __init__(
        self,
        input_size: int = 21,
        hidden_size: int = 32,
        num_classes: int = 3,
        dropout: float = 0.0,
    ) -> None:
        check_arguments(dropout, hidden_size=hidden_size)
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(input_size, hidden_size), nn.Tanh())
        self.lstm = nn.LSTM(hidden_size, hidden_size, batch_first=True)
        self.attention = nn.Sequential(
            nn.Linear(hidden_size, hidden_size),
            nn.Tanh(),
            nn.Linear(hidden_size, 1, bias=False),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden_size, num_classes)

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """Attended and last state, `[B, 2 H]`, of windows `[B, T, F]`, oldest week first."""
        hidden, _ = self.lstm(self.mapping(x))  # [B, T, H]
        weight = self.attention(hidden).softmax(dim=-2)  # [B, T, 1]
        return self.dropout(torch.cat([(weight * hidden).sum(dim=-2), hidden[..., -1, :]], dim=-1))
