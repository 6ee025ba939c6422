"""The two laws of a world whose truth is known: nothing is learned from nothing, and much from much.

Both go through the whole pipeline, so that a leak anywhere breaks the first and a fault the second.
"""

from itertools import pairwise

import numpy as np
import pytest

from ste.experiment.run import train
from ste.synthetic import return_model


@pytest.mark.parametrize("model", ["lstm", "dual_tower"])
def test_a_null_world_yields_nothing(small, folder, model: str):
    settings, values = small(
        f"model={model}", "data.signal=0", "trainer.max_epochs=4", "tracking=off", "data.tickers=12"
    )
    result = train(settings, values, folder / "run", "null")
    assert result is not None
    scores = result.scores["test"]
    assert "gap_closed" not in scores.metrics
    # The majority's accuracy is the limit here. Six points are more than chance gives on these rows.
    assert scores.metrics["accuracy"] < scores.baselines["bayes"]["accuracy"].value + 0.06
    assert scores.metrics["log_loss"] > scores.baselines["bayes"]["log_loss"].value - 0.005


@pytest.mark.slow
def test_over_many_null_worlds_no_model_is_better_than_chance(small, folder):
    gains = []
    for seed in range(8):
        settings, values = small(
            "data.signal=0",
            f"data.seed={seed}",
            f"seed={seed}",
            "data.tickers=10",
            "trainer.max_epochs=4",
            "tracking=off",
        )
        result = train(settings, values, folder / f"run{seed}", "null")
        assert result is not None
        test = result.scores["test"]
        gains.append(test.metrics["accuracy"] - test.baselines["bayes"]["accuracy"].value)
    # The mean gain over what can be known lies within three standard errors of 0, or below.
    assert np.mean(gains) < 3 * np.std(gains, ddof=1) / np.sqrt(len(gains)) + 1e-9


@pytest.mark.slow
def test_enough_data_brings_a_model_close_to_the_limit(small, folder):
    settings, values = small("experiment=known_limit", "trainer.max_epochs=7", "tracking=off", world=False)
    result = train(settings, values, folder / "run", "limit")
    assert result is not None
    assert result.scores["train"].examples > 100_000
    for split in ("validation", "test"):
        assert result.scores[split].metrics["gap_closed"] >= 0.90
        assert result.scores[split].metrics["accuracy"] > result.scores[split].baselines["linear"]["accuracy"].value


def test_the_law_says_nothing_at_signal_zero_and_more_with_every_step():
    rng = np.random.default_rng(0)
    risk, edges = rng.normal(0, 0.3, 5000), rng.normal(0, 1, 5000)
    thresholds = np.full(5000, -0.01), np.full(5000, 0.01)
    bayes = []
    for signal in (0.0, 0.1, 0.2, 0.4, 0.7, 1.0):
        probs = return_model.probabilities(*return_model.moments(signal, risk, edges), *thresholds)
        np.testing.assert_allclose(probs.sum(1), 1.0)
        bayes.append(probs.max(1).mean() - probs.mean(0).max())
    assert bayes[0] == pytest.approx(0.0, abs=1e-12)
    assert all(later > earlier for earlier, later in pairwise(bayes))
