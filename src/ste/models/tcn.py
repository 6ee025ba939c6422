"""A temporal convolutional network read at its last step."""

import torch
from torch import nn

from ste.models.base import Net, check_arguments
from ste.registry import MODELS


class _Block(nn.Module):
    """Two causal convolutions of one dilation, and a way around them; `[B, C, T]` to `[B, H, T]`."""

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        past = (kernel_size - 1) * dilation

        def convolution(size: int) -> list[nn.Module]:
            # Padded on the left alone: a step sees itself and the steps before it.
            return [
                nn.ConstantPad1d((past, 0), 0.0),
                nn.Conv1d(size, hidden_size, kernel_size, dilation=dilation),
                nn.ReLU(),
                nn.Dropout1d(dropout),
            ]

        self.convolutions = nn.Sequential(*convolution(input_size), *convolution(hidden_size))
        same = input_size == hidden_size
        self.residual = nn.Identity() if same else nn.Conv1d(input_size, hidden_size, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.convolutions(x) + self.residual(x)).relu()


@MODELS.register
class TCN(Net):
    """Residual blocks of dilated causal convolutions over a window of weeks, then one linear layer.

    Bai, Kolter and Koltun (2018), arXiv:1803.01271, without their weight normalisation: the nets are shallow
    and the optimizers adaptive. Dilations are 1, 2, 4, ...; the last step sees `receptive_field` weeks. 5,955
    parameters at its defaults.

    Args:
        input_size: features per week, F.
        hidden_size: channels of each convolution, H.
        num_layers: blocks; None takes the fewest whose last step sees the whole window.
        kernel_size: weeks that a convolution joins.
        num_classes: classes, C.
        sequence_length: weeks of a window, T; it only decides `num_layers`, and other lengths can be read.
        dropout: share of whole channels dropped after each convolution.

    Attributes:
        receptive_field: weeks up to the last that the logits depend on.

    Raises:
        ValueError: a size below 1 (kernel_size below 2), or dropout outside [0, 1).
    """

    input_view = "sequence"

    def __init__(
        self,
        input_size: int = 21,
        hidden_size: int = 32,
        num_layers: int | None = None,
        kernel_size: int = 3,
        num_classes: int = 3,
        sequence_length: int = 4,
        dropout: float = 0.3,
    ) -> None:
        if kernel_size < 2:
            raise ValueError(f"kernel_size={kernel_size}: expected 2 or more")
        super().__init__()

        def receptive_field(blocks: int) -> int:
            return 1 + 2 * (kernel_size - 1) * (2**blocks - 1)

        if num_layers is None:
            num_layers = 1
            while receptive_field(num_layers) < sequence_length:
                num_layers += 1
        check_arguments(dropout, hidden_size=hidden_size, num_layers=num_layers)
        self.receptive_field = receptive_field(num_layers)
        sizes = [input_size, *[hidden_size] * (num_layers - 1)]
        self.blocks = nn.Sequential(
            *(_Block(size, hidden_size, kernel_size, 2**i, dropout) for i, size in enumerate(sizes))
        )
        self.head = nn.Linear(hidden_size, num_classes)

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """The last step's channels, `[B, H]`, of windows `[B, T, F]`, oldest week first."""
        return self.blocks(x.transpose(-2, -1))[..., -1]
