"""Reference distributions in a model card: training features and out-of-sample predictions, to measure drift from.

Shapes: K watched columns (F features, C probabilities, the predicted class), B bins of a column, D bins of the column
with most of them plus one below and one above the reference.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ste.errors import RunError
from ste.features.column_forms import ColumnForms
from ste.inference.stability import WindowPsi, bin_edges, window_psi
from ste.inference.watched_columns import watched_values
from ste.schema import FeatureSet

FORMAT = 3
_CHUNK = 4096  # rows whose bins are searched at once
PREDICTED = "predicted class"


@dataclass(frozen=True)
class WatchedColumn:
    """The binned distribution of one watched column.

    Attributes:
        name: feature or class; `PREDICTED` is the index of the class with the highest probability.
        kind: `feature`, `probability` or `predicted`.
        edges: B + 1 rising ones (`stability.bin_edges`).
        counts: reference rows in each of the B bins.
        window_psi: PSI of windows of the reference's own periods; empty if they are too few.
    """

    name: str
    kind: str
    edges: list[float]
    counts: list[int]
    window_psi: list[WindowPsi]

    @property
    def constant(self) -> bool:
        """Whether the reference has a single value."""
        return len(self.counts) == 1

    @classmethod
    def from_values(cls, name: str, kind: str, values: np.ndarray, periods: np.ndarray) -> "WatchedColumn":
        """Bin values `[N]` with the period of each, int `[N]`."""
        edges = bin_edges(values)
        codes = np.clip(np.searchsorted(edges, values) - 1, 0, len(edges) - 2)
        return cls._from_codes(name, kind, edges, codes, periods)

    @classmethod
    def from_predicted(cls, probs: np.ndarray, periods: np.ndarray) -> "WatchedColumn":
        """Count the predicted classes of probabilities `[M, C]`; a class that is never predicted has its bin too."""
        edges = bin_edges(np.arange(probs.shape[1]))
        return cls._from_codes(PREDICTED, "predicted", edges, probs.argmax(axis=1), periods)

    @classmethod
    def _from_codes(
        cls, name: str, kind: str, edges: list[float], codes: np.ndarray, periods: np.ndarray
    ) -> "WatchedColumn":
        bins = len(edges) - 1
        distinct, index = np.unique(periods, return_inverse=True)
        cells = np.bincount(index * bins + codes, minlength=len(distinct) * bins)
        null = window_psi(cells.reshape(len(distinct), bins))
        return cls(name, kind, edges, [int(count) for count in np.bincount(codes, minlength=bins)], null)


@dataclass(frozen=True)
class ReferenceDistributions:
    """Distributions of a model's training features and out-of-sample predictions.

    Attributes:
        forms: how the F features are watched.
        classes: names of the classes, C of them.
        columns: F features, C probabilities and the predicted class, in this order: K of them.
        periods: number of distinct periods of the training rows and of the predictions.
        windowed: measured on windows; else on rows.
        class_fractions: of the training labels.
    """

    forms: ColumnForms
    classes: tuple[str, ...]
    columns: tuple[WatchedColumn, ...]
    periods: tuple[int, int]
    windowed: bool
    class_fractions: list[float]

    @classmethod
    def from_examples(
        cls,
        features: np.ndarray,
        probabilities: np.ndarray,
        columns: FeatureSet,
        classes: Sequence[str],
        periods: np.ndarray,
        probability_periods: np.ndarray,
        labels: np.ndarray,
    ) -> "ReferenceDistributions":
        """Measure a reference.

        Args:
            features: raw features of the training examples: windows float32 `[N, T, F]`, of which the latest period
                counts, or rows `[N, F]`.
            probabilities: out-of-sample predictions, `[M, C]`.
            columns: the feature set.
            classes: names.
            periods: int `[N]`, index of each example's week or session (`ste.market.calendar.periods`), since rows of
                one period move together.
            probability_periods: int `[M]`, the same of the predictions.
            labels: int `[N]`, classes of the training examples, for the majority baseline.
        """
        x, p = np.asarray(features), np.asarray(probabilities, dtype=np.float64)
        names, forms = columns.names, ColumnForms.from_features(columns)
        values = np.concatenate([watched_values(x[i : i + _CHUNK], forms) for i in range(0, len(x), _CHUNK)])
        column = WatchedColumn.from_values
        watched = [column(name, "feature", values[:, i], periods) for i, name in enumerate(names)]
        watched += [column(name, "probability", p[:, i], probability_periods) for i, name in enumerate(classes)]
        watched.append(WatchedColumn.from_predicted(p, probability_periods))
        sizes = len(np.unique(periods)), len(np.unique(probability_periods))
        fractions = (np.bincount(labels, minlength=len(classes)) / len(labels)).tolist()
        return cls(forms, tuple(classes), tuple(watched), sizes, x.ndim == 3, fractions)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values that JSON can hold."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "ReferenceDistributions":
        """Read the result of `to_dict`, also after JSON.

        Raises:
            RunError: empty, or of another format.
        """
        try:
            if content["format"] != FORMAT:
                raise ValueError
            columns = [
                WatchedColumn(**{**one, "window_psi": [WindowPsi(**window) for window in one["window_psi"]]})
                for one in content["columns"]
            ]
            training_periods, predicted_periods = content["periods"]
            return cls(
                ColumnForms.from_dict(content["forms"]),
                tuple(content["classes"]),
                tuple(columns),
                (training_periods, predicted_periods),
                content["windowed"],
                content["class_fractions"],
            )
        except (KeyError, TypeError, ValueError):
            raise RunError(
                f"model card: its reference distributions are not of format {FORMAT}, so drift cannot be measured. "
                "Export the model again: python -m ste.export."
            ) from None

    def predictions_only(self) -> "ReferenceDistributions":
        """The reference of the predictions alone, for when the features are not available."""
        nothing = ColumnForms([], [], None, {})
        return replace(self, forms=nothing, columns=self.columns[len(self.features) :], windowed=False)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, F of them."""
        return tuple(self.forms.names)

    @property
    def width(self) -> int:
        """D: bins of the column with most of them, plus the two ends."""
        return max(len(column.counts) for column in self.columns) + 2

    def codes(self, features: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Bin each watched figure, int64 `[N, K]`: 0 below the reference, 1 to B its bins, B + 1 above it.

        Args:
            features: raw windows `[N, T, F]`, or rows `[N, F]` where the reference was measured on rows.
            probabilities: `[N, C]`.
        """
        p = np.asarray(probabilities, dtype=np.float64)
        values = np.column_stack([watched_values(features, self.forms), p, p.argmax(axis=1)])
        out = np.empty(values.shape, dtype=np.int64)
        for i in range(0, len(values), _CHUNK):
            out[i : i + _CHUNK] = (values[i : i + _CHUNK, :, None] > self._edges).sum(axis=2)
        return out

    def counts(self, codes: np.ndarray) -> np.ndarray:
        """Count the examples in each bin, int64 `[K, D]`."""
        k = len(self.columns)
        cells = codes + np.arange(k) * self.width
        return np.bincount(cells.ravel(), minlength=k * self.width).reshape(k, self.width)

    def folded(self, counts: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Give a column's counts and the reference's over the same bins.

        Examples outside the reference count with its first or last bin, except for a constant column.

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
    def _edges(self) -> np.ndarray:
        """Edges of every column `[K, D - 1]`, padded with infinity."""
        out = np.full((len(self.columns), self.width - 1), np.inf)
        for k, column in enumerate(self.columns):
            out[k, : len(column.edges)] = column.edges
        return out
