"""A split's scores with their baselines: examples, intervals, baselines and, in a known world, the limit."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ste.data.sample import Sample


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; None where none can be given."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Gain:
    """The model's figure less a baseline's on the same rows; above 0 is better, also for losses.

    Attributes:
        value, low, high: the difference and its 95 % interval, whole periods resampled together.
        p: one-sided p-value of "the model is not better".
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability curve: examples whose highest probability lies in it."""

    confidence: float
    accuracy: float
    examples: int


@dataclass(frozen=True)
class Portfolio:
    """A portfolio that trades the predictions: one entry per holding period, oldest first.

    Attributes:
        dates: ISO, the close at which the positions are taken.
        returns: simple net return over the period, costs paid.
        equity: value of 1 invested, after each period.
        turnover: sum of absolute changes of weight at each date.
        kind: `long_short` or `long_only`.
        cost_bps: basis points paid per unit of turnover.
    """

    dates: list[str]
    returns: list[float]
    equity: list[float]
    turnover: list[float]
    kind: str
    cost_bps: float


@dataclass(frozen=True)
class Scorecard:
    """What a split says of a model.

    Attributes:
        examples, periods: how many; `unit` of a period: `week` or `day`.
        method: `bootstrap` over periods, or `binomial` where there are too few of them.
        figures: the model's, by name.
        baselines: the same names, as far as they apply, of each baseline and of `bayes`.
        gains: against each baseline, by name of figure.
        confusion: int `[C][C]`, true class by predicted class.
        reliability: of the highest probability.
        portfolio: None where it cannot be traded (fewer than 3 tickers in every period); of the first path.
        classes: names in order.
        block: neighbouring periods that were resampled together.
        sample: how much of the split was scored; None where it was all of it.
        identical: baselines whose probabilities equal the model's on every row.
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

    @property
    def metrics(self) -> dict[str, float]:
        """The model's figures without their intervals."""
        return {name: figure.value for name, figure in self.figures.items()}

    def to_dict(self) -> dict[str, Any]:
        """As nested dicts of plain numbers."""
        out = asdict(self)
        if self.sample is None:
            del out["sample"]
        return out


def without_baselines(card: Scorecard, names: Collection[str]) -> Scorecard:
    """The same card without some of its baselines: no other figure depends on who else was scored."""
    baselines = {name: figures for name, figures in card.baselines.items() if name not in names}
    gains = {name: by for name, by in card.gains.items() if name not in names}
    return replace(
        card, baselines=baselines, gains=gains, identical=tuple(name for name in card.identical if name not in names)
    )
