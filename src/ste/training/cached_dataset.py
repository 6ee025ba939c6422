"""A dataset's rows as a net reads them, prepared once and held where the net learns.

Shapes: N rows of the table, B a batch, T periods in a window, F features.
"""

import torch
from torch.utils.data import Dataset

from ste.data.window_dataset import Batch, SequenceDataset, WindowDataset, forward_batch_size
from ste.features.normalization import Representation

HOST_BYTES = 1 << 30
"""Prepared rows that a computer's own memory holds at most; those of a larger table are prepared as they are read."""

DEVICE_SHARE = 0.5
"""Share of an accelerator's free memory that they may take; the rest is for the net's steps."""

_AT_ONCE = 65536


class NormalizedBatch(Batch):
    """A batch whose features are prepared."""

    __slots__ = ()


class CachedDataset(Dataset[Batch]):
    """The examples of a dataset, gathered from prepared rows: the same numbers as if each batch were prepared.

    Args:
        dataset: of raw features.
        rows: float `[N, F]` of `prepared_rows`, of the dataset's own store.
        representation: that prepared them.
    """

    def __init__(self, dataset: WindowDataset, rows: torch.Tensor, representation: Representation) -> None:
        device = rows.device
        self._finish = None
        self._rows = rows
        starts = dataset.ends
        if isinstance(dataset, SequenceDataset):
            steps, (stride, one) = dataset.length, rows.stride()
            # Consecutive rows are a window as they lie: one copy for each, instead of one for each of its rows.
            size = (max(len(rows) - steps + 1, 0), steps, rows.shape[1])
            self._rows = rows.as_strided(size, (stride, stride, one))
            self._finish = representation.to_windows(device)
            starts = starts - (steps - 1)
        self._starts, self._labels = starts.to(device), dataset.labels.to(device)

    @property
    def device(self) -> torch.device:
        """Where the examples are, and where an index of them has to be."""
        return self._labels.device

    @property
    def gather_size(self) -> int:
        """Examples whose windows are finished together."""
        return forward_batch_size(self._rows.shape[1] if self._rows.dim() == 3 else 1, self.device)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: torch.Tensor) -> NormalizedBatch:
        """Examples `[B]`, or of several replicas `[R, B]`."""
        # `index_select` copies whole rows; an index in brackets does the same number by number.
        chosen = index.flatten()
        label = self._labels.index_select(0, chosen).view(index.shape)
        features = self._rows.index_select(0, self._starts.index_select(0, chosen))
        if self._finish is not None:
            features = self._finish(features)
        return NormalizedBatch(features.unflatten(0, index.shape) if index.dim() > 1 else features, label)


class NormalizingDataset(Dataset[Batch]):
    """The examples of a dataset whose prepared rows take more memory than there is for them: prepared as they are read.

    Args:
        dataset: of raw features, in the computer's own memory.
        representation: fitted, there too.
    """

    def __init__(self, dataset: WindowDataset, representation: Representation) -> None:
        self._dataset, self._representation = dataset, representation

    @property
    def device(self) -> torch.device:
        """Where the examples are."""
        return self._dataset.device

    @property
    def gather_size(self) -> int:
        """Examples that are prepared together."""
        return forward_batch_size(self._dataset.length, self.device)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: torch.Tensor) -> NormalizedBatch:
        """Examples `[B]`, or of several replicas `[R, B]`."""
        batch = self._dataset[index.flatten()]
        features = self._representation(batch.features.to(self._representation.mean.dtype))
        return NormalizedBatch(features.unflatten(0, index.shape), batch.label.view(index.shape))


def fits(rows: int, columns: int, item_bytes: int, device: torch.device) -> bool:
    """Whether prepared rows may be held on a device."""
    needed = rows * columns * item_bytes
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return needed <= DEVICE_SHARE * free
    return device.type == "cpu" and needed <= HOST_BYTES


@torch.no_grad()
def normalized_rows(
    representation: Representation, features: torch.Tensor, *, windows: bool, device: torch.device
) -> torch.Tensor:
    """What of a table's representation a row alone decides, `[N, F]` on a device, in the representation's type.

    Args:
        representation: fitted, where the table is.
        features: raw `[N, F]`.
        windows: whether windows will be gathered from it, which `Representation.to_windows` ends.
        device: to hold it.
    """
    kind = representation.mean.dtype
    out = torch.empty(features.shape, dtype=kind, device=device)
    for place, part in zip(out.split(_AT_ONCE), features.split(_AT_ONCE), strict=True):
        place.copy_(representation.rows(part.to(kind), windows=windows))
    return out
