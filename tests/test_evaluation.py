import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_score,
    roc_auc_score,
)

from ste.data.windows import FlatDataset, Store
from ste.evaluation import baselines
from ste.evaluation.intervals import FEW_WEEKS, binomial_interval, mean_interval
from ste.evaluation.metrics import classification_metrics
from ste.evaluation.scores import score_split
from ste.schema import COLUMNS, DIRECTION


@pytest.fixture(scope="module")
def predictions() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (700,), generator=generator)
    logits = torch.randn(700, 3, generator=generator) + torch.nn.functional.one_hot(labels, 3)
    return logits.softmax(1), labels


def test_every_metric_is_the_textbooks(predictions):
    chances, labels = predictions
    collection = classification_metrics(3)
    for batch in torch.arange(700).split(64):  # in batches: a mean of batch means would differ
        collection.update(chances[batch], labels[batch])
    found = {name: float(value) for name, value in collection.compute().items()}
    y, p, top = labels.numpy(), chances.double().numpy(), chances.argmax(1).numpy()
    confidence, right = p.max(1), (top == y).astype(float)
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins)]
    expected = {
        "accuracy": accuracy_score(y, top),
        "balanced_accuracy": balanced_accuracy_score(y, top),
        "precision": precision_score(y, top, average="macro"),
        "recall": balanced_accuracy_score(y, top),
        "f1": f1_score(y, top, average="macro"),
        "mcc": matthews_corrcoef(y, top),
        "auroc": roc_auc_score(y, p / p.sum(1, keepdims=True), multi_class="ovr", average="macro"),
        "log_loss": log_loss(y, p / p.sum(1, keepdims=True)),
        "brier": ((p - np.eye(3)[y]) ** 2).sum(1).mean(),
        "calibration_error": sum(gaps),
    }
    assert found == pytest.approx(expected, abs=1e-5)


def test_one_certain_mistake_is_not_infinite():
    collection = classification_metrics(3)
    collection.update(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([2]))
    assert float(collection["log_loss"].compute()) == pytest.approx(-np.log(1e-7))


def test_an_interval_over_weeks_is_wider_when_weeks_move_together():
    rng = np.random.default_rng(0)
    weeks = np.repeat(np.arange(60), 20)
    alone = (rng.random(1200) < 0.4).astype(float)
    together = np.repeat(rng.random(60) < 0.4, 20).astype(float)
    narrow, wide = mean_interval(alone, weeks), mean_interval(together, weeks)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert narrow.low < alone.mean() < narrow.high
    # With independent examples the bootstrap is near the normal interval.
    half = norm.ppf(0.975) * np.sqrt(alone.mean() * (1 - alone.mean()) / 1200)
    assert (narrow.high - narrow.low) / 2 == pytest.approx(half, rel=0.2)


def test_a_few_weeks_get_the_exact_binomial_interval_and_say_so():
    values, weeks = np.array([1.0] * 4 + [0.0] * 8), np.repeat(np.arange(2), 6)
    interval = mean_interval(values, weeks)
    assert interval.method == "binomial"
    assert (interval.low, interval.high) == pytest.approx((0.0992, 0.6511), abs=1e-4)  # Clopper-Pearson of 4 in 12
    assert binomial_interval(0, 12).low == 0.0
    assert mean_interval(np.tile(values, 5), np.arange(60) % FEW_WEEKS).method == "weeks"


def test_an_interval_repeats():
    values, weeks = np.random.default_rng(3).random(500), np.arange(500) // 5
    assert mean_interval(values, weeks) == mean_interval(values, weeks)


def dataset(classes: dict[str, list[int]], skip: tuple[str, int] | None = None) -> FlatDataset:
    rows = []
    for ticker, labels in classes.items():
        for i, label in enumerate(labels):
            if (ticker, i) == skip:
                continue
            row = dict.fromkeys(COLUMNS, 1.0)
            date = pd.Timestamp("2024-01-05") + pd.Timedelta(weeks=i)
            rows.append(row | {"date": date, "ticker": ticker, DIRECTION: label})
    store = Store.of(pd.DataFrame(rows))
    return FlatDataset(store, np.ones(len(store.frame), dtype=bool))


def test_persistence_is_the_last_class_known_at_the_close():
    data = dataset({"A": [0, 1, 2, 2], "B": [2, 0, 0, 1]})
    one = baselines.persistence(data, data, 3, horizon=1).argmax(1)
    majority = 0  # 0 and 2 are equally frequent: the first
    assert one.tolist() == [majority, 0, 1, 2, majority, 2, 0, 0]
    two = baselines.persistence(data, data, 3, horizon=2).argmax(1)
    assert two.tolist() == [majority, majority, 0, 1, majority, majority, 2, 0]


def test_persistence_does_not_reach_over_a_missing_week():
    data = dataset({"A": [1, 2, 2, 0, 1]}, skip=("A", 2))
    assert baselines.persistence(data, data, 3, horizon=1).argmax(1).tolist() == [1, 1, 1, 0]


def test_the_majority_knows_the_training_rows_alone():
    train, test = dataset({"A": [0, 0, 1]}), dataset({"A": [2, 2]})
    chances = baselines.majority(train, test, 3)
    np.testing.assert_allclose(chances, np.tile([2 / 3, 1 / 3, 0.0], (2, 1)))


def test_the_linear_baseline_learns_a_line_and_keeps_unseen_classes_at_zero():
    x = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long() * 2
    (chances,) = baselines.linear(x, y, [x], 3)
    assert (chances.argmax(1) == y.numpy()).mean() > 0.97
    assert (chances[:, 1] == 0).all()
    (constant,) = baselines.linear(x, torch.ones(400, dtype=torch.long), [x[:3]], 3)
    assert constant.tolist() == [[0, 1, 0]] * 3


def test_a_split_is_scored_beside_its_limit():
    rng = np.random.default_rng(0)
    truth = rng.dirichlet([2, 2, 2], 4000)
    labels = torch.tensor([rng.choice(3, p=p) for p in truth])
    majority = np.tile([0.34, 0.33, 0.33], (4000, 1))
    weeks = np.arange(4000) // 20
    company = {"majority": majority, "persistence": np.eye(3)[rng.integers(0, 3, 4000)]}
    perfect = score_split(torch.tensor(truth).float(), labels, weeks, company, truth)
    none = score_split(torch.tensor(majority).float(), labels, weeks, company, truth)
    assert perfect.metrics["gap_closed"] == pytest.approx(1.0)
    assert none.metrics["gap_closed"] == pytest.approx(0.0)
    assert perfect.model.accuracy == perfect.company["bayes"].accuracy
    assert perfect.company["persistence"].log_loss is None
    assert perfect.examples == 4000
    assert perfect.weeks == 200
    assert sum(map(sum, perfect.confusion)) == 4000
    assert np.trace(perfect.confusion) / 4000 == pytest.approx(perfect.metrics["accuracy"])


def test_confusion_rows_are_true_classes():
    chances = torch.eye(3)[[1, 1, 2]]
    majority = {"majority": np.full((3, 3), 1 / 3)}
    scores = score_split(chances, torch.tensor([0, 1, 2]), np.arange(3), majority, None)
    assert scores.confusion == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_a_null_world_has_no_gap_to_close():
    truth = np.tile([0.3, 0.3, 0.4], (50, 1))
    labels = torch.tensor([2, 0, 1, 2, 1] * 10)
    scores = score_split(torch.tensor(truth).float(), labels, np.arange(50), {"majority": truth}, truth)
    assert "gap_closed" not in scores.metrics


def test_a_class_that_is_absent_from_the_labels_does_not_lower_the_averages(predictions):
    chances, labels = predictions
    two = labels != 1
    collection = classification_metrics(3)
    collection.update(chances[two], labels[two])
    found = collection.compute()
    y, p = labels[two].numpy(), chances[two].numpy()
    areas = [roc_auc_score(y == c, p[:, c]) for c in (0, 2)]
    recalls = [(p.argmax(1)[y == c] == c).mean() for c in (0, 2)]
    assert float(found["auroc"]) == pytest.approx(np.mean(areas), abs=1e-5)
    assert float(found["balanced_accuracy"]) == pytest.approx(np.mean(recalls), abs=1e-6)


def test_intervals_cover_when_labels_overlap():
    """Scores of neighbouring weeks that share four weeks of returns: a plain bootstrap covers far too seldom."""
    hits = {1: 0, 4: 0}
    for seed in range(120):
        rng = np.random.default_rng(seed)
        shocks = rng.standard_normal(203)
        right = (np.convolve(shocks, np.ones(4), "valid") > 0).astype(float)
        for block in hits:
            interval = mean_interval(right, np.arange(200), block)
            hits[block] += interval.low <= 0.5 <= interval.high
    assert hits[4] >= 0.85 * 120
    assert hits[1] < hits[4] - 8
