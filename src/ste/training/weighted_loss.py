"""The cross-entropy of examples that count differently."""

import torch
from torch.nn import functional


def weighted_cross_entropy(
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor,
    class_weight: torch.Tensor | None,
    label_smoothing: float,
) -> torch.Tensor:
    """Return the mean over a batch of each example's cross-entropy times its weight, a scalar; `[R]` of replicas.

    The weights have a mean of 1 over all examples, not over each batch: the expected gradient is then that of the
    weighted loss over all of them.

    Args:
        logits: `[B, C]` or `[R, B, C]`.
        target: labels `[B]` or `[R, B]`, or class fractions `[B, C]`.
        weight: of each example, `[B]` or `[R, B]`.
        class_weight: `[C]`, or None.
        label_smoothing: fraction of the target spread over all classes.
    """
    classes = logits.shape[-1]
    whole = target.dtype == torch.long
    flat = target.reshape(-1) if whole else target.reshape(-1, classes)
    losses = functional.cross_entropy(
        logits.reshape(-1, classes), flat, class_weight, reduction="none", label_smoothing=label_smoothing
    ).view(weight.shape)
    weighted = (losses * weight).sum(dim=-1)
    # As torch does: class weights of labels are normalized by their sum in the batch, those of fractions are not.
    return weighted / (weight.shape[-1] if class_weight is None or not whole else class_weight[target].sum(dim=-1))
