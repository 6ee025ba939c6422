"""Build the loss of a net from plain values."""

from collections.abc import Mapping
from typing import Any

from ste.data.window_dataset import Batch
from ste.errors import ConfigError
from ste.registry import LOSSES
from ste.training.losses.base import NO_INPUTS, Loss, LossInputs


def build_loss(
    name: str,
    arguments: Mapping[str, Any],
    num_classes: int,
    class_weights: list[float] | None = None,
    label_smoothing: float = 0.0,
) -> Loss:
    """Build a loss.

    Args:
        name: in `ste.registry.LOSSES`.
        arguments: keyword arguments of its class.
        num_classes: C.
        class_weights: weight of each class; None weighs all alike.
        label_smoothing: fraction of the target spread over all classes.

    Raises:
        ConfigError: an unknown name, an argument that the class does not accept, or a combination that is not defined.
    """
    loss = LOSSES.build(name, arguments, section="fit.loss_arguments")
    if not isinstance(loss, Loss):
        raise ConfigError(f"fit.loss={name}: {type(loss).__name__} is no subclass of ste.training.losses.base.Loss.")
    try:
        loss.set_up(num_classes, class_weights, label_smoothing)
    except ValueError as error:
        raise ConfigError(f"fit.loss={name}: {error}.") from None
    return loss


def loss_inputs(batch: Batch) -> LossInputs:
    """Return the weights and groups of a batch's examples, where it has them."""
    weight, group = getattr(batch, "weight", None), getattr(batch, "group", None)
    return NO_INPUTS if weight is None and group is None else LossInputs(weight, group)
