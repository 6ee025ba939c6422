"""What a score must beat: the majority class, last week's class, and a linear model on the same rows."""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from ste.data.windows import WindowDataset


def majority(train: WindowDataset, dataset: WindowDataset, num_classes: int) -> np.ndarray:
    """The training rows' class shares for every example, float64 `[N, C]`; its top class is the majority's."""
    counts = np.bincount(train.labels.numpy(), minlength=num_classes)
    return np.tile(counts / counts.sum(), (len(dataset), 1))


def persistence(train: WindowDataset, dataset: WindowDataset, num_classes: int, horizon: int) -> np.ndarray:
    """The last class of the ticker that was known at each example's close, one-hot `[N, C]`.

    Where no earlier row of the ticker exists, the majority class of the training rows.
    """
    store, ends = dataset.store, dataset.ends
    known = store.history[ends] > horizon
    fallback = int(torch.bincount(train.labels, minlength=num_classes).argmax())
    last = torch.where(known, store.label[(ends - horizon).clamp(min=0)], fallback)
    return np.eye(num_classes)[last.numpy()]


def linear(train: torch.Tensor, labels: torch.Tensor, inputs: list[torch.Tensor], num_classes: int) -> list[np.ndarray]:
    """Multinomial logistic regression on prepared features of each example's last week.

    Args:
        train: prepared features `[N, F]` of the training examples.
        labels: int64 `[N]`.
        inputs: prepared features of each split to score.
        num_classes: C.

    Returns:
        Probabilities `[N, C]` for each entry of `inputs`.
    """
    seen = labels.unique().numpy()
    out = []
    if len(seen) == 1:
        return [np.tile(np.eye(num_classes)[seen[0]], (len(x), 1)) for x in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline near its optimum is a baseline
        model = LogisticRegression(C=1.0, max_iter=300).fit(train.numpy(), labels.numpy())
    for x in inputs:
        chances = np.zeros((len(x), num_classes))
        chances[:, model.classes_] = model.predict_proba(x.numpy())
        out.append(chances)
    return out
