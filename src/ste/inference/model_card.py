"""What a served model says of itself."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from ste.errors import RunError

FORMAT = 1
"""Raised when a reader of today could not use a file of tomorrow."""


@dataclass(frozen=True)
class ModelCard:
    """Everything that a caller must know, kept in the ONNX file's metadata.

    Attributes:
        name: class name of the model.
        run_id: of the tracked run that it was trained in.
        feature_set: name of the table's feature set (`schema.FEATURE_SETS`).
        features: names in column order, F of them.
        classes: names in the order of the probabilities, C of them.
        frequency: `weekly` or `daily` rows.
        horizon: periods that a label looks ahead.
        view: `sequence` (windows `[B, T, F]`) or `flat` (rows `[B, F]`).
        sequence_length: T; 1 for a flat view.
        labels: settings that the classes were cut with.
        data_source: of the training table: `world`, `market`, `csv` or `seed`.
        data_digest: of the tables.
        trained_from, trained_to: first and last date of the training rows, `YYYY-MM-DD`.
        metrics: figures of each split with their intervals, as the run's summary has them.
        verdict: `word` and `paragraph`.
        versions: of the packages that made it.
        parity: largest difference of a probability from PyTorch's on held-out rows.
        reference: distributions of the training data, for drift; empty where there are none.
        made_of: what it is made of, in words, where that is more than one net fitted to one cut of the data:
            which fold's model it is, how many replicas it has, an ensemble's members and their weights.
    """

    name: str
    run_id: str
    feature_set: str
    features: list[str]
    classes: list[str]
    frequency: str
    horizon: int
    view: str
    sequence_length: int
    labels: dict[str, Any]
    data_source: str
    data_digest: str
    trained_from: str
    trained_to: str
    metrics: dict[str, Any]
    verdict: dict[str, str]
    versions: dict[str, str]
    parity: float
    reference: dict[str, Any]
    made_of: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example: `(T, F)` or `(F,)`."""
        width = len(self.features)
        return (width,) if self.view == "flat" else (self.sequence_length, width)

    def text(self) -> str:
        """JSON, the same bytes for the same card."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, allow_nan=False)

    @classmethod
    def of_text(cls, text: str, where: str) -> "ModelCard":
        """A card back from its JSON.

        Args:
            text: of a file's metadata.
            where: the file, to name in an error.

        Raises:
            RunError: it is of another format.
        """
        try:
            content = json.loads(text)
            written = content.pop("format")
            known = {field.name for field in fields(cls)}
            if written != FORMAT or set(content) != known:
                raise ValueError
        except (ValueError, TypeError, AttributeError, KeyError):
            raise RunError(
                f"{where}: its model card is not of format {FORMAT}. Export the model again: python -m ste.export."
            ) from None
        return cls(**content)
