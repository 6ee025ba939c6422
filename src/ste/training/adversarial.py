"""Adversarial training on the latent representation.

Feng et al. (2019), IJCAI, "Enhancing Stock Movement Prediction with Adversarial Training", section 3, add to each
example's loss the loss of the example perturbed in the direction that raises it fastest. The perturbation applies to
the latent representation, the input of the last linear layer, not to the features. The objective is
`loss(e) + beta * loss(e + r)` with `r = epsilon * g / ||g||` and `g` the gradient of the loss with respect to `e`,
taken as a constant (Goodfellow et al. 2015, ICLR, with the L2 norm of Miyato et al. 2017, ICLR, in place of the sign).
The paper's loss is the hinge, and it perturbs the examples whose hinge loss is above 0; here the loss is the training
step's own (`fit.loss`), by default cross-entropy, above 0 for all.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import normalize

from ste.errors import ConfigError
from ste.training.losses.base import Loss


def perturbation(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    latent: torch.Tensor,
    label: torch.Tensor,
    size: float,
) -> torch.Tensor:
    """Compute the perturbation of each example's latent representation that raises its loss fastest.

    Args:
        loss: mean loss of latent representations `[B, D]` and labels `[B]`; an example's contribution depends on
            its own row alone. For replicas the mean of each, `[R]`, of `[R, B, D]` and `[R, B]`.
        latent: float `[B, D]` or `[R, B, D]`; no gradient flows back into it from here.
        label: int64 `[B]` or `[R, B]`, or class fractions `[B, C]`.
        size: L2 norm of each row's perturbation.

    Returns:
        A tensor of the latent's shape without gradient, float32 or wider, whose rows have norm `size`; a row shrinks
        to 0 with its gradient where the loss is flat to rounding (a norm under 1e-12).
    """
    wide = torch.promote_types(latent.dtype, torch.float32)  # a small step would be lost in 16 bits
    point = latent.detach().to(wide).requires_grad_()
    # Summed over examples: a large batch must not push its gradients under what counts as flat.
    total = loss(point, label).sum() * latent.shape[-2]
    (gradient,) = torch.autograd.grad(total, point)
    return size * normalize(gradient, dim=-1)


def check_adversarial(name: str, net: nn.Module, loss_name: str, loss: Loss) -> None:
    """Check that a net and a loss can be trained on perturbed latent representations.

    Raises:
        ConfigError: the net has no latent representation, or the loss compares examples.
    """
    if not (hasattr(net, "latent") and hasattr(net, "classify")):
        raise ConfigError(
            f"fit.adversarial_weight: {name} has no methods latent and classify (ste.models.base.Net), between which "
            "the perturbation applies. Try fit.adversarial_weight=0."
        )
    if not loss.per_example:
        raise ConfigError(
            f"fit.adversarial_weight: fit.loss={loss_name} compares examples, and the perturbation is that of a single "
            "one. Try fit.adversarial_weight=0."
        )
