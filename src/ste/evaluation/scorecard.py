"""The scores of one split: metrics with intervals, baselines, gains and, on synthetic data, the Bayes optimum."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ste.data.sample import Sample
from ste.evaluation.portfolio.portfolio_record import Portfolio


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval; the ends are None where there is no interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Gain:
    """Difference of a model and a baseline in a metric on the same rows; above 0 is better, for losses too.

    Attributes:
        value: the difference.
        low, high: its 95 % interval; None where there is no interval.
        p: one-sided p-value of the hypothesis that the model is not better.
    """

    value: float
    low: float | None
    high: float | None
    p: float

    @property
    def above(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low is not None and self.low > 0

    @property
    def below(self) -> bool:
        """Whether the interval lies below 0."""
        return self.high is not None and self.high < 0


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability curve: mean highest probability, accuracy and number of its examples."""

    confidence: float
    accuracy: float
    examples: int


@dataclass(frozen=True)
class Scorecard:
    """Scores of a model on one split.

    Attributes:
        examples, periods: number of examples and of the periods that they lie in.
        unit: of a period, `week`, `day` or `month`.
        method: `bootstrap` over periods, or `binomial` with too few periods.
        classes: names in label order.
        figures: the model's metrics, by name.
        confusion: int `[C][C]`, true class by predicted class.
        reliability: bins of the highest probability.
        baselines: metrics of each baseline and of `bayes`, by name; those that apply.
        gains: over each baseline, by metric.
        portfolio: None where no period has three tickers, or with two classes.
        block: number of neighbouring periods resampled together.
        sample: fraction of the split that was scored; None for the complete split.
        identical: baselines whose probabilities equal the model's on every row.
        same_classes: baselines that predict the model's class on every row.
        per_year: periods in a year.
    """

    examples: int
    periods: int
    unit: str
    method: str
    classes: tuple[str, ...]
    figures: dict[str, Estimate]
    confusion: list[list[int]]
    reliability: list[Bin]
    baselines: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    gains: dict[str, dict[str, Gain]] = field(default_factory=dict)
    portfolio: Portfolio | None = None
    block: int = 1
    sample: Sample | None = None
    identical: tuple[str, ...] = ()
    same_classes: tuple[str, ...] = ()
    per_year: int = 52

    @property
    def never_predicted(self) -> list[str]:
        """Classes that the model predicts on no row, although rows have them."""
        counts = zip(self.classes, self.confusion, zip(*self.confusion, strict=True), strict=True)
        return [name for name, true, predicted in counts if sum(true) and not sum(predicted)]

    @property
    def metrics(self) -> dict[str, float]:
        """The model's metrics without their intervals."""
        return {name: figure.value for name, figure in self.figures.items()}

    def to_dict(self) -> dict[str, Any]:
        """Nested dicts of numbers and text, for JSON."""
        out = asdict(self)
        if self.sample is None:
            del out["sample"]
        return out


def without_baselines(card: Scorecard, names: Collection[str]) -> Scorecard:
    """Remove baselines from a card; no other value depends on them."""
    baselines = {name: figures for name, figures in card.baselines.items() if name not in names}
    gains = {name: by for name, by in card.gains.items() if name not in names}
    identical, same = (
        tuple(name for name in found if name not in names) for found in (card.identical, card.same_classes)
    )
    return replace(card, baselines=baselines, gains=gains, identical=identical, same_classes=same)
