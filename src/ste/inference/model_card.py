"""The model card: the description of a served model that its ONNX file contains."""

import json
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ste.errors import RunError
from ste.schema import EXCHANGE, FeatureSet

if TYPE_CHECKING:
    from ste.market.calendar import Periods

FORMAT = 4
"""Increased when an older reader could not use a newer card, or a newer reader an older one."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


@dataclass(frozen=True)
class ModelCard:
    """Everything that a caller must know about a served model.

    Attributes:
        name: class name of the model.
        run_id: of the tracked run that trained it.
        definitions: of the feature set: `schema.FeatureSet.to_dict`, with which bars alone give the features.
        classes: names in the order of the probabilities, C of them.
        frequency: `weekly`, `daily` or `monthly` rows.
        horizon: periods that a label looks ahead.
        view: `sequence` (windows `[B, T, F]`) or `flat` (rows `[B, F]`).
        sequence_length: T; 1 for a flat view.
        labels: settings of the labels.
        data_source: of the training table: `world`, `market`, `csv` or `seed`.
        data_digest: of the tables.
        trained_from, trained_to: first and last date of the training rows, `YYYY-MM-DD`.
        metrics: of each split with intervals, as in the run's summary.
        verdict: of the run: `word`, and `headline`, `points` and `details` or, in cards of earlier runs, `paragraph`.
        versions: of the packages that trained and exported it.
        parity: largest difference of a probability from PyTorch's on held-out rows.
        reference: distributions of the training data, to measure drift from; empty if there are none.
        made_of: description of the parts, for more than one net fitted to one split of the data: the fold, the number
            of replicas, or the members of an ensemble and their weights.
        synthetic: whether the training table is of a market that the project generated; None where `data_source`
            decides.
        tickers: with training rows, sorted; None if they are unknown.
        training_sample: some training rows, to recognize the data (`training_data.is_same_data`); empty if unknown.
        calendar: of the exchange, see `market.calendar`; earlier cards are of New York.
        spacing: of the bars that it was trained on: `daily`, or `weekly` or `monthly` like its rows.
        adjustment: how prices and volume of those bars are adjusted, in words; empty where it is unknown, as in earlier
            cards.
        adjusted: whether those bars had an adjusted close; None where it is unknown.
        extra_lag: calendar days after which a row of the user's file without `known_at` was known, by name of the file.
        plugins: modules whose feature functions compute the features; they must be imported where it is served.
        sees_market: whether it predicts the tickers of a date together, so that its second input is the date of each
            example (`onnx_model`).
        calibration: temperature of the net, or of each member of an ensemble that has one, and what it gained on
            validation rows; empty without. The graph's probabilities are calibrated.
    """

    name: str
    run_id: str
    definitions: dict[str, Any]
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
    verdict: dict[str, Any]
    versions: dict[str, str]
    parity: float
    reference: dict[str, Any]
    made_of: str = ""
    synthetic: bool | None = None
    tickers: list[str] | None = None
    training_sample: dict[str, Any] = field(default_factory=dict)
    calendar: str = EXCHANGE
    spacing: str = "daily"
    adjustment: str = ""
    adjusted: bool | None = None
    extra_lag: dict[str, int] = field(default_factory=dict)
    plugins: list[str] = field(default_factory=list)
    sees_market: bool = False
    calibration: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: `(T, F)` or `(F,)`."""
        width = len(self.features)
        return (width,) if self.view == "flat" else (self.sequence_length, width)

    @property
    def periods(self) -> "Periods":
        """The periods of the rows that it reads."""
        from ste.market.calendar import Periods, trading_calendar  # imports pandas

        return Periods(self.frequency, trading_calendar(self.calendar))

    @cached_property
    def feature_set(self) -> FeatureSet:
        """The features with their definitions."""
        return FeatureSet.from_dict(self.definitions)

    @cached_property
    def features(self) -> list[str]:
        """Names of the features in column order, F of them."""
        return list(self.feature_set.names)

    @property
    def extra_files(self) -> list[str]:
        """Names of the user's files whose columns the features read, sorted."""
        from ste.features.feature_rows import needed_fields  # imports pandas

        return sorted({name.partition(".")[0] for name in needed_fields(self.feature_set) if "." in name})

    @property
    def class_fractions(self) -> list[float] | None:
        """Fraction of each class in training; None without `reference`."""
        return self.reference.get("class_fractions")

    def verdict_parts(self) -> dict[str, Any]:
        """Return the verdict as `word`, `headline` (a sentence), `points` (some sentences) and `details` (the rest)."""
        word = self.verdict.get("word", "")
        if self.verdict.get("headline"):
            points, details = self.verdict.get("points", []), self.verdict.get("details", [])
            return {"word": word, "headline": self.verdict["headline"], "points": points, "details": details}
        headline, *rest = _SENTENCE_END.split(self.verdict.get("paragraph", ""))
        return {"word": word, "headline": headline, "points": rest[:2], "details": rest[2:]}

    @property
    def verdict_text(self) -> str:
        """The verdict as one paragraph."""
        parts = self.verdict_parts()
        return self.verdict.get("paragraph") or " ".join([parts["headline"], *parts["points"], *parts["details"]])

    def to_json(self) -> str:
        """Serialize; the same card gives the same text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> "ModelCard":
        """Read a card.

        Args:
            text: result of `to_json`.
            where: the file, for error messages.

        Raises:
            RunError: it is of another format.
        """
        try:
            content = json.loads(text)
            written = content.pop("format")
            known = {one.name for one in fields(cls)}
            required = {one.name for one in fields(cls) if one.default is MISSING and one.default_factory is MISSING}
            if written != FORMAT or not required <= set(content) <= known:
                raise ValueError
        except (ValueError, TypeError, AttributeError, KeyError):
            raise RunError(
                f"{where}: its model card is not of format {FORMAT}. Export the model again: python -m ste.export."
            ) from None
        card = cls(**content)
        try:
            _ = card.feature_set
        except (KeyError, TypeError):
            raise RunError(
                f"{where}: its model card has no valid feature definitions. Export the model again."
            ) from None
        return card
