"""Trends of returns, cut as the labels of a served model were."""

from ste.config import LabelSettings
from ste.config.load import build_settings
from ste.errors import RunError
from ste.inference.model_card import ModelCard
from ste.labels.label_method import LabelMethod, label_method

CUTS = "cuts"
"""Key of a card's `labels`: the returns between the trends, ascending, where the settings do not contain them (labels
that are fitted to training rows, and ready tables); None where no returns separate them."""


def method_of(card: ModelCard) -> LabelMethod:
    """Return the label method of a model.

    Raises:
        ConfigError: no method has that name here.
    """
    labels = {name: value for name, value in card.labels.items() if name != CUTS}
    return label_method(build_settings(LabelSettings, labels))


def known_edges(card: ModelCard) -> tuple[float, ...] | None:
    """Return the returns between the trends of a model's labels, for `labels.thresholds.directions`.

    Returns:
        None where they differ between rows.

    Raises:
        RunError: the card does not contain its thresholds.
    """
    cuts = card.labels.get(CUTS)
    if cuts is not None:
        return tuple(cuts)
    method = method_of(card)
    if method.needs_training:
        raise RunError(
            f"model of run {card.run_id}: its labels are the terciles of the training rows, and its card does not "
            "contain them. Export it again (python -m ste.export)."
        )
    return method.fixed_edges()
