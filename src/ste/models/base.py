"""The base of the nets: their forward pass, and the checks of their sizes."""

import torch
from torch import nn


class DeepHead(nn.Sequential):
    """Hidden layers and the last linear layer."""

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Apply all layers but the last."""
        for layer in [*self][:-1]:  # a slice of a Sequential is a module, created again on each call
            x = layer(x)
        return x


class Net(nn.Module):
    """A net with the attribute `head`, its last linear layer or a `DeepHead`.

    Attributes:
        sees_market: whether an example is predicted together with the others of its date, see `MarketNet`.
    """

    sees_market = False
    head: nn.Linear | DeepHead

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the input of the last linear layer, `[B, D]`."""
        raise NotImplementedError

    def classify(self, latent: torch.Tensor) -> torch.Tensor:
        """Compute logits `[B, C]` of the latent representation `[B, D]`."""
        last = self.head[-1] if isinstance(self.head, DeepHead) else self.head
        logits: torch.Tensor = last(latent)
        return logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits `[B, C]`."""
        return self.classify(self.latent(x))


class MarketNet(Net):
    """A net that reads the examples of a date together, so that its second input is the date of each example.

    Examples of one date have equal groups, which mean nothing else; a date may have any number of examples.
    """

    sees_market = True

    def latent(self, x: torch.Tensor, group: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Compute the input of the last linear layer, `[B, D]`, of examples and their groups, int64 `[B]`."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor, group: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Compute logits `[B, C]`."""
        return self.classify(self.latent(x, group))


def check_arguments(dropout: float, **sizes: int) -> None:
    """Check a net's arguments.

    Raises:
        ValueError: a size below 1, or dropout outside [0, 1).
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}={size}: expected 1 or more")
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout={dropout}: expected a number in [0, 1)")
