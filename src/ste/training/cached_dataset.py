"""Normalized rows of a dataset, cached on the training device.

Shapes: N rows of the table, B a batch, T periods in a window, F features.
"""

import torch
from torch.utils.data import Dataset

from ste.data.window_dataset import Batch, SequenceDataset, WindowDataset, forward_batch_size
from ste.features.normalization import Normalizer

HOST_BYTES = 1 << 30
"""Maximum size of cached rows in host memory; of a larger table each batch is normalized."""

DEVICE_FRACTION = 0.5
"""Maximum fraction of an accelerator's free memory for cached rows; the rest is for the training steps."""

_CHUNK = 65536  # rows


class NormalizedBatch(Batch):
    """A batch of normalized features."""

    __slots__ = ()


class CachedDataset(Dataset[Batch]):
    """Gather a dataset's examples from normalized rows: the same numbers as normalizing each batch.

    Args:
        dataset: of raw features.
        rows: float `[N, F]` of `normalized_rows`, of the dataset's own store.
        representation: that normalized them.
    """

    def __init__(self, dataset: WindowDataset, rows: torch.Tensor, representation: Normalizer) -> None:
        device = rows.device
        self._finish = None
        self._rows = rows
        starts = dataset.ends
        if isinstance(dataset, SequenceDataset):
            steps, (stride, one) = dataset.length, rows.stride()
            # Consecutive rows form a window in memory: one copy per window instead of one per row.
            size = (max(len(rows) - steps + 1, 0), steps, rows.shape[1])
            self._rows = rows.as_strided(size, (stride, stride, one))
            self._finish = representation.to_windows(device)
            starts = starts - (steps - 1)
        self._starts, self.labels = starts.to(device), dataset.labels.to(device)
        self._weights = None if dataset.weights is None else dataset.weights.to(device)
        self.group = None if dataset.group is None else dataset.group.to(device)

    @property
    def device(self) -> torch.device:
        """Device of the examples, and of an index of them."""
        return self.labels.device

    @property
    def gather_size(self) -> int:
        """Examples whose windows are normalized together."""
        return forward_batch_size(self._rows.shape[1] if self._rows.dim() == 3 else 1, self.device)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: torch.Tensor) -> NormalizedBatch:
        """Return the examples of an index `[B]`, or of several replicas `[R, B]`."""
        # `index_select` copies complete rows; indexing with brackets copies value by value.
        chosen = index.flatten()
        label = self.labels.index_select(0, chosen).view(index.shape)
        weight, group = (
            None if part is None else part.index_select(0, chosen).view(index.shape)
            for part in (self._weights, self.group)
        )
        features = self._rows.index_select(0, self._starts.index_select(0, chosen))
        if self._finish is not None:
            features = self._finish(features)
        features = features.unflatten(0, index.shape) if index.dim() > 1 else features
        return NormalizedBatch(features, label, weight, group)


def fits(rows: int, columns: int, item_bytes: int, device: torch.device) -> bool:
    """Return whether normalized rows may be cached on a device."""
    needed = rows * columns * item_bytes
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return needed <= DEVICE_FRACTION * free
    return device.type == "cpu" and needed <= HOST_BYTES


@torch.no_grad()
def normalized_rows(
    representation: Normalizer, features: torch.Tensor, *, windows: bool, device: torch.device
) -> torch.Tensor:
    """Normalize a table as far as a row alone decides, `[N, F]` in the representation's type.

    Args:
        representation: fitted, where the table is.
        features: raw, `[N, F]`.
        windows: whether windows will be gathered, which `Normalizer.to_windows` completes.
        device: of the result.
    """
    kind = representation.mean.dtype
    out = torch.empty(features.shape, dtype=kind, device=device)
    for target, part in zip(out.split(_CHUNK), features.split(_CHUNK), strict=True):
        target.copy_(representation.rows(part.to(kind), windows=windows))
    return out
