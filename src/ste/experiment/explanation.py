"""What a fitted model looks at: importance of its features on held-out rows."""

from collections.abc import Callable

import torch

from ste.baselines.base import FeatureBaseline
from ste.baselines.fitted_baseline import FittedBaseline
from ste.data.datamodule import TrendDataModule
from ste.evaluation.explain.integrated_gradients import Attribution, integrated_gradients
from ste.evaluation.explain.permutation_importance import MAX_ROWS, Importance, even_periods, permutation_importance
from ste.experiment.prediction import one_thread
from ste.training.fit import Model

Explained = tuple[list[Importance], Attribution | None]


def explain(model: Model, data: TrendDataModule) -> Explained:
    """Permutation importance on the test rows (or validation's) and, for a net, integrated gradients.

    Both look at prepared features: a raw price beside another week's close would be off every scale.

    Args:
        model: fitted; a baseline that reads no prepared features has no importance, nor has a single period.
        data: the cut it was fitted on.
    """
    predictor = _of_prepared(model)
    if predictor is None:
        return [], None
    dataset = data.scored.get("test", data.scored["validation"])
    panel = data.panel
    with torch.no_grad(), one_thread():
        every = panel.store.period[dataset.ends.numpy()]
        kept = even_periods(every, MAX_ROWS)
        periods = every[kept]
        if len(set(periods.tolist())) < 2:
            return [], None  # nothing can change places
        batch = dataset[torch.from_numpy(kept)]
        features = model.representation(batch.features)
        found = permutation_importance(
            predictor,
            features,
            batch.label.numpy(),
            periods,
            dataset.tickers[kept],
            panel.features,
            panel.groups,
        )
    if isinstance(model, FittedBaseline):
        return found, None
    with one_thread():
        return found, integrated_gradients(model.predictor, features, panel.features, periods)


def _of_prepared(model: Model) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Prepared features `[n, T, F]` or `[n, F]` to probabilities, or None."""
    if not isinstance(model, FittedBaseline):
        net = model.predictor
        return lambda x: net(x).float().softmax(dim=1)
    baseline = model.baseline
    if not isinstance(baseline, FeatureBaseline) or not baseline.reads_window:
        return None
    return lambda x: torch.from_numpy(baseline.predict_window(x.numpy()))
