"""Settings of the augmentation of training examples."""

from dataclasses import dataclass
from math import inf

from ste.config.validation import choice, require


@dataclass
class AugmentSettings:
    """What is done to training examples, and to no other (`ste.training.augmentation`).

    Attributes:
        name: `none`; on each batch `jitter`, `scaling`, `window_warping` or `mixup`; before the fit `synthetic`.
        share: of a batch's examples that jitter, scaling or window warping touches; drawn anew at each step.
        sigma: standard deviation of jitter's noise, in those of the feature, or of scaling's factors about 1.
        part: of a window's time that is stretched or squeezed.
        factor: by which, or by its inverse.
        alpha: of mixup's Beta(alpha, alpha).
        amount: synthetic examples per real one.
        block: consecutive sessions that a synthetic market takes over at once.
    """

    name: str = "none"
    share: float = 1.0
    sigma: float = 0.1
    part: float = 0.5
    factor: float = 2.0
    alpha: float = 0.2
    amount: float = 1.0
    block: int = 60

    def __post_init__(self) -> None:
        choice(self, "augment.name", ("none", "jitter", "scaling", "window_warping", "mixup", "synthetic"))
        require(self, "augment.share", 0 < self.share <= 1, "a share in (0, 1]")
        require(self, "augment.sigma", 0 < self.sigma < inf, "a finite number above 0")
        require(self, "augment.part", 0 < self.part < 1, "a share in (0, 1)")
        require(self, "augment.factor", 1 < self.factor < inf, "a finite number above 1")
        require(self, "augment.alpha", 0 < self.alpha < inf, "a finite number above 0")
        require(self, "augment.amount", 0 < self.amount <= 100, "a number above 0, 100 at most")
        require(self, "augment.block", self.block >= 2, "2 sessions or more")
