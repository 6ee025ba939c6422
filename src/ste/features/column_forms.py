"""How each column of a feature set is normalized, by position: what `normalization` and the drift monitor read."""

from dataclasses import asdict, dataclass
from typing import Any

from ste.schema import FeatureSet


@dataclass(frozen=True)
class ColumnForms:
    """Normalization of each of F columns, as plain values.

    Attributes:
        names: of the columns.
        normalizations: of each, of `schema.NORMALIZATIONS`.
        close: position of the column that holds the close; None where there is none.
        bands: positions of the lower and upper band of each column with `band_position`, by its position as text.
    """

    names: list[str]
    normalizations: list[str]
    close: int | None
    bands: dict[str, list[int]]

    @classmethod
    def from_features(cls, features: FeatureSet) -> "ColumnForms":
        """Take the declarations of a feature set."""
        names = list(features.names)
        close = features.close
        bands = {
            str(at): [names.index(band) for band in column.bands]
            for at, column in enumerate(features.columns)
            if column.bands is not None
        }
        kinds = [column.normalization for column in features.columns]
        return cls(names, kinds, None if close is None else names.index(close), bands)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ColumnForms":
        """Restore from `to_dict`."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which a checkpoint can hold."""
        return asdict(self)

    def at(self, *normalizations: str) -> list[int]:
        """Return the positions of the columns with one of these normalizations."""
        return [i for i, kind in enumerate(self.normalizations) if kind in normalizations]
