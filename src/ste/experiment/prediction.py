"""Predictions of a fitted model and its baselines on the same examples."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch

from ste.baselines import REFERENCE_BASELINES
from ste.baselines.examples import SplitExamples
from ste.baselines.fitted_baseline import FittedBaseline
from ste.config.progress import step
from ste.data.datamodule import TrendDataModule
from ste.evaluation.predictions import BAYES, Predictions, row_columns
from ste.evaluation.result_cache import ResultCache
from ste.schema import SPLITS, probability_names
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.seed_ensembles.replica_scores import ReplicaScores, replica_metrics
from ste.training.fit import Model
from ste.training.module import TrendModule

OUT_OF_SAMPLE = ("validation", "test")

BySplit = dict[str, dict[str, np.ndarray]]
"""Probabilities, float64 `[N, C]`, by split and name of the baseline."""

_CACHE: ResultCache[BySplit] = ResultCache(2)
_MAX_CACHED_ROWS = 100_000  # above, fits take longer than baselines, and memory counts


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: sums depend on their order, and results must not depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@step("fitting the baselines and predicting")
def predict(
    model: Model,
    data: TrendDataModule,
    name: str,
    splits: tuple[str, ...] = SPLITS,
    fold: int = 0,
    path: np.ndarray | None = None,
) -> Predictions:
    """Predict the scored examples of each split with the model and its baselines, which are fitted on all of `train`.

    Args:
        model: fitted.
        data: that it was fitted on.
        name: of the model, for printing.
        splits: to predict, as far as the data has them.
        fold: number of the fold; 0 for a holdout.
        path: backtest path of each row of the panel, `[N]`, or None.
    """
    panel, horizon = data.panel, data.settings.labels.horizon
    baselines = _predict_baselines(model, data, [split for split in splits if split in data.datasets])
    samples = {split: sample for split, sample in data.samples.items() if split in baselines}
    frames = (_split_frame(model, data, split, baselines[split], fold, path) for split in baselines)
    settings = panel.settings
    return Predictions.from_frames(frames, panel.classes, settings.frequency, horizon, name, samples, settings.calendar)


def _split_frame(
    model: Model,
    data: TrendDataModule,
    split: str,
    baselines: dict[str, np.ndarray],
    fold: int,
    path: np.ndarray | None,
) -> pd.DataFrame:
    """Build the rows of one split: keys, labels, and probabilities of model, baselines and known truth."""
    dataset = data.scored[split]
    keys = pd.DataFrame({"date": dataset.dates, "ticker": dataset.tickers})
    frame = row_columns(keys, split, dataset.labels.numpy(), dataset.returns, fold)
    trading = data.panel.trading(keys)
    if trading is not None:
        frame = frame.join(trading)
    if path is not None:
        frame["path"] = path[dataset.ends.numpy()].astype(np.int16)
    probs = {"": predict_split(model, data, split)} | {f"{name}.": values for name, values in baselines.items()}
    truth = data.truth(split)
    if truth is not None:
        probs[f"{BAYES}."] = truth
    columns = {
        prefix + column: values[:, i].astype(np.float64)
        for prefix, values in probs.items()
        for i, column in enumerate(probability_names(data.panel.classes))
    }
    return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)


def _predict_baselines(model: Model, data: TrendDataModule, splits: list[str]) -> BySplit:
    """Fit the reference baselines on `train` and predict these splits; runs of one process share the result."""

    def compute() -> BySplit:
        known = {split: SplitExamples.from_split(data, split, model.representation) for split in data.datasets}
        train = known["train"]
        if "train" in data.samples:
            train = SplitExamples.from_split(data, "train", model.representation, unsampled=True)
        baselines = {name: build() for name, build in REFERENCE_BASELINES.items()}
        if data.panel.store.columns.volatility is None:  # a ready table without high, low and close
            del baselines["volatility"]
        for baseline in baselines.values():
            baseline.fit(train, known["validation"], seed=0)
        return {split: {name: one.predict_proba(known[split]) for name, one in baselines.items()} for split in splits}

    panel, settings = data.panel, data.settings
    if len(panel.row_split) > _MAX_CACHED_ROWS or data.samples:
        return compute()
    labels = settings.labels
    weights = (labels.weights, labels.half_life) if labels.weights != "none" else ()
    read = (data.view, settings.sequence_length, settings.history, labels.horizon, *weights, splits)
    kind = model.representation.kind
    scaling = [values.numpy() for values in model.representation.state_dict().values()]
    return _CACHE.get(
        compute, panel.prepared.digest, f"{read}{kind}", panel.row_split, panel.store.label.numpy(), *scaling
    )


@torch.no_grad()
def predict_split(model: Model, data: TrendDataModule, split: str) -> np.ndarray:
    """Predict the scored examples of a split with a model alone, `[N, C]`."""
    if isinstance(model, FittedBaseline):
        return model.predict_proba(data, split)
    return _by_batch(model.probabilities, model, data, split)


@torch.no_grad()
def predict_logits(module: TrendModule, data: TrendDataModule, split: str) -> np.ndarray:
    """Compute the logits of a net for the scored examples of a split, float32 `[N, C]`."""
    return _by_batch(lambda *inputs: module(*inputs).float(), module, data, split)


def _by_batch(
    compute: Callable[..., torch.Tensor], module: TrendModule, data: TrendDataModule, split: str
) -> np.ndarray:
    loader = data.loader(split, whole_dates=module.sees_market)
    with one_thread():
        parts = [compute(batch.features, batch.group) for batch in loader]
    return loader.restore(torch.cat(parts)).numpy()


def score_replicas(parts: Sequence[tuple[ReplicaModule, TrendDataModule]], splits: Sequence[str]) -> ReplicaScores:
    """Score each replica by itself, over all folds together.

    Args:
        parts: fitted replicas and the data that they were fitted on, one pair for each fold.
        splits: to score, as far as the data has them.
    """
    module, data = parts[-1]
    figures = {}
    for split in (split for split in splits if split in data.datasets):
        probs = np.concatenate([_predict_replicas(*part, split) for part in parts], axis=1)
        labels = np.concatenate([part.scored[split].labels.numpy() for _, part in parts])
        figures[split] = replica_metrics(probs, labels, data.panel.classes)
    return ReplicaScores(list(module.seeds), module.best_epochs.tolist(), module.weights.tolist(), figures)


def _predict_replicas(module: ReplicaModule, data: TrendDataModule, split: str) -> np.ndarray:
    """Predict the scored examples of a split with each replica, float64 `[R, N, C]`."""
    loader = data.loader(split, whole_dates=module.sees_market)
    with one_thread():
        parts = [module.replica_probabilities(batch.features, batch.group) for batch in loader]
    return loader.restore(torch.cat(parts, dim=1).transpose(0, 1)).transpose(0, 1).double().numpy()
