"""Settings of the augmentation of training examples."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from ste.config.validation import Name, PositiveFloat, Settings
from ste.errors import check_name
from ste.plugins import load_installed_plugins
from ste.registry import AUGMENTATIONS

_NAMES = ("none", "jitter", "scaling", "window_warping", "mixup", "synthetic")


@dataclass
class AugmentSettings(Settings):
    """How training examples are augmented; validation and test examples never are (`ste.training.augmentation`).

    Attributes:
        name: `none`; on each batch `jitter`, `scaling`, `window_warping`, `mixup` or a transform of a plugin; before
            the fit `synthetic`.
        fraction: fraction of a batch's examples that jitter, scaling or window warping changes; drawn at each step.
        sigma: standard deviation of jitter's noise, in standard deviations of the feature, or of scaling's factors,
            whose mean is 1.
        part: fraction of a window's time that window warping stretches or compresses.
        factor: by which it stretches; the inverse compresses.
        alpha: parameter of mixup's Beta(alpha, alpha).
        amount: synthetic examples per real one.
        block: consecutive sessions in a resampled block of a synthetic market.
        arguments: of a plugin's transform.
    """

    section: ClassVar[str] = "augment"

    name: Name = "none"
    fraction: Annotated[float, Gt(0), Le(1)] = 1.0
    sigma: PositiveFloat = 0.1
    part: Annotated[float, Gt(0), Lt(1)] = 0.5
    factor: Annotated[float, Gt(1)] = 2.0
    alpha: PositiveFloat = 0.2
    amount: Annotated[float, Gt(0), Le(100)] = 1.0
    block: Annotated[int, Ge(2)] = 60
    arguments: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Require a known transform, and arguments for one of a plugin alone."""
        if self.name in _NAMES:
            self.require(not self.arguments, "arguments", f"none: {self.name} has settings of its own", "{}")
            return
        load_installed_plugins()
        check_name("augment.name", self.name, (*_NAMES, *AUGMENTATIONS.of_plugins))
