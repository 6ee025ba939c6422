"""Attribution of a net's predictions to its inputs, by integrated gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ste.evaluation.explain.permutation_importance import BATCH, even_periods

MAX_ROWS = 2_000
"""Largest number of examples: each takes `steps` backward passes."""


@dataclass(frozen=True)
class Attribution:
    """Integrated gradients of a net, averaged over examples.

    Attributes:
        columns: feature names, F of them.
        by_lag: mean absolute attribution to the probability of the predicted class, `[T][F]`, oldest period
            first; T is 1 for a net that reads one period.
        examples: number of examples.
        gap: largest difference over examples between the sum of the attributions and the change of the output
            (completeness); near 0 with enough `steps`.
    """

    columns: tuple[str, ...]
    by_lag: list[list[float]]
    examples: int
    gap: float

    @property
    def by_feature(self) -> dict[str, float]:
        """Sum over the window by feature."""
        return dict(zip(self.columns, np.sum(self.by_lag, axis=0).tolist(), strict=True))


def integrated_gradients(
    net: nn.Module, features: torch.Tensor, columns: Sequence[str], periods: np.ndarray, steps: int = 32
) -> Attribution:
    """Integrated gradients of the predicted class's probability (Sundararajan, Taly and Yan 2017).

    The path starts at zeros, which are the means of the training rows after normalization.

    Args:
        net: from normalized features `[n, T, F]` or `[n, F]` to logits `[n, C]`; it is set to eval mode.
        features: normalized features of held-out examples, `[N, T, F]` or `[N, F]`.
        columns: F feature names in order.
        periods: `[N]`; complete periods, evenly spaced, are taken up to `MAX_ROWS` examples.
        steps: points on the path (Gauss-Legendre).
    """
    from captum.attr import IntegratedGradients  # two seconds to import

    net.eval()
    x = features[torch.from_numpy(even_periods(periods, MAX_ROWS))]
    with torch.no_grad():
        target = torch.cat([net(part).argmax(dim=1) for part in x.split(BATCH)])
    method = IntegratedGradients(lambda part: net(part).softmax(dim=1))
    total, gap = torch.zeros(x.shape[1:], dtype=torch.float64), 0.0
    with torch.backends.cudnn.flags(enabled=False):  # its recurrent nets have no gradient in eval mode
        for part, classes in zip(x.split(BATCH), target.split(BATCH), strict=True):
            attributions, gaps = method.attribute(
                part,
                baselines=torch.zeros_like(part),
                target=classes,
                n_steps=steps,
                internal_batch_size=4 * BATCH,
                return_convergence_delta=True,
            )
            total += attributions.detach().abs().sum(dim=0).double().cpu()
            gap = max(gap, float(gaps.abs().max()))
    by_lag = (total / len(x)).reshape(-1, len(columns))
    return Attribution(tuple(columns), by_lag.tolist(), len(x), gap)
