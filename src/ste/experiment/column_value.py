"""What groups of columns are worth to the model of a run: permuted, and trained again without them."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ste.config.feature_sets import own_groups
from ste.config.progress import step
from ste.data.datamodule import TrendDataModule
from ste.errors import SteError
from ste.evaluation.explain.group_value import GroupValue, ScoreChange
from ste.evaluation.explain.paired_difference import PeriodResampling
from ste.evaluation.explain.permutation_importance import Permutation, even_periods, max_rows
from ste.evaluation.metrics.base import log_losses
from ste.experiment.explanation import read_examples, reading_predictor
from ste.experiment.prediction import OUT_OF_SAMPLE, one_thread, predict_split
from ste.experiment.run_parts import RunParts
from ste.schema import FeatureSet
from ste.training.fit import Fitted, Model

Fit = tuple[Model, TrendDataModule]
"""A fitted model and the data that it was fitted on; one for each fold."""


def column_values(parts: RunParts, fitted: Sequence[Fitted]) -> list[GroupValue]:
    """Measure the groups of the user's columns, and with `scoring.without_groups` every group also by training again.

    Args:
        parts: of the run.
        fitted: its models, one for each fold.
    """
    if not fitted:
        return []
    features = parts.data.panel.feature_set
    own = own_groups(features)
    groups = dict(own)
    if parts.scoring.without_groups:
        mine = {name for names in own.values() for name in names}
        for name, names in features.groups.items():
            shipped = tuple(one for one in names if one not in mine)
            if shipped:
                groups[f"{name} of the package" if name in own else name] = shipped
    if not groups:
        return []
    folds = _data(parts)
    fits = [(one.model, data) for one, data in zip(fitted, folds, strict=True)]
    split = "test" if all("test" in data.scored for data in folds) else "validation"
    permuted, periods = _permuted(fits, split, groups, parts.scoring.resamples)
    out = []
    for name, names in groups.items():
        value = GroupValue(name, len(names), name in own, split, periods, permuted.get(name))
        if parts.scoring.without_groups:
            with step(f"training without the columns of {name}"):
                value = _with_retraining(value, parts, fits, names)
        out.append(value)
    return out


def _data(parts: RunParts) -> list[TrendDataModule]:
    data = parts.data
    return [data.fold(fold) for fold in data.folds] if data.in_folds else [data.holdout()]


def _permuted(
    fits: Sequence[Fit], split: str, groups: Mapping[str, Sequence[str]], resamples: int
) -> tuple[dict[str, ScoreChange], int]:
    """Permute each group within the split of each fold; empty for a model that does not read the features."""
    changes: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in groups}
    periods = []
    limit = max(1, max_rows(len(groups)) // len(fits))
    for model, data in fits:
        predictor = reading_predictor(model)
        dataset = read_examples(model, data.scored[split])
        every = data.panel.store.period[dataset.ends.numpy()]
        if predictor is None or len(set(every.tolist())) < 2:
            continue
        with torch.no_grad(), one_thread():
            rows = even_periods(every, limit)
            batch = dataset[torch.from_numpy(rows)]
            permutation = Permutation(
                predictor,
                model.representation(batch.features),
                batch.label.numpy(),
                every[rows],
                dataset.tickers[rows],
                group=batch.group,
            )
            position = {name: i for i, name in enumerate(data.panel.features)}
            for name, names in groups.items():
                rise, drop = permutation.changes([position[one] for one in names])
                changes[name].append((rise.mean(axis=0), drop.mean(axis=0)))
        periods.append(every[rows][batch.label.numpy() >= 0])
    if not periods:
        return {}, 0
    resampling = PeriodResampling(np.concatenate(periods), fits[0][1].settings.labels.horizon, resamples)
    losses = {}
    for name, each in changes.items():
        both = np.stack([np.concatenate(part) for part in zip(*each, strict=True)])
        losses[name] = ScoreChange(*resampling.means(both))
    return losses, resampling.periods


def _with_retraining(value: GroupValue, parts: RunParts, fits: Sequence[Fit], names: Sequence[str]) -> GroupValue:
    """Fit the same model, with the same seed and splits, without some columns, and compare row by row."""
    features = parts.data.panel.feature_set
    remaining = FeatureSet(features.name, tuple(column for column in features.columns if column.name not in names))
    if why := _cannot_remain(remaining, parts.builder.representation):
        return replace(value, why_not=why)
    reduced = replace(parts, data=replace(parts.data, without=tuple(names)))
    try:
        without = _fit_all(reduced)
    except SteError as error:
        return replace(value, why_not=str(error).splitlines()[0])
    retrained = {
        split: _difference(fits, without, split, parts.scoring.resamples)
        for split in OUT_OF_SAMPLE
        if all(split in data.scored for _, data in fits)
    }
    return replace(value, retrained=retrained)


def _cannot_remain(remaining: FeatureSet, representation: str) -> str:
    """Return why columns cannot be normalized without the others; empty where they can."""
    if not remaining.columns:
        return "no other column remains"
    if representation != "stationary":
        return ""
    if remaining.needing_close() and remaining.close is None:
        return f"{remaining.needing_close()[0]} is normalized by its close"
    banded = [
        column.name for column in remaining.columns if column.bands and not set(column.bands) <= set(remaining.names)
    ]
    return f"{banded[0]} is normalized by its bands" if banded else ""


def _fit_all(parts: RunParts) -> list[Fit]:
    out: list[Fit] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(_data(parts)):
            model = parts.builder.build(data)
            fitted = parts.fitter.fit(model, data, Path(folder) / str(number))
            out.append((fitted.model, data))
    return out


def _difference(fits: Sequence[Fit], without: Sequence[Fit], split: str, resamples: int) -> ScoreChange:
    """Compare models on the same examples, paired over periods."""
    differences, periods = [], []
    for (model, data), (other, reduced) in zip(fits, without, strict=True):
        labels = data.scored[split].labels.numpy()
        with_all, with_less = predict_split(model, data, split), predict_split(other, reduced, split)
        rise = log_losses(with_less, labels) - log_losses(with_all, labels)
        right = [(probs.argmax(axis=1) == labels).astype(float) for probs in (with_all, with_less)]
        differences.append(np.stack([rise, right[0] - right[1]]))
        periods.append(data.panel.store.period[data.scored[split].ends.numpy()])
    resampling = PeriodResampling(np.concatenate(periods), fits[0][1].settings.labels.horizon, resamples)
    return ScoreChange(*resampling.means(np.concatenate(differences, axis=1)))
