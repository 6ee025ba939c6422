"""Classes of returns, cut as the labels of a served model were."""

import numpy as np

from ste.config import LabelSettings
from ste.errors import RunError
from ste.inference.model_card import ModelCard
from ste.labels.targets import directions, thresholds
from ste.schema import Trend

CUTS = "cuts"
"""Key of a card's `labels`: the returns `[low, high]` between the classes, where the settings do not contain them
(the method `balanced`, and ready tables)."""


def class_cuts(returns: np.ndarray, trends: np.ndarray) -> list[float] | None:
    """Recover the returns between the classes from labelled rows; None where no two returns separate them.

    Args:
        returns: `[N]`.
        trends: `Trend` of each row `[N]`.
    """
    out = []
    for below, above in ((Trend.DOWNTREND, Trend.NEUTRAL), (Trend.NEUTRAL, Trend.UPTREND)):
        low, high = returns[trends <= below], returns[trends >= above]
        if not len(low) or not len(high) or low.max() > high.min():
            return None
        out.append(float((low.max() + high.min()) / 2))
    return out


def trends_of_returns(returns: np.ndarray, volatility: np.ndarray, card: ModelCard) -> np.ndarray:
    """Cut returns by the thresholds of a model card.

    Args:
        returns: `[N]`.
        volatility: `[N]`, read with labels of the method `volatility` only.
        card: card of the model.

    Returns:
        `Trend` of each return, int64 `[N]`.

    Raises:
        RunError: the card does not contain its thresholds.
    """
    labels = LabelSettings(**{name: value for name, value in card.labels.items() if name != CUTS})
    cuts = card.labels.get(CUTS)
    if cuts is not None:
        return directions(returns, *cuts)
    if labels.method == "balanced":
        raise RunError(
            f"model of run {card.run_id}: its labels are the terciles of the training rows, and its card does not "
            "contain them. Export it again (python -m ste.export)."
        )
    return directions(returns, *thresholds(volatility, labels))
