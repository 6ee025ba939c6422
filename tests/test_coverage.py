"""The study of error rates: its markets without signal, its true values, and small cells that hold their rates."""

import numpy as np
import pytest
from scipy.stats import norm

from ste.evaluation.scoring import score
from studies import coverage
from studies.coverage import CLASSES, FIGURES, FRACTIONS, Cell, draw, measure, rates


def test_a_market_without_signal_has_the_stated_class_fractions_and_overlapping_returns():
    cell = Cell(horizon=4, weeks=2000, tickers=9, predictor="persistent")
    predictions, truth = draw(cell, np.random.default_rng(0))
    assert np.bincount(predictions.labels) / len(predictions) == pytest.approx(FRACTIONS, abs=0.04)
    returns = predictions.returns.reshape(2000, 9)
    for distance, expected in ((1, 0.75), (3, 0.25), (4, 0.0)):
        found = np.corrcoef(returns[distance:].ravel(), returns[:-distance].ravel())[0, 1]
        assert found == pytest.approx(expected, abs=0.06)
    called = predictions.probs.argmax(axis=1)
    assert truth["accuracy"] == pytest.approx(FRACTIONS[called].mean())
    assert truth["gain"] == pytest.approx(FRACTIONS[called].mean() - 0.4)
    assert truth["log-loss"] < 0
    labels, persistence = predictions.labels.reshape(2000, 9), predictions.baseline("persistence").argmax(axis=1)
    assert (persistence.reshape(2000, 9)[4:] == labels[:-4]).all()  # known when a label is predicted


def test_the_true_values_of_a_skilled_predictor_are_those_of_returns_drawn_again():
    cell = Cell(horizon=1, weeks=2000, tickers=20, predictor="skilled")
    predictions, truth = draw(cell, np.random.default_rng(1))
    card = score(predictions, resamples=0)
    assert card.figures["accuracy"].value == pytest.approx(truth["accuracy"], abs=0.01)
    assert card.gains["majority"]["accuracy"].value == pytest.approx(truth["gain"], abs=0.01)
    assert card.gains["majority"]["log_loss"].value == pytest.approx(truth["log-loss"], abs=0.01)
    assert np.isnan(truth["auroc"])
    assert card.figures["direction_auroc"].value > 0.53


def most(draws: int, rate: float = 0.05) -> float:
    """Fraction of draws that a rate exceeds in one cell of a thousand."""
    return rate + norm.isf(0.001) * np.sqrt(rate * (1 - rate) / draws)


@pytest.mark.parametrize(
    "cell",
    [
        Cell(1, 52, 7, "persistent"),
        Cell(4, 52, 7, "persistent"),
        Cell(13, 140, 1, "persistent"),
        Cell(4, 52, 3, "fresh"),
    ],
    ids=str,
)
def test_intervals_and_verdicts_of_a_market_without_signal_hold_their_rates(cell: Cell):
    found = dict(zip([*FIGURES, "p", "better"], rates([measure(cell, 60, 80, seed=0)]), strict=True))
    for name, rate in found.items():
        if not np.isnan(rate):
            assert rate <= most(60), name
    assert np.isnan(found["rank IC"]) == (cell.tickers < 3)


def test_a_few_weeks_of_long_labels_have_no_interval_but_that_of_fractions_and_no_verdict():
    found = dict(
        zip([*FIGURES, "p", "better"], rates([measure(Cell(26, 60, 3, "persistent"), 40, 50, 0)]), strict=True)
    )
    assert found["accuracy"] <= most(40)
    assert found["better"] == 0.0
    assert all(np.isnan(found[name]) for name in (*FIGURES[1:], "p"))


def test_the_command_prints_each_cell_and_the_summary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    arguments = "coverage --draws 3 --horizons 1 4 --weeks 12 --tickers 1 3 --predictors fresh --resamples 20"
    monkeypatch.setattr("sys.argv", arguments.split())
    coverage.main()
    out = capsys.readouterr().out
    assert sum(" | fresh | " in line for line in out.splitlines()) == 4 + 2
    assert "over 1, 3 tickers, 3 draws each" in out
    assert "most verdicts of better of any kind in a cell:" in out
    assert len(CLASSES) == 3
