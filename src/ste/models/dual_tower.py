"""Two towers, one for the stock's own columns and one for its context, joined late."""

import torch
from torch import nn

from ste.models.base import DeepHead, Net, check_arguments
from ste.registry import MODELS


@MODELS.register
class DualTowerModel(Net):
    """Stock columns and context columns through a tower each, then a joint head.

    2,371 parameters at its defaults, with 11 or with 8 stock columns.

    Args:
        input_size: features, F.
        tower_hidden_size: first layer of each tower; the second has half as many.
        hidden_size: units of the joint layer.
        num_classes: classes, C.
        stock_size: leading columns that go to the stock tower; the rest are context. The default is the
            seed document's; a training run takes the table's own number of stock columns, 11.
        dropout: fraction dropped after each tower and after the joint layer.

    Raises:
        ValueError: a tower without columns, a size too small, or dropout outside [0, 1).
    """

    head: DeepHead
    input_view = "flat"

    def __init__(
        self,
        input_size: int = 21,
        tower_hidden_size: int = 32,
        hidden_size: int = 16,
        num_classes: int = 3,
        stock_size: int = 8,
        dropout: float = 0.0,
    ) -> None:
        if not 0 < stock_size < input_size:
            raise ValueError(
                f"stock_size={stock_size}: expected 1 to {input_size - 1}, so that both towers have columns"
            )
        if tower_hidden_size < 2:
            raise ValueError(f"tower_hidden_size={tower_hidden_size}: expected 2 or more")
        check_arguments(dropout, hidden_size=hidden_size)
        super().__init__()
        self.stock_size = stock_size

        def tower(size: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(size, tower_hidden_size),
                nn.ReLU(),
                nn.Linear(tower_hidden_size, tower_hidden_size // 2),
                nn.ReLU(),
                nn.Dropout(dropout),
            )

        self.stock_tower = tower(stock_size)
        self.context_tower = tower(input_size - stock_size)
        self.head = DeepHead(
            nn.Linear(tower_hidden_size // 2 * 2, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, num_classes),
        )

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the last linear layer, `[B, hidden_size]`, of rows `[B, F]`."""
        stock, context = x[..., : self.stock_size], x[..., self.stock_size :]
        return self.head.hidden(torch.cat([self.stock_tower(stock), self.context_tower(context)], dim=-1))
