"""The score so far: predictions against what came, beside the figures of the model's test."""

from dataclasses import asdict, dataclass
from math import hypot
from typing import Any

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.scoring import score
from ste.inference.card_metrics import AUTO_BLOCKS, COMPARED_METRICS
from ste.inference.model_card import ModelCard
from ste.monitoring.outcomes import LABEL
from ste.schema import PERIOD, probability_names

LESS_IS_BETTER = ("log_loss",)
WORSE, BETTER, SAME, UNKNOWN = "worse", "better", "as in the test", "cannot be told"


@dataclass(frozen=True)
class Compared:
    """A figure now against then.

    Attributes:
        name: of the figure.
        now: since the model is used, with its interval.
        then: of the test.
        gain: now less then, above 0 is better, also for losses; with the interval of the difference.
        word: `worse` or `better` where that interval does not hold 0; `as in the test`; or `cannot be told`.
    """

    name: str
    now: Estimate
    then: Estimate
    gain: Estimate
    word: str


@dataclass(frozen=True)
class Record:
    """The score so far.

    Attributes:
        card: scorecard of what was predicted and has come.
        pending: predictions whose outcome is not known yet.
        compared: figures beside the test's; empty where the card has none.
        confidence: mean probability of the predicted class: what the accuracy should be.
        split: whose figures stand beside: `test`, or `validation` where there was none.
        told: in words.
    """

    card: Scorecard
    pending: int
    compared: tuple[Compared, ...]
    confidence: float
    split: str
    told: str

    @property
    def worse(self) -> tuple[Compared, ...]:
        """Figures that are worse than in the test, beyond their intervals."""
        return tuple(one for one in self.compared if one.word == WORSE)

    @property
    def overconfident(self) -> bool:
        """The mean probability of the predicted class lies above the accuracy's interval."""
        high = self.card.figures["accuracy"].high
        return high is not None and self.confidence > high

    def plain(self) -> dict[str, Any]:
        """As nested dicts of plain numbers."""
        out = asdict(self)
        out["card"] = {name: out["card"][name] for name in ("examples", "periods", "unit", "method", "reliability")}
        figures = (*COMPARED_METRICS, "brier", "calibration_error", "mcc")
        own = self.card.figures
        return out | {"figures": {name: asdict(own[name]) for name in figures if name in own}}


def record_of(
    predictions: pd.DataFrame,
    outcomes: pd.DataFrame,
    card: ModelCard,
    shares: list[float] | None = None,
    resamples: int = 2000,
) -> Record | None:
    """Score what has come; None where nothing has.

    Intervals are of blocks as long as the figures are seen to depend on their past: the test's weeks were other
    times than these.

    Args:
        predictions: `date`, `ticker` and a probability of each class; one row for each pair.
        outcomes: of `ste.monitoring.outcomes`.
        card: of the model.
        shares: of the classes in training, the majority baseline's claim; None leaves it out.
        resamples: of the bootstrap.
    """
    rows = joined(predictions, outcomes)
    known = rows[rows[LABEL] >= 0]
    pending = int(rows[LABEL].isna().sum())
    if known.empty:
        return None
    classes = tuple(card.classes)
    names = list(probability_names(classes))
    frame = row_columns(known, "test", known[LABEL].to_numpy(), known["return"].to_numpy())
    frame = frame.join(known[names].reset_index(drop=True).astype(np.float64))
    if shares is not None:
        frame = frame.assign(**{f"majority.{name}": share for name, share in zip(names, shares, strict=True)})
    said = Predictions(frame, classes, card.frequency, card.horizon, card.name)
    scored = score(said, resamples=resamples, blocks="auto")
    split = "test" if "test" in card.metrics else "validation"
    compared = compare_with_card(scored, card, split)
    confidence = float(known[names].to_numpy().max(axis=1).mean())
    record = Record(scored, pending, compared, confidence, split, "")
    return Record(scored, pending, compared, confidence, split, _told(record, card))


def joined(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Each prediction with its `return` and `label`, NaN where nothing has come yet.

    Raises:
        DataError: a date and ticker that stands twice.
    """
    for frame, what in ((predictions, "predictions"), (outcomes, "truth")):
        twice = frame.duplicated(["date", "ticker"])
        if twice.any():
            first = frame[twice].iloc[0]
            raise DataError(
                f"{what}: {first['ticker']} on {first['date']:%Y-%m-%d} stands twice ({twice.sum()} such rows). "
                "Expected one row for each date and ticker."
            )
    return predictions.merge(outcomes[["date", "ticker", "return", LABEL]], on=["date", "ticker"], how="left")


def compare_with_card(scored: Scorecard, card: ModelCard, split: str) -> tuple[Compared, ...]:
    """The figures beside those that a card keeps of a split; nothing where it keeps none."""
    known = card.metrics.get(split, {})
    kept = known.get(AUTO_BLOCKS) or known.get("figures", {})
    return compared_with(scored, {name: Estimate(**kept[name]) for name in COMPARED_METRICS if name in kept})


def compared_with(scored: Scorecard, then: dict[str, Estimate]) -> tuple[Compared, ...]:
    """The figures beside earlier ones.

    The interval of a difference is squared and added from the intervals of its two ends (Zou and Donner 2008,
    Statistics in Medicine 27(10)): the test's weeks and these are not the same.

    Args:
        scored: now.
        then: figures by name; those of `COMPARED_METRICS` that both have are compared.
    """
    out = []
    for name in COMPARED_METRICS:
        if name not in then or name not in scored.figures:
            continue
        now, before = scored.figures[name], then[name]
        gain = _difference(before, now) if name in LESS_IS_BETTER else _difference(now, before)
        if gain.low is None or gain.high is None or scored.method != "bootstrap":
            word = UNKNOWN
        else:
            word = WORSE if gain.high < 0 else BETTER if gain.low > 0 else SAME
        out.append(Compared(name, now, before, gain, word))
    return tuple(out)


def _difference(a: Estimate, b: Estimate) -> Estimate:
    value = a.value - b.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value)
    return Estimate(
        value, value - hypot(a.value - a.low, b.high - b.value), value + hypot(a.high - a.value, b.value - b.low)
    )


def _told(record: Record, card: ModelCard) -> str:
    scored, unit = record.card, PERIOD[card.frequency]
    accuracy = scored.figures["accuracy"]
    text = (
        f"{scored.examples:,} predictions of {scored.periods:,} {unit}{'s' * (scored.periods != 1)} have come: "
        f"{_share(accuracy)} were right"
    )
    then = next((one.then for one in record.compared if one.name == "accuracy"), None)
    text += f", {_share(then)} in the {record.split}. " if then is not None else ". "
    if any(one.word == UNKNOWN for one in record.compared):
        text += f"So few {unit}s cannot tell whether the model has become worse. "
    elif record.worse:
        names = " and ".join(one.name.replace("_", "-") for one in record.worse)
        text += f"That is worse than in the {record.split} by more than chance gives ({names}). "
    elif record.compared:
        gain = next((one.gain for one in record.compared if one.name == "accuracy"), None)
        text += f"Nothing says that the model has become worse than in the {record.split}"
        if gain is not None and gain.high is not None:
            text += f"; a fall of less than {100 * (gain.high - gain.value):.0f} points could not be seen yet"
        text += ". "
    said = f"It gave what it predicted {100 * record.confidence:.1f} % on average"
    return text + said + (", more than came true." if record.overconfident else ".")


def _share(figure: Estimate) -> str:
    ends = "" if figure.low is None or figure.high is None else f" [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
    return f"{100 * figure.value:.1f} %{ends}"
