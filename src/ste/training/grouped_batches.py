"""Several batches for one step of Lightning's loop.

What the loop does around a step takes a fifth of a millisecond: as long as a small net's whole step.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, Protocol

from ste.data.windows import Batch

MOST = 32
"""Batches in a group."""

MOST_EXAMPLES = 16384
"""Examples in a group: its batches are gathered at once."""


class Group(NamedTuple):
    """Batches to be learnt from one after the other.

    Attributes:
        first: number of the first one in its epoch.
        batches: in order.
    """

    first: int
    batches: list[Batch]


class Batches(Protocol):
    """A loader, as `BatchLoader` is one."""

    @property
    def examples(self) -> int:
        """Examples that a whole batch gathers."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Batch]: ...


class GroupedLoader:
    """A loader's batches in groups.

    Args:
        loader: of batches.
        together: whether there may be more than one in a group.
        limit: batches of an epoch that are used; None is all.
    """

    def __init__(self, loader: Batches, together: bool = True, limit: int | None = None) -> None:
        self.loader, self._limit = loader, limit
        self.size = max(1, min(MOST, MOST_EXAMPLES // loader.examples)) if together else 1
        # Lightning announces each epoch to `loader.sampler.set_epoch`, and asks for both of these.
        self.sampler, self.batch_sampler = loader, None

    @property
    def limit(self) -> int:
        """Batches of an epoch; of this process, once there are several."""
        return len(self.loader) if self._limit is None else min(self._limit, len(self.loader))

    def __len__(self) -> int:
        return math.ceil(self.limit / self.size)

    def __iter__(self) -> Iterator[Group]:
        limit = self.limit
        batches = islice(self.loader, limit)
        for first in range(0, limit, self.size):
            yield Group(first, list(islice(batches, self.size)))
