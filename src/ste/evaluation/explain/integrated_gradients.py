"""What a net's answer is made of, by its own gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ste.evaluation.explain.permutation_importance import BATCH, even_periods

ROWS = 2_000
"""Examples that are explained at most: each takes `steps` backward passes."""


@dataclass(frozen=True)
class Attribution:
    """Integrated gradients of a net, averaged over examples.

    Attributes:
        columns: feature names, F of them.
        by_lag: mean absolute attribution, probability of the predicted class, `[T][F]`, oldest period
            first; T is 1 for a net that reads one period.
        examples: how many it is averaged over.
        gap: largest difference between an example's attributions' sum and the change of the output
            that they must add up to (completeness); near 0 if `steps` sufficed.
    """

    columns: tuple[str, ...]
    by_lag: list[list[float]]
    examples: int
    gap: float

    @property
    def by_feature(self) -> dict[str, float]:
        """Sum over the window, by feature."""
        return dict(zip(self.columns, np.sum(self.by_lag, axis=0).tolist(), strict=True))


def integrated_gradients(
    net: nn.Module, features: torch.Tensor, columns: Sequence[str], periods: np.ndarray, steps: int = 32
) -> Attribution:
    """Integrated gradients of the predicted class's probability (Sundararajan, Taly and Yan 2017).

    The path begins at zeros: in prepared features, the mean of the training rows.

    Args:
        net: prepared features `[n, T, F]` or `[n, F]` to logits `[n, C]`; it is put into eval mode.
        features: prepared features of held-out examples, `[N, T, F]` or `[N, F]`.
        columns: F feature names in order.
        periods: `[N]`; whole ones, evenly spaced, are taken up to `ROWS` examples.
        steps: points on the path (Gauss and Legendre's).
    """
    from captum.attr import IntegratedGradients  # two seconds to import

    net.eval()
    x = features[torch.from_numpy(even_periods(periods, ROWS))]
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
