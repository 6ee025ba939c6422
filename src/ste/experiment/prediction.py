"""From a fitted model and one cut of the data to predictions beside their baselines."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch

from ste.baselines import REFERENCE_BASELINES
from ste.baselines.examples import Examples
from ste.baselines.fitted_baseline import FittedBaseline
from ste.data.datamodule import TrendDataModule
from ste.evaluation.predictions import BAYES, Predictions, row_columns
from ste.evaluation.result_cache import ResultCache
from ste.schema import probability_names
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.seed_ensembles.replica_scores import ReplicaScores, replica_figures
from ste.training.fit import Model

_KNOWN: ResultCache[dict[str, dict[str, np.ndarray]]] = ResultCache(2)
_MOST_ROWS = 100_000  # beyond, fits take longer than baselines, and memory counts


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums depend on their order, and figures must repeat whatever the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def predict(
    model: Model,
    data: TrendDataModule,
    name: str,
    splits: tuple[str, ...] = ("train", "validation", "test"),
    fold: int = 0,
    path: np.ndarray | None = None,
) -> Predictions:
    """What a model and its company say of the scored examples of these splits; baselines learn from all of `train`.

    Args:
        model: fitted.
        data: the cut it was fitted on.
        name: of the model, to print.
        splits: those of `data` among them are predicted.
        fold: number of the cut.
        path: backtest path of each row of the panel `[N]`, or None.
    """
    panel, horizon = data.panel, data.settings.labels.horizon
    company = _company(model, data, [split for split in splits if split in data.datasets])
    samples = {split: sample for split, sample in data.samples.items() if split in company}
    frames = (_said(model, data, split, company[split], fold, path) for split in company)
    return Predictions.from_frames(frames, panel.classes, panel.settings.frequency, horizon, name, samples)


def _said(
    model: Model, data: TrendDataModule, split: str, company: dict[str, np.ndarray], fold: int, path: np.ndarray | None
) -> pd.DataFrame:
    """One split's predictions, the model's and those of its company."""
    dataset = data.scored[split]
    keys = pd.DataFrame({"date": dataset.dates, "ticker": dataset.tickers})
    frame = row_columns(keys, split, dataset.labels.numpy(), dataset.returns, fold)
    if path is not None:
        frame["path"] = path[dataset.ends.numpy()].astype(np.int16)
    chances = {"": class_chances(model, data, split)}
    chances |= {f"{title}.": values for title, values in company.items()}
    truth = data.truth(split)
    if truth is not None:
        chances[f"{BAYES}."] = truth
    columns = probability_names(data.panel.classes)
    said = {
        prefix + column: values[:, i].astype(np.float64)
        for prefix, values in chances.items()
        for i, column in enumerate(columns)
    }
    return pd.concat([frame, pd.DataFrame(said, index=frame.index)], axis=1)


def _company(model: Model, data: TrendDataModule, splits: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """What each baseline, fitted on `train`, says of these splits' examples: float64 `[N, C]` by split and title."""

    def compute() -> dict[str, dict[str, np.ndarray]]:
        known = {split: Examples.from_split(data, split, model.representation) for split in data.datasets}
        train = known["train"]
        if "train" in data.samples:
            train = Examples.from_split(data, "train", model.representation, unsampled=True)
        company = {title: kind() for title, kind in REFERENCE_BASELINES.items()}
        for baseline in company.values():
            baseline.fit(train, known["validation"], seed=0)
        return {split: {title: one.predict_proba(known[split]) for title, one in company.items()} for split in splits}

    panel, settings = data.panel, data.settings
    if len(panel.row_split) > _MOST_ROWS or data.samples:
        return compute()
    read = (data.view, settings.sequence_length, settings.history, settings.labels.horizon, splits)
    kind = model.representation.kind
    scaling = [values.numpy() for values in model.representation.state_dict().values()]
    return _KNOWN.get(
        compute, panel.prepared.digest, f"{read}{kind}", panel.row_split, panel.store.label.numpy(), *scaling
    )


@torch.no_grad()
def class_chances(model: Model, data: TrendDataModule, split: str) -> np.ndarray:
    """A model's probabilities for a split's scored examples, `[N, C]`."""
    if isinstance(model, FittedBaseline):
        return model.predict_proba(data, split)
    with one_thread():
        parts = [model.probabilities(batch.features) for batch in data.loader(split)]
    return torch.cat(parts).numpy()


def score_replicas(parts: Sequence[tuple[ReplicaModule, TrendDataModule]], splits: Sequence[str]) -> ReplicaScores:
    """Each replica's own figures, over all folds together.

    Args:
        parts: the fitted replicas and the cut that they were fitted on, of each fold.
        splits: those of the data among them are scored.
    """
    module, data = parts[-1]
    figures = {}
    for split in (split for split in splits if split in data.datasets):
        chances = np.concatenate([replica_chances(*part, split) for part in parts], axis=1)
        labels = np.concatenate([part.scored[split].labels.numpy() for _, part in parts])
        figures[split] = replica_figures(chances, labels, data.panel.classes)
    return ReplicaScores(list(module.seeds), module.best_epochs.tolist(), module.weights.tolist(), figures)


def replica_chances(module: ReplicaModule, data: TrendDataModule, split: str) -> np.ndarray:
    """Each replica's probabilities for a split's scored examples, float64 `[R, N, C]`."""
    with one_thread():
        parts = [module.replica_probabilities(batch.features) for batch in data.loader(split)]
    return torch.cat(parts, dim=1).double().numpy()
