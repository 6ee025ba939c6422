import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_score,
    roc_auc_score,
)

from ste.evaluation.epoch_metrics import EpochMetrics


def predictions(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, classes, (700,), generator=generator)
    logits = torch.randn(700, classes, generator=generator) + torch.nn.functional.one_hot(labels, classes)
    return logits.softmax(1), labels


@pytest.mark.parametrize("classes", [2, 3])
def test_every_metric_is_the_textbooks(classes: int):
    probabilities, labels = predictions(classes)
    collection = EpochMetrics(classes)
    for batch in torch.arange(700).split(64):  # in batches: a mean of batch means would differ
        collection.update(probabilities[batch], labels[batch])
    found = {name: float(value) for name, value in collection.compute().items()}
    y, p, top = labels.numpy(), probabilities.double().numpy(), probabilities.argmax(1).numpy()
    confidence, right = p.max(1), (top == y).astype(float)
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins)]
    areas = [roc_auc_score(y == c, p[:, c]) for c in range(classes)]
    expected = {
        "accuracy": accuracy_score(y, top),
        "balanced_accuracy": balanced_accuracy_score(y, top),
        "precision": precision_score(y, top, average="macro"),
        "recall": balanced_accuracy_score(y, top),
        "f1": f1_score(y, top, average="macro"),
        "mcc": matthews_corrcoef(y, top),
        "auroc": np.mean(areas),
        "log_loss": log_loss(y, p / p.sum(1, keepdims=True)),
        "brier": ((p - np.eye(classes)[y]) ** 2).sum(1).mean(),
        "calibration_error": sum(gaps),
    }
    assert found == pytest.approx(expected, abs=1e-5)


def test_one_certain_mistake_is_not_infinite():
    collection = EpochMetrics(3)
    collection.update(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([2]))
    assert collection.compute()["log_loss"] == pytest.approx(-np.log(1e-7))


def test_a_class_that_is_absent_from_the_labels_does_not_lower_the_averages():
    probabilities, labels = predictions(3)
    two = labels != 1
    collection = EpochMetrics(3)
    collection.update(probabilities[two], labels[two])
    found = collection.compute()
    y, p = labels[two].numpy(), probabilities[two].numpy()
    areas = [roc_auc_score(y == c, p[:, c]) for c in (0, 2)]
    recalls = [(p.argmax(1)[y == c] == c).mean() for c in (0, 2)]
    assert float(found["auroc"]) == pytest.approx(np.mean(areas), abs=1e-5)
    assert float(found["balanced_accuracy"]) == pytest.approx(np.mean(recalls), abs=1e-6)
