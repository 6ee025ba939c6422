"""A multilayer perceptron on the last week."""

import torch
from torch import nn

from ste.models.base import Net, check_arguments
from ste.registry import MODELS


@MODELS.register
class MLP(Net):
    """Fully connected layers with ReLU on one row.

    Rumelhart, Hinton and Williams (1986), Nature 323. 1,859 parameters at its defaults.

    Args:
        input_size: features, F.
        hidden_size: units of each hidden layer.
        num_layers: hidden layers.
        num_classes: classes, C.
        dropout: fraction dropped after each hidden layer.

    Raises:
        ValueError: a size below 1, or dropout outside [0, 1).
    """

    input_view = "flat"

    def __init__(
        self,
        input_size: int = 21,
        hidden_size: int = 32,
        num_layers: int = 2,
        num_classes: int = 3,
        dropout: float = 0.1,
    ) -> None:
        check_arguments(dropout, hidden_size=hidden_size, num_layers=num_layers)
        super().__init__()
        layers: list[nn.Module] = []
        for size in [input_size, *[hidden_size] * (num_layers - 1)]:
            layers += [nn.Linear(size, hidden_size), nn.ReLU(), nn.Dropout(dropout)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(hidden_size, num_classes)

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """The last hidden layer, `[B, H]`, of rows `[B, F]`."""
        return self.body(x)
