"""What a model was given and said before it was served: the distributions that drift is measured from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ste.errors import RunError
from ste.monitoring.stability import Chance, chances, edges
from ste.monitoring.watched_columns import watched

FORMAT = 1
_CHUNK = 4096  # rows whose bins are looked up at once
PREDICTED = "predicted class"


@dataclass(frozen=True)
class Column:
    """One watched distribution.

    Attributes:
        name: of the feature or class; `PREDICTED` is the class with the highest probability, by index.
        kind: `feature`, `probability` or `predicted`.
        edges: B + 1 rising ones (`stability.edges`).
        counts: B, rows of the reference in each bin.
        chance: PSI of windows of the reference's own periods; empty where the periods are not known.
    """

    name: str
    kind: str
    edges: list[float]
    counts: list[int]
    chance: list[Chance]

    @property
    def constant(self) -> bool:
        """The reference knows one value."""
        return len(self.counts) == 1

    @classmethod
    def of(cls, name: str, kind: str, values: np.ndarray, periods: np.ndarray | None) -> "Column":
        """The distribution of values `[N]`, with each one's period."""
        bounds = edges(values)
        codes = np.clip(np.searchsorted(bounds, values) - 1, 0, len(bounds) - 2)
        counts = np.bincount(codes, minlength=len(bounds) - 1)
        known: list[Chance] = []
        if periods is not None:
            number, index = np.unique(periods, return_inverse=True)
            size = len(counts)
            table = np.bincount(index * size + codes, minlength=len(number) * size).reshape(len(number), size)
            known = chances(table)
        return cls(name, kind, bounds, [int(count) for count in counts], known)


@dataclass(frozen=True)
class Reference:
    """Distributions of a model's training features and out-of-sample predictions.

    Attributes:
        features: names of the features, F of them.
        classes: names of the classes, C of them.
        columns: F features, C probabilities and the predicted class: K of them, in this order.
        periods: of the training rows and of the predicted ones; None where they were not given.
        windows: measured on windows; else on rows, and of a window only the latest period is compared.
        shares: of the classes among the training labels; None where they were not given.
    """

    features: tuple[str, ...]
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    periods: tuple[int, int] | None
    windows: bool
    shares: list[float] | None = None

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        probabilities: np.ndarray,
        names: Sequence[str],
        classes: Sequence[str],
        periods: np.ndarray | None = None,
        probability_periods: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> "Reference":
        """Measure a reference.

        Args:
            features: raw ones of the training examples: windows float32 `[N, T, F]` as the model reads them, of
                which the latest period counts, or rows `[N, F]`.
            probabilities: of examples that were not learnt from, `[M, C]`.
            names: of the features.
            classes: names.
            periods: int `[N]`, number of each example's week or session (`ste.market.calendar.periods`). Rows of
                one period move together: without it an alarm takes them for independent and comes too easily.
            probability_periods: int `[M]`, the same of the predicted examples.
            labels: int `[N]`, classes of the training examples: what the majority baseline goes by.

        Raises:
            ValueError: no example, or shapes that do not fit.
        """
        x, p = np.asarray(features), np.asarray(probabilities, dtype=np.float64)
        if not len(x) or not len(p) or x.shape[-1] != len(names) or p.shape[1:] != (len(classes),):
            raise ValueError(f"features {x.shape} of {len(names)} names, probabilities {p.shape} of {len(classes)}")
        figures = np.concatenate([watched(x[i : i + _CHUNK], names) for i in range(0, len(x), _CHUNK)])
        columns = [Column.of(name, "feature", figures[:, i], periods) for i, name in enumerate(names)]
        columns += [Column.of(name, "probability", p[:, i], probability_periods) for i, name in enumerate(classes)]
        columns.append(_predicted(p, probability_periods))
        known = None
        if periods is not None and probability_periods is not None:
            known = len(np.unique(periods)), len(np.unique(probability_periods))
        shares = None
        if labels is not None:
            shares = [float(share) for share in np.bincount(labels, minlength=len(classes)) / len(labels)]
        return cls(tuple(names), tuple(classes), tuple(columns), known, x.ndim == 3, shares)

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Reference":
        """Back from `plain`, also after JSON.

        Raises:
            RunError: empty, or of another format.
        """
        try:
            if content["format"] != FORMAT:
                raise ValueError
            columns = [
                Column(**{**one, "chance": [Chance(**chance) for chance in one["chance"]]})
                for one in content["columns"]
            ]
            known = content["periods"]
            reference = cls(
                tuple(content["features"]),
                tuple(content["classes"]),
                tuple(columns),
                None if known is None else (int(known[0]), int(known[1])),
                bool(content["windows"]),
                content["shares"],
            )
            whole = len(columns) == len(reference.features) + len(reference.classes) + 1
            rising = all(a < b for column in columns for a, b in pairwise(column.edges))
            sized = all(len(column.edges) == len(column.counts) + 1 for column in columns)
            if not (whole and rising and sized):
                raise ValueError
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise RunError(
                f"model card: its reference distributions are not of format {FORMAT}, so drift cannot be measured. "
                "Export the model again: python -m ste.export."
            ) from None
        return reference

    def of_predictions(self) -> "Reference":
        """The reference of what the model says alone, where its inputs are not at hand."""
        return replace(self, features=(), columns=self.columns[len(self.features) :], windows=False)

    @property
    def width(self) -> int:
        """Bins of the column with most, the two ends beyond the reference included: D."""
        return max(len(column.counts) for column in self.columns) + 2

    def codes(self, features: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Bin of each watched figure, int64 `[B, K]`: 0 below the reference, 1 ... its bins, the next above it.

        Args:
            features: raw windows `[B, T, F]` or rows `[B, F]`.
            probabilities: `[B, C]`.

        Raises:
            ValueError: rows, where the reference was measured on windows.
        """
        if features.ndim == 3 and not self.windows:
            features = features[:, -1]
        if (features.ndim == 3) != self.windows:
            raise ValueError(f"features {features.shape}: the reference was measured on windows")
        p = np.asarray(probabilities, dtype=np.float64)
        figures = np.column_stack([watched(features, self.features), p, p.argmax(axis=1)])
        out = np.empty(figures.shape, dtype=np.int64)
        for i in range(0, len(figures), _CHUNK):
            out[i : i + _CHUNK] = (figures[i : i + _CHUNK, :, None] > self._bounds).sum(axis=2)
        return out

    def counts(self, codes: np.ndarray) -> np.ndarray:
        """Examples in each bin, int64 `[K, D]`."""
        k = len(self.columns)
        cells = codes + np.arange(k) * self.width
        return np.bincount(cells.ravel(), minlength=k * self.width).reshape(k, self.width)

    def folded(self, counts: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """A column's counts and the reference's over the same bins.

        What lies beyond the reference counts with its first or last bin; beside a constant it keeps its own.

        Args:
            counts: `[D]` of column `k`.
            k: index of the column.
        """
        column = self.columns[k]
        size = len(column.counts)
        if column.constant:
            return np.array(counts[:3]), np.array([0, column.counts[0], 0])
        inner = np.array(counts[1 : size + 1])
        inner[0] += counts[0]
        inner[-1] += counts[size + 1]
        return inner, np.array(column.counts)

    @cached_property
    def _bounds(self) -> np.ndarray:
        """Edges of every column `[K, D - 1]`, filled up with infinity."""
        out = np.full((len(self.columns), self.width - 1), np.inf)
        for k, column in enumerate(self.columns):
            out[k, : len(column.edges)] = column.edges
        return out


def _predicted(probabilities: np.ndarray, periods: np.ndarray | None) -> Column:
    """Share of each class among the predicted ones; a class that was never predicted has its bin."""
    size = probabilities.shape[1]
    seen = Column.of(PREDICTED, "predicted", np.append(probabilities.argmax(axis=1), np.arange(size)), None)
    counts = np.bincount(probabilities.argmax(axis=1), minlength=size)
    known: list[Chance] = []
    if periods is not None:
        number, index = np.unique(periods, return_inverse=True)
        cells = index * size + probabilities.argmax(axis=1)
        known = chances(np.bincount(cells, minlength=len(number) * size).reshape(len(number), size))
    return Column(PREDICTED, "predicted", seen.edges, [int(count) for count in counts], known)
