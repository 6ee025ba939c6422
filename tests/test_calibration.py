"""Temperature scaling: fitted on validation alone, used where it helps, and a part of the model from then on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import log_loss

from ste.config import TrainSettings
from ste.config.load import load_settings
from ste.errors import ConfigError, DataError
from ste.evaluation.cross_fit import BLOCKS, cross_fit_blocks
from ste.evaluation.temperature import Calibration, calibration_text, choose_temperature, fit_temperature
from ste.experiment.calibration import can_calibrate
from ste.experiment.model_setup import load_model
from ste.experiment.prediction import predict
from ste.experiment.run import split_settings, train
from ste.training.module import TrendModule

MLP = ["model=mlp", "tracking.enabled=false", "scoring.resamples=100"]


def draw(true: float, periods: int = 120, each: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels drawn from them at a true temperature, and the rows' periods."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(periods * each, 3)) * 1.5
    cumulated = softmax(logits / true, axis=1).cumsum(axis=1)
    labels = (rng.random((len(logits), 1)) > cumulated[:, :2]).sum(axis=1)
    return logits, labels, np.repeat(np.arange(periods), each)


def loss_at(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return float(log_loss(labels, softmax(logits / temperature, axis=1), labels=range(3)))


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_of_the_labels_is_recovered(true: float):
    logits, labels, _ = draw(true, periods=2000)
    fitted = fit_temperature(logits, labels)
    assert fitted == pytest.approx(true, rel=0.06)
    best = loss_at(logits, labels, fitted)
    assert all(best < loss_at(logits, labels, fitted * factor) for factor in (0.98, 1.02))


def test_each_block_is_predicted_by_the_others_less_a_horizon():
    periods = np.repeat(np.arange(50), 2)
    rows = periods >= 10
    blocks = list(cross_fit_blocks(periods, rows, horizon=3))
    assert len(blocks) == BLOCKS
    np.testing.assert_array_equal(sum(predicted.astype(int) for _, predicted in blocks), rows)
    fitting, predicted = blocks[2]
    assert sorted(set(periods[predicted])) == list(range(26, 34))
    assert sorted(set(periods[fitting])) == [*range(10, 23), *range(37, 50)]


def test_a_temperature_that_helps_is_used_and_its_gain_is_cross_fitted():
    logits, labels, periods = draw(2.0)
    found = choose_temperature(logits, labels, periods, horizon=2, only_if_better=True)
    assert found is not None
    assert found.temperature == fit_temperature(logits, labels)
    assert found.before == pytest.approx(loss_at(logits, labels, 1.0), rel=1e-12)
    after = 0.0
    for first in range(0, 120, 24):
        block = (periods >= first) & (periods < first + 24)
        others = (periods < first - 2) | (periods > first + 23 + 2)
        own = loss_at(logits[block], labels[block], fit_temperature(logits[others], labels[others]))
        after += own * block.sum()
    assert found.after == pytest.approx(after / len(labels), rel=1e-12)
    assert 0.0 < found.low < found.before - found.after


def test_no_temperature_is_used_where_it_does_not_help():
    used = [choose_temperature(*draw(1.0, each=5, seed=seed), horizon=1, only_if_better=True) for seed in range(40)]
    assert sum(one is not None for one in used) <= 1
    asked = choose_temperature(*draw(1.0), horizon=1, only_if_better=False)
    assert asked is not None
    assert asked.temperature == pytest.approx(1.0, abs=0.1)


def test_the_sentence_of_a_holdout_and_of_folds():
    one = Calibration(1.42, 1.0931, 1.0874, 0.001)
    text = "temperature 1.42, log-loss on validation 1.0931 → 1.0874 (cross-fitted)"
    assert calibration_text([one]) == f"Calibrated on validation: {text}."
    folds = calibration_text([one, None, replace(one, temperature=0.9, after=1.08)])
    assert folds == (
        "Calibrated on validation in 2 of 3 folds: temperatures 0.90 to 1.42, mean log-loss on validation "
        "1.0931 → 1.0837 (cross-fitted)."
    )
    assert calibration_text([None]) == calibration_text([]) == ""


@pytest.mark.parametrize("more", [[], ["train.replicas=2"]])
def test_a_calibrated_net_predicts_with_its_temperature(small: Callable, folder: Path, more: list[str]):
    settings, values = small(*MLP, *more, "calibration=temperature")
    result = train(settings, values, folder / "run", "run")
    plain_settings, plain_values = small(*MLP, *more, "calibration=none")
    plain = train(plain_settings, plain_values, folder / "plain", "plain")
    (found,), (none,) = result.calibrations, plain.calibrations
    assert none is None
    assert abs(found.temperature - 1.0) > 0.02
    logs = np.log(plain.predictions.probs)
    np.testing.assert_allclose(result.predictions.probs, softmax(logs / found.temperature, axis=1), atol=1e-6)
    validation = plain.predictions.slice_split("validation")
    assert found.temperature == pytest.approx(fit_temperature(np.log(validation.probs), validation.labels), rel=1e-3)
    assert found.before == pytest.approx(plain.scores["validation"].metrics["log_loss"], rel=1e-6)
    assert result.scores["test"].metrics["accuracy"] == plain.scores["test"].metrics["accuracy"]
    assert calibration_text([found]) in result.lines
    assert calibration_text([found]) in result.verdict.details
    assert not any("alibrated" in line for line in (*plain.lines, *plain.verdict.details))

    loaded = load_model(result.last.checkpoint)
    assert isinstance(loaded, TrendModule)
    assert loaded.calibration == found
    data = split_settings(settings).data.holdout()
    np.testing.assert_array_equal(predict(loaded, data, "again").probs, result.predictions.probs)

    content = torch.load(result.last.checkpoint, weights_only=True)
    del content["calibration"], content["state_dict"]["temperature"]  # as earlier versions saved it
    torch.save(content, folder / "old.ckpt")
    old = predict(load_model(folder / "old.ckpt"), data, "old")
    np.testing.assert_array_equal(old.probs, plain.predictions.probs)


def test_a_fit_that_resumes_after_its_calibration_ends_the_same(small: Callable, folder: Path):
    parts = split_settings(small(*MLP, "calibration=temperature")[0])
    data, temperatures = parts.data.holdout(), []
    for resume in (False, True):
        fitted = parts.fitter.fit(parts.builder.build(data), data, folder / "checkpoints", resume=resume)
        assert float(fitted.model.temperature) == float(load_model(fitted.checkpoint).temperature)
        temperatures.append(fitted.model.calibration)
    assert temperatures[0] is not None
    assert temperatures[0] == temperatures[1]


def test_each_fold_is_calibrated_on_its_own_validation_rows(small: Callable, folder: Path):
    settings, values = small(*MLP, "calibration=temperature", "validation=walk_forward", "validation.folds=2")
    result = train(settings, values, folder / "run", "run")
    plain_settings, plain_values = small(*MLP, "calibration=none", "validation=walk_forward", "validation.folds=2")
    plain = train(plain_settings, plain_values, folder / "plain", "plain").predictions.slice_split("validation")
    assert len(result.calibrations) == 2
    for fold, found in enumerate(result.calibrations):
        rows = (plain.frame["fold"] == fold).to_numpy()
        expected = fit_temperature(np.log(plain.probs[rows]), plain.labels[rows])
        assert found.temperature == pytest.approx(expected, rel=1e-3)
    assert "Calibrated on validation in 2 of 2 folds" in " ".join(result.lines)


def test_too_few_validation_periods(small: Callable):
    short = ["data.split.validation_start=2021-04-20", "data.split.test_start=2021-06-01"]
    parts = split_settings(small(*MLP, *short)[0])
    data = parts.data.holdout()
    assert not can_calibrate(data, "auto")
    with pytest.raises(DataError, match=r"calibration=temperature: .* of \d weeks. Expected 10 or more"):
        can_calibrate(data, "temperature")


def test_a_baseline_is_not_calibrated(small: Callable, folder: Path):
    _, values = small("model=logistic", "calibration=auto", "tracking.enabled=false")
    with pytest.raises(ConfigError, match="calibration=temperature: Logistic is a baseline"):
        load_settings(TrainSettings, values | {"calibration": "temperature"})
    result = train(load_settings(TrainSettings, values), values, folder / "run", "run")
    assert result.calibrations == []
