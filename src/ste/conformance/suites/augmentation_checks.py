"""Checks of a transform of training batches."""

import torch

from ste.config import AugmentSettings
from ste.conformance.suite import SUITES, Check, expect
from ste.training.augmentation.base import AugmentedBatch
from ste.training.augmentation.batch_transforms import generator, transform_of

_CLASSES, _EXAMPLES, _FEATURES, _PERIODS = 3, 32, 21, 5


def augmentation_checks(name: str) -> list[Check]:
    """Return the checks of a transform with its default arguments."""
    transform = TransformUnderTest(name)
    return [
        Check("features of the same shape and type, finite", transform.features),
        Check("labels, or class fractions that sum to 1", transform.target),
        Check("the batch itself is unchanged", transform.in_place),
        Check("the same generator gives the same batch", transform.repeats),
        Check("it changes something", transform.changes),
    ]


class TransformUnderTest:
    """A transform and a random batch.

    Args:
        name: in `AUGMENTATIONS`.
    """

    def __init__(self, name: str) -> None:
        self.transform, self.arguments = transform_of(vars(AugmentSettings(name=name)))

    def batch(self) -> AugmentedBatch:
        """Draw a batch."""
        draw = torch.Generator().manual_seed(0)
        features = torch.randn(_EXAMPLES, _PERIODS, _FEATURES, generator=draw)
        target = torch.randint(_CLASSES, (_EXAMPLES,), generator=draw)
        return AugmentedBatch(features, target, _CLASSES, torch.ones(_FEATURES, dtype=torch.bool))

    def apply(self, batch: AugmentedBatch, epoch: int = 0) -> AugmentedBatch:
        """Transform a batch."""
        changed: AugmentedBatch = self.transform(batch, generator(0, epoch, 0), **self.arguments)
        return changed

    def features(self) -> str:
        """Check the features."""
        before, after = self.batch().features, self.apply(self.batch()).features
        found, expected = (after.shape, after.dtype), (before.shape, before.dtype)
        expect(found == expected, f"{list(after.shape)} of {after.dtype}: expected {list(before.shape)} as before")
        expect(bool(after.isfinite().all()), "features that are not finite")
        return ""

    def target(self) -> str:
        """Check the target."""
        target = self.apply(self.batch()).target
        if not target.is_floating_point():
            expect(target.shape == (_EXAMPLES,), f"labels {list(target.shape)}: expected [{_EXAMPLES}]")
            return "labels"
        expect(target.shape == (_EXAMPLES, _CLASSES), f"fractions {list(target.shape)}: expected [B, C]")
        expect(torch.allclose(target.sum(dim=1), torch.ones(_EXAMPLES)), "fractions that do not sum to 1")
        return "class fractions"

    def in_place(self) -> str:
        """Check that the cached rows are not written to."""
        batch, before = self.batch(), self.batch()
        self.apply(batch)
        same = torch.equal(batch.features, before.features) and torch.equal(batch.target, before.target)
        expect(same, "it is changed: return new tensors (dataclasses.replace)")
        return ""

    def repeats(self) -> str:
        """Check that all random numbers come from the generator."""
        first, second = self.apply(self.batch()), self.apply(self.batch())
        same = torch.equal(first.features, second.features) and torch.equal(first.target, second.target)
        expect(same, "it differs: draw from rng alone")
        return ""

    def changes(self) -> str:
        """Check that features or target change."""
        before, after = self.batch(), self.apply(self.batch())
        same = torch.equal(before.features, after.features) and after.target.shape == before.target.shape
        expect(not same, "features and target stay as they are")
        return ""


SUITES.add("augmentation", augmentation_checks)
