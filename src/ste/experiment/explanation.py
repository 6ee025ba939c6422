"""Importance of a fitted model's features on held-out rows."""

from collections.abc import Callable

import torch

from ste.baselines.base import FeatureBaseline
from ste.baselines.fitted_baseline import FittedBaseline
from ste.config.progress import step
from ste.data.datamodule import TrendDataModule
from ste.evaluation.explain.integrated_gradients import Attribution, integrated_gradients
from ste.evaluation.explain.permutation_importance import MAX_ROWS, Importance, even_periods, permutation_importance
from ste.experiment.prediction import one_thread
from ste.training.fit import Model

Explanation = tuple[list[Importance], Attribution | None]


def explain(model: Model, data: TrendDataModule) -> Explanation:
    """Compute permutation importance on the test rows (or validation's) and, for a net, integrated gradients.

    Both permute or interpolate normalized features: a raw price does not fit the close of another week.

    Args:
        model: fitted; a baseline that does not read the features has no importance, nor has a single period.
        data: that it was fitted on.
    """
    predictor = _predictor(model)
    if predictor is None:
        return [], None
    dataset = data.scored.get("test", data.scored["validation"])
    if not isinstance(model, FittedBaseline) and model.sees_market:
        dataset = dataset.market()
    panel = data.panel
    every = panel.store.period[dataset.ends.numpy()]
    with torch.no_grad(), one_thread():
        rows = even_periods(every, MAX_ROWS)
        periods = every[rows]
        if len(set(periods.tolist())) < 2:
            return [], None  # a permutation needs two periods
        batch = dataset[torch.from_numpy(rows)]
        features = model.representation(batch.features)
        importance = permutation_importance(
            predictor,
            features,
            batch.label.numpy(),
            periods,
            dataset.tickers[rows],
            panel.features,
            panel.groups,
            group=batch.group,
        )
    if isinstance(model, FittedBaseline):
        return importance, None
    with step("computing integrated gradients"), one_thread():
        return importance, integrated_gradients(model.predictor, features, panel.features, periods, group=batch.group)


def _predictor(model: Model) -> Callable[..., torch.Tensor] | None:
    """Return a function from normalized features `[n, T, F]` or `[n, F]`, and dates, to probabilities, or None."""
    if not isinstance(model, FittedBaseline):
        net = model.predictor
        return lambda *inputs: net(*inputs).float().softmax(dim=1)
    baseline = model.baseline
    if not isinstance(baseline, FeatureBaseline) or not baseline.reads_window:
        return None
    return lambda x: torch.from_numpy(baseline.predict_window(x.numpy()))
