"""Registered metrics: range, direction, and a new one in one function."""

import numpy as np
import pandas as pd
import pytest
import torch

from ste.config import FitSettings
from ste.errors import ConfigError
from ste.evaluation.epoch_metrics import EpochMetrics
from ste.evaluation.metrics.base import ScoredExamples, metric
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scoring import score
from ste.registry import METRICS
from ste.schema import class_names, probability_names

PROBABILITIES = probability_names(class_names(3))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on a copy of the registry, so that the metrics of a test are removed after it."""
    len(METRICS)  # load the metrics of the package
    monkeypatch.setattr(METRICS, "_components", dict(METRICS))


def predictions(weeks: int = 80, tickers: int = 6) -> Predictions:
    rng = np.random.default_rng(0)
    n = weeks * tickers
    dates = np.repeat(np.datetime64("2020-01-03") + 7 * np.arange(weeks), tickers).astype("datetime64[ns]")
    labels = rng.integers(3, size=n)
    keys = pd.DataFrame({"date": dates, "ticker": np.tile([f"T{k}" for k in range(tickers)], weeks)})
    frame = row_columns(keys, "test", labels, (labels - 1) * 0.01)
    frame[list(PROBABILITIES)] = rng.dirichlet(np.ones(3), size=n)
    frame[[f"majority.{name}" for name in PROBABILITIES]] = [0.3, 0.3, 0.4]
    return Predictions(frame, class_names(3))


def add_signed_score() -> None:
    """Register a metric from -1 to 1 with a name that implies no range; its values are close to -1."""

    @metric(-1.0, 1.0)
    def signed_score(examples: ScoredExamples) -> np.ndarray:
        return -0.99 - 0.01 * examples.mean((examples.labels == 0).astype(float))


def add_cost() -> None:
    """Register a metric without bounds, lower is better."""

    @metric(higher_is_better=False)
    def cost(examples: ScoredExamples) -> np.ndarray:
        return examples.mean(50.0 * (examples.labels - 2.0) - examples.probs[:, 0])


@pytest.mark.usefixtures("registry")
def test_an_interval_keeps_to_the_declared_range_and_to_no_other():
    add_signed_score()
    add_cost()
    figures = score(predictions(), resamples=200).figures
    signed, cost = figures["signed_score"], figures["cost"]
    assert -1.0 <= signed.low < signed.value < signed.high < -0.99
    assert cost.low < cost.value < cost.high < -20.0


@pytest.mark.usefixtures("registry")
def test_a_new_metric_is_compared_with_the_baselines_in_its_direction():
    add_cost()
    card = score(predictions(), resamples=200)
    gain = card.gains["majority"]["cost"]
    assert gain.value == pytest.approx(card.baselines["majority"]["cost"].value - card.figures["cost"].value)
    assert gain.low < gain.value < gain.high


@pytest.mark.usefixtures("registry")
def test_a_new_metric_can_select_the_epoch_and_is_computed_after_each():
    add_signed_score()
    add_cost()
    assert (FitSettings(monitor="signed_score").mode, FitSettings(monitor="cost").mode) == ("max", "min")
    epoch = EpochMetrics(3)
    epoch.update(torch.full((4, 3), 1 / 3), torch.tensor([0, 1, 2, 2]))
    assert epoch.compute()["cost"] == pytest.approx(50.0 * (-0.75) - 1 / 3)


@pytest.mark.usefixtures("registry")
def test_two_metrics_cannot_have_one_name():
    add_cost()
    with pytest.raises(ConfigError, match=r"fit\.monitor=cost: registered by"):
        add_cost()


def test_an_unknown_metric_lists_the_near_ones():
    with pytest.raises(ConfigError, match=r"fit.monitor=acuracy: expected one of .* Try fit.monitor=accuracy"):
        FitSettings(monitor="acuracy")
    with pytest.raises(ConfigError, match=r"fit.monitor=move_mcc: expected one of .* Try fit.monitor=mcc") as error:
        FitSettings(monitor="move_mcc")
    assert "direction_mcc" not in str(error.value)


def test_every_metric_declares_a_range_and_losses_declare_their_direction():
    assert all(one.low < one.high for one in METRICS.values())
    losses = {name for name, one in METRICS.items() if not one.higher_is_better}
    assert losses == {"loss", "log_loss", "brier", "calibration_error"}
    signed = {name for name, one in METRICS.items() if (one.low, one.high) == (-1.0, 1.0)}
    assert signed == {"mcc", "move_mcc", "direction_mcc"}
    assert all(one.low == 0.0 for name, one in METRICS.items() if name not in signed)
