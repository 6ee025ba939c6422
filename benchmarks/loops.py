"""What a fit is held against: training loops as a person writes them without STE, on prepared examples.

`bare_loop` is the limit: float32, `torch.optim.Adam` as it comes, every window laid out beforehand (20 times the
table's size), a batch one `index_select`; accuracy and log-loss of the validation examples after each epoch, in
batches as ours, and nothing else: no curves, no checkpoint, no clipping, no early stopping. `plain_script` is the
seed document's: a `Dataset` with a row for each `__getitem__`, a shuffling `DataLoader`, and a loss that is read at
each step.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ste.data.windows import computed_at_once


class Examples(NamedTuple):
    """Prepared features float32 `[N, T, F]` or `[N, F]`, and classes int64 `[N]`."""

    features: torch.Tensor
    labels: torch.Tensor


def bare_loop(net: nn.Module, train: Examples, validation: Examples, batch: int, epochs: int, lr: float) -> None:
    """Train a net where the examples are, batches in a random order that is another one in each epoch."""
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
def validate(net: nn.Module, examples: Examples) -> tuple[float, float]:
    """Accuracy, and log-loss in nats."""
    net.eval()
    right = total = 0.0
    size = computed_at_once(examples.features[0, ..., 0].numel(), examples.labels.device)
    parts = zip(examples.features.split(size), examples.labels.split(size), strict=True)
    for features, labels in parts:
        logits = net(features)
        right += float((logits.argmax(dim=1) == labels).sum())
        total += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
    return right / len(examples.labels), total / len(examples.labels)


class RowByRow(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """One example at a time."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.examples.features[index], self.examples.labels[index]


def plain_script(net: nn.Module, train: Examples, validation: Examples, batch: int, epochs: int, lr: float) -> None:
    """Train a net as a script does."""
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader(RowByRow(train), batch_size=batch, shuffle=True)
    for _ in range(epochs):
        net.train()
        total = 0.0
        for features, labels in loader:
            optimizer.zero_grad()
            loss = criterion(net(features), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        validate(net, validation)
