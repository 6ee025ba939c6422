"""The training reference: a bare PyTorch loop on examples that are laid out beforehand.

float32, `torch.optim.Adam` with its defaults, every window materialised (20 times the table's size), a batch one
`index_select`, accuracy and log-loss of the validation examples after each epoch. No curves, no checkpoint, no
clipping, no early stopping.
"""

from typing import NamedTuple

import torch
from torch import nn

from ste.data.window_dataset import forward_batch_size


class PreparedExamples(NamedTuple):
    """Normalized features float32 `[N, T, F]` or `[N, F]`, and classes int64 `[N]`."""

    features: torch.Tensor
    labels: torch.Tensor


def bare_loop(
    net: nn.Module, train: PreparedExamples, validation: PreparedExamples, batch: int, epochs: int, lr: float
) -> None:
    """Train a net on the device of the examples, in a new random order in each epoch."""
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    criterion = nn.CrossEntropyLoss()
    device = train.labels.device
    for _ in range(epochs):
        net.train()
        for index in torch.randperm(len(train.labels), device=device).split(batch):
            features, labels = train.features.index_select(0, index), train.labels.index_select(0, index)
            optimizer.zero_grad()
            loss = criterion(net(features), labels)
            loss.backward()
            optimizer.step()
        validate(net, validation)


@torch.no_grad()
def validate(net: nn.Module, examples: PreparedExamples) -> tuple[float, float]:
    """Return accuracy and log-loss in nats."""
    net.eval()
    correct = loss = 0.0
    size = forward_batch_size(examples.features[0, ..., 0].numel(), examples.labels.device)
    for features, labels in zip(examples.features.split(size), examples.labels.split(size), strict=True):
        logits = net(features)
        correct += float((logits.argmax(dim=1) == labels).sum())
        loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
    return correct / len(examples.labels), loss / len(examples.labels)
