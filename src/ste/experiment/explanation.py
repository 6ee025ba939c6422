"""Importance of a fitted model's features on held-out rows."""

from collections.abc import Callable

import torch

from ste.baselines.base import FeatureBaseline
from ste.baselines.fitted_baseline import FittedBaseline
from ste.config.progress import step
from ste.data.datamodule import TrendDataModule
from ste.data.window_dataset import WindowDataset
from ste.evaluation.explain.integrated_gradients import Attribution, integrated_gradients
from ste.evaluation.explain.permutation_importance import (
    MAX_ROWS,
    Importance,
    even_periods,
    max_rows,
    permutation_importance,
)
from ste.experiment.prediction import one_thread
from ste.training.fit import Model

Explanation = tuple[list[Importance], Attribution | None]


def explain(model: Model, data: TrendDataModule) -> Explanation:
    """Compute permutation importance on the test rows (or validation's) and, for a net, integrated gradients.

    With many columns each is measured on fewer examples, of evenly spaced periods, so that the time is bounded. Both
    permute or interpolate normalized features: a raw price does not fit the close of another week.

    Args:
        model: fitted; a baseline that does not read the features has no importance, nor has a single period.
        data: that it was fitted on.
    """
    predictor = reading_predictor(model)
    if predictor is None:
        return [], None
    dataset = read_examples(model, data.scored.get("test", data.scored["validation"]))
    panel = data.panel
    every = panel.store.period[dataset.ends.numpy()]
    with torch.no_grad(), one_thread():
        if len(set(every.tolist())) < 2:
            return [], None  # a permutation needs two periods
        importance: list[Importance] = []
        for columns, groups in (((), panel.groups), (panel.features, {})):
            rows = even_periods(every, max_rows(len(columns) + len(groups)))
            batch = dataset[torch.from_numpy(rows)]
            importance += permutation_importance(
                predictor,
                model.representation(batch.features),
                batch.label.numpy(),
                every[rows],
                dataset.tickers[rows],
                panel.features,
                groups,
                measured=columns,
                horizon=data.settings.labels.horizon,
                group=batch.group,
            )
        rows = even_periods(every, MAX_ROWS)
        batch = dataset[torch.from_numpy(rows)]
        features, periods = model.representation(batch.features), every[rows]
    if isinstance(model, FittedBaseline):
        return importance, None
    with step("computing integrated gradients"), one_thread():
        return importance, integrated_gradients(model.predictor, features, panel.features, periods, group=batch.group)


def read_examples(model: Model, dataset: WindowDataset) -> WindowDataset:
    """Return the scored examples, or for a net that sees the market all of their dates (`WindowDataset.market`)."""
    return dataset.market() if not isinstance(model, FittedBaseline) and model.sees_market else dataset


def reading_predictor(model: Model) -> Callable[..., torch.Tensor] | None:
    """Return a function from normalized features `[n, T, F]` or `[n, F]`, and dates, to probabilities.

    None for a baseline that does not read the features.
    """
    if not isinstance(model, FittedBaseline):
        net = model.predictor
        return lambda *inputs: net(*inputs).float().softmax(dim=1)
    baseline = model.baseline
    if not isinstance(baseline, FeatureBaseline) or not baseline.reads_window:
        return None
    return lambda x: torch.from_numpy(baseline.predict_window(x.numpy()))
