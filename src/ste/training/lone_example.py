"""Batch normalization of a training batch of one example, which has no statistics of its own."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def running_statistics(net: nn.Module, *, alone: bool) -> AbstractContextManager[None]:
    """Let batch normalization use its running statistics within the context, where a batch has one example.

    PyTorch refuses such a batch, the last one of an epoch where the examples leave a remainder of one. The running
    statistics stay as they are; every other layer trains.

    Args:
        net: that reads the batch.
        alone: whether it has one example.
    """
    return _in_evaluation(net) if alone else nullcontext()


@contextmanager
def _in_evaluation(net: nn.Module) -> Iterator[None]:
    norms = [layer for layer in net.modules() if isinstance(layer, _NORMS) and layer.training]
    for layer in norms:
        layer.eval()
    try:
        yield
    finally:
        for layer in norms:
            layer.train()
