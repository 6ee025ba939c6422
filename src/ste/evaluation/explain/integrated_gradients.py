"""Attribution of a net's predictions to its inputs, by integrated gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ste.data.windows import date_chunks
from ste.evaluation.explain.permutation_importance import BATCH, MARKET_BATCH, even_periods

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
    net: nn.Module,
    features: torch.Tensor,
    columns: Sequence[str],
    periods: np.ndarray,
    steps: int = 32,
    group: torch.Tensor | None = None,
) -> Attribution:
    """Integrated gradients of the predicted class's probability (Sundararajan, Taly and Yan 2017).

    The path starts at zeros, which are the means of the training rows after normalization.

    Args:
        net: from normalized features `[n, T, F]` or `[n, F]`, and with `group` also dates, to logits `[n, C]`; it is
            set to eval mode.
        features: normalized features of held-out examples, `[N, T, F]` or `[N, F]`.
        columns: F feature names in order.
        periods: `[N]`; complete periods, evenly spaced, are taken up to `MAX_ROWS` examples.
        steps: points on the path (Gauss-Legendre).
        group: dates of the examples, int64 `[N]`, of a net that reads those of a date together; else None. The
            attribution of an example is then to the sum of the outputs of its date, and completeness holds for a date.
    """
    from captum.attr import IntegratedGradients  # two seconds to import

    net.eval()
    chosen = even_periods(periods, MAX_ROWS)
    x = features[torch.from_numpy(chosen)]
    dates = np.arange(len(x)) if group is None else group.numpy()[chosen]
    chunks = date_chunks(dates, BATCH if group is None else MARKET_BATCH)
    total, gap = torch.zeros(x.shape[1:], dtype=torch.float64), 0.0
    with torch.backends.cudnn.flags(enabled=False):  # its recurrent nets have no gradient in eval mode
        for rows in chunks:
            part, codes = x[torch.from_numpy(rows)], np.unique(dates[rows], return_inverse=True)[1]
            outputs = net if group is None else _WithDates(net, torch.from_numpy(codes).to(part.device))
            with torch.no_grad():
                classes = outputs(part).argmax(dim=1)
            attributions, gaps = IntegratedGradients(lambda x, of=outputs: of(x).softmax(dim=1)).attribute(
                part,
                baselines=torch.zeros_like(part),
                target=classes,
                n_steps=steps,
                internal_batch_size=4 * len(part) if group is not None else 4 * BATCH,
                return_convergence_delta=True,
            )
            total += attributions.detach().abs().sum(dim=0).double().cpu()
            gap = max(gap, float(np.abs(np.bincount(codes, gaps.cpu().numpy())).max()))
    by_lag = (total / len(x)).reshape(-1, len(columns))
    return Attribution(tuple(columns), by_lag.tolist(), len(x), gap)


class _WithDates(nn.Module):
    """A net that reads dates, on the points of several paths: those of one step are a market of their own.

    Args:
        net: of features and dates.
        group: dates of the B examples, int64 from 0.
    """

    def __init__(self, net: nn.Module, group: torch.Tensor) -> None:
        super().__init__()
        self.net = net
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits of features `[k B, ...]`, all examples of a step after those of the step before."""
        step = torch.arange(len(x), device=x.device) // len(self.group)
        dates = self.group.repeat(len(x) // len(self.group)) + step * (int(self.group.max()) + 1)
        logits: torch.Tensor = self.net(x, dates)
        return logits
