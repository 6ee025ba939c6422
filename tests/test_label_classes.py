"""Two to five classes: thresholds, names, metrics, portfolio and the true probabilities of a synthetic market."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ste.config import LabelSettings, SyntheticSettings
from ste.data.build.labelled_rows import build_table
from ste.evaluation.bootstrap import Resampling
from ste.evaluation.classification import compute_metrics
from ste.evaluation.metrics.base import ScoredExamples
from ste.evaluation.portfolio.candidates import lean
from ste.labels.label_method import label_method
from ste.labels.thresholds import directions, separating_edges
from ste.reporting.formatting import label
from ste.schema import CLASSES, DIRECTION, RETURN, class_names, neutral_class, probability_names, trend_names

FIVE = ("Strong downtrend", "Downtrend", "Neutral", "Uptrend", "Strong uptrend")


def test_the_names_of_classes_and_their_columns() -> None:
    assert class_names(2) == ("Downtrend", "Uptrend")
    assert class_names(3) == ("Downtrend", "Neutral", "Uptrend")
    assert class_names(4) == ("Strong downtrend", "Downtrend", "Uptrend", "Strong uptrend")
    assert class_names(5) == FIVE
    assert probability_names(class_names(4)) == ("p_strong_downtrend", "p_downtrend", "p_uptrend", "p_strong_uptrend")
    assert [neutral_class(count) for count in (2, 3, 4, 5)] == [None, 1, None, 2]
    assert label("precision_strong_uptrend") == "precision, Strong uptrend"


@pytest.mark.parametrize("method", ["fixed", "volatility"])
@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_thresholds_and_strong_thresholds(method: str, classes: int) -> None:
    settings = LabelSettings(method=method, threshold=0.5, lower=-0.25, strong=2.0, classes=classes)
    rng = np.random.default_rng(classes)
    returns, volatility = rng.normal(0, 0.6, 500), rng.uniform(0.5, 2.0, 500)
    returns, trends = label_method(settings).trends(returns, returns, volatility, None)
    scale = volatility if method == "volatility" else np.ones(500)
    for value, size, trend in zip(returns, scale, trends, strict=True):
        side = int(value > 0.5 * size) - int(value < -0.25 * size)
        strong = int(value > 1.0 * size) - int(value < -0.5 * size)
        assert trend == (1 + side if classes < 4 else 2 + side + strong)
    assert set(trends.tolist()) == set(range(3 if classes < 4 else 5))
    if method == "fixed":
        assert directions(returns, *separating_edges(returns, trends, trends.max() + 1)).tolist() == trends.tolist()


@pytest.mark.parametrize("classes", [3, 5])
def test_the_true_probabilities_of_strong_trends_add_up(classes: int) -> None:
    world = SyntheticSettings(source="world", tickers=3, start="2019-01-01", end="2021-12-31")
    settings = LabelSettings(threshold=0.01, strong=2.0, classes=classes)
    table, _, truth, _ = build_table(replace(world, labels=settings))
    _, _, three, _ = build_table(world)
    names = list(probability_names(trend_names(classes)))
    assert list(truth)[2:] == names
    probs = truth[names].to_numpy()
    np.testing.assert_allclose(probs.sum(axis=1), 1.0)
    assert (probs >= 0).all()
    middle = classes // 2
    together = np.stack([probs[:, :middle].sum(1), probs[:, middle], probs[:, middle + 1 :].sum(1)], axis=1)
    np.testing.assert_allclose(together, three[list(probability_names(class_names(3)))].to_numpy(), atol=1e-12)
    counts = np.bincount(table[DIRECTION], minlength=classes) / len(table)
    assert np.abs(counts - probs.mean(axis=0)).max() < 0.06
    assert (table.loc[table[DIRECTION] == classes - 1, RETURN] > (0.02 if classes == 5 else 0.01)).all()


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_movement_and_direction_add_the_classes_up(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 300)
    probs = rng.dirichlet(np.ones(classes), 300) * 0.7 + 0.3 * np.eye(classes)[labels]
    once = Resampling(np.ones((1, 1), dtype=np.float32), 1)
    examples = ScoredExamples(probs, labels, np.zeros(300, dtype=np.int64), once, class_names(classes))
    found = compute_metrics(examples)
    half = classes // 2
    down, up = probs[:, :half].sum(axis=1), probs[:, classes - half :].sum(axis=1)
    moved = np.ones(300, dtype=bool) if classes % 2 == 0 else labels != half
    rose = labels[moved] >= classes - half
    score = (up / (up + down))[moved]
    assert found["direction_auroc"][0] == pytest.approx(roc_auc_score(rose, score))
    assert found["direction_accuracy"][0] == pytest.approx(((up > down)[moved] == rose).mean())
    np.testing.assert_allclose(lean(probs), up - down)
    assert ("move_auroc" in found) == (classes % 2 == 1)
    if classes % 2:
        assert found["move_auroc"][0] == pytest.approx(roc_auc_score(moved, 1 - probs[:, half]))
        assert found["move_accuracy"][0] == pytest.approx(((probs.argmax(axis=1) != half) == moved).mean())
    assert sum(name.startswith("precision_") for name in found) == classes


@pytest.mark.parametrize("classes", [2, 4])
def test_an_even_number_of_classes_leaves_the_middle_out(tmp_path: Path, classes: int) -> None:
    from ste.data.build.prepare import prepare
    from ste.data.panel import Panel

    chosen = SyntheticSettings(
        source="world", tickers=4, start="2019-01-01", end="2021-12-31",
        labels=LabelSettings(method="terciles", classes=classes),
    )  # fmt: skip
    panel = Panel.read(prepare(chosen, tmp_path), chosen)
    trends, indices = panel.store.columns.directions, panel.store.label.numpy()
    for trend in range(classes + 1):
        expected = CLASSES[classes].index(trend) if trend in CLASSES[classes] else -1
        assert (indices[trends == trend] == expected).all()
    left_out = (indices[panel.row_split == 0] == -1).mean()
    assert left_out == pytest.approx(1 / (classes + 1), abs=0.01)
    truth = panel.truth
    assert truth is not None
    assert truth.shape == (len(indices), classes)
    np.testing.assert_allclose(truth.sum(axis=1), 1.0)
    assert isinstance(panel.store.frame, pd.DataFrame)
