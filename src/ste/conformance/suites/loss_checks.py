"""Checks of a loss: values and gradients, weights, soft targets and replicas."""

import torch

from ste.conformance.component_checks import SUITES, Check, NotApplicable, expect
from ste.errors import ConfigError
from ste.training.losses.base import Loss, LossInputs
from ste.training.losses.build import build_loss

_CLASSES, _EXAMPLES = 3, 24


def loss_checks(name: str) -> list[Check]:
    """Return the checks of a loss with its default arguments."""
    loss = LossUnderTest(name)
    return [
        Check("finite values and gradients, also of sure logits", loss.finite),
        Check("minimal at the true class, with gradient 0", loss.minimum),
        Check("examples of weight 0 count for nothing", loss.example_weights),
        Check("equal class weights change nothing", loss.class_weights),
        Check("label smoothing", loss.smoothing),
        Check("class fractions of one class equal its label", loss.fractions),
        Check("of replicas each one's own", loss.replicas),
    ]


class LossUnderTest:
    """A loss and random logits.

    Args:
        name: in `LOSSES`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        draw = torch.Generator().manual_seed(0)
        self.logits = torch.randn(2, _EXAMPLES, _CLASSES, generator=draw)
        self.labels = torch.randint(_CLASSES, (2, _EXAMPLES), generator=draw)
        self.groups = torch.arange(_EXAMPLES).expand(2, -1) // 6

    def build(self, weights: list[float] | None = None, smoothing: float = 0.0) -> Loss:
        """Build the loss."""
        return build_loss(self.name, {}, _CLASSES, weights, smoothing)

    def value(self, loss: Loss, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the loss of the first replica's examples."""
        return loss(self.logits[0], self.labels[0], LossInputs(weight, self.groups[0]))

    def finite(self) -> str:
        """Check ordinary and extreme logits."""
        loss = self.build()
        for scale in (0.0, 1.0, 100.0):
            logits = (self.logits[0] * scale).requires_grad_()
            value = loss(logits, self.labels[0], LossInputs(None, self.groups[0]))
            expect(value.shape == (), f"shape {list(value.shape)}: expected the mean of the batch, a scalar")
            (gradient,) = torch.autograd.grad(value, logits)
            expect(bool(value.isfinite() and gradient.isfinite().all()), f"not finite at logits times {scale:g}")
        return f"{float(self.value(loss)):.3f} at random logits"

    def minimum(self) -> str:
        """Check that sure and right is best, and that nothing pulls away from it."""
        loss = self.build()
        if not loss.per_example:
            raise NotApplicable("it compares examples")
        right = (torch.nn.functional.one_hot(self.labels[0], _CLASSES) * 60.0).requires_grad_()
        best = loss(right, self.labels[0])
        (gradient,) = torch.autograd.grad(best, right)
        others = [loss(self.logits[0], self.labels[0]), loss(-right.detach(), self.labels[0])]
        expect(all(bool(best < other) for other in others), f"{float(best):.3g} where every prediction is right")
        size = float(gradient.abs().max())
        expect(size < 1e-4, f"gradient {size:.1e} where every prediction is right")
        return ""

    def example_weights(self) -> str:
        """Check weights of examples."""
        loss = self.build()
        ones, some = torch.ones(_EXAMPLES), torch.ones(_EXAMPLES)
        some[_EXAMPLES // 2 :] = 0.0
        whole, plain = self.value(loss, ones), self.value(loss)
        expect(torch.allclose(whole, plain, atol=1e-6), "weights of 1 change the loss")
        half = slice(0, _EXAMPLES // 2)
        if not loss.per_example:
            return "compares examples: only weights of 1 are checked"
        own = loss(self.logits[0, half], self.labels[0, half], LossInputs(None, self.groups[0, half]))
        # The weights are not normalized in a batch: their mean over all examples is 1.
        expect(torch.allclose(self.value(loss, some), own / 2, atol=1e-6), "examples of weight 0 change the loss")
        return ""

    def class_weights(self) -> str:
        """Check weights of classes."""
        try:
            weighted = self.build([2.0] * _CLASSES)
        except ConfigError as reason:
            raise NotApplicable(str(reason)) from None
        same = torch.allclose(self.value(weighted), self.value(self.build()), atol=1e-6)
        expect(same, "weights of 2 for all classes change the loss: divide by the sum of the weights")
        return ""

    def smoothing(self) -> str:
        """Check that smoothing has an effect, or is refused."""
        try:
            smooth = self.build(smoothing=0.2)
        except ConfigError as reason:
            raise NotApplicable(str(reason)) from None
        changed = not torch.allclose(self.value(smooth), self.value(self.build()), atol=1e-6)
        expect(changed, "fit.label_smoothing has no effect: raise ValueError in set_up where it is not defined")
        return ""

    def fractions(self) -> str:
        """Check class fractions, which mixup gives."""
        loss = self.build()
        if not loss.per_example:
            raise NotApplicable("it compares examples: augment=mixup is refused")
        hot = torch.nn.functional.one_hot(self.labels[0], _CLASSES).float()
        soft, hard = loss(self.logits[0], hot), loss(self.logits[0], self.labels[0])
        expect(torch.allclose(soft, hard, atol=1e-6), f"{float(soft):.4f} instead of {float(hard):.4f}")
        return ""

    def replicas(self) -> str:
        """Check a leading dimension of replicas."""
        loss = self.build()
        together = loss(self.logits, self.labels, LossInputs(None, self.groups))
        expect(together.shape == (2,), f"shape {list(together.shape)}: expected [R]. Index dimensions from the last")
        parts = zip(self.logits, self.labels, self.groups, strict=True)
        alone = torch.stack([loss(x, y, LossInputs(None, group)) for x, y, group in parts])
        expect(torch.allclose(together, alone, atol=1e-6), "the replicas' losses depend on each other")
        return ""


SUITES.add("loss", loss_checks)
