"""The verdict: its words at each level, what it corrects for, and what its sentences state."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ste.evaluation.portfolio.portfolio_record import Portfolio
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scorecard import Estimate, Gain, Scorecard
from ste.evaluation.scoring import score
from ste.evaluation.significance import ALPHA, Trials, compare, sidak
from ste.evaluation.verdict import Verdict, judge
from ste.evaluation.verdict_levels import LEVELS
from studies.verdicts import Outcome, summary


def whole(verdict: Verdict) -> str:
    return " ".join([verdict.summary, *verdict.details])


BASELINES = {"majority": 0.372, "persistence": 0.361, "volatility": 0.423, "linear": 0.418}
UNDECIDED = Gain(0.010, -0.006, 0.026, 0.11)


def gain(value: float, p: float) -> Gain:
    return Gain(value, value - 0.02, value + 0.02, p)


def book(periods: int = 104) -> Portfolio:
    returns = np.random.default_rng(0).normal(0.002, 0.02, size=periods)
    return Portfolio(
        dates=[str(day) for day in np.datetime64("2023-01-06") + 7 * np.arange(periods)],
        returns=returns.tolist(),
        equity=np.cumprod(1 + returns).tolist(),
        turnover=[0.5] * periods,
        kind="long_short",
        cost_bps=10.0,
    )


def card(
    accuracy: dict[str, Gain] | None = None,
    log_loss: dict[str, Gain] | None = None,
    move: Estimate | None = Estimate(0.62, 0.60, 0.64),  # noqa: B008 - frozen
    direction: Estimate = Estimate(0.51, 0.49, 0.53),  # noqa: B008
    **changes: object,
) -> Scorecard:
    """Gains are undecided where none is given; persistence claims no probabilities."""
    accuracy, log_loss = accuracy or {}, log_loss or {}
    figures = {
        "accuracy": Estimate(0.433, 0.403, 0.461),
        "direction_auroc": direction,
        "portfolio_sharpe": Estimate(0.62, -0.70, 1.90),
    } | ({} if move is None else {"move_auroc": move})
    gains = {name: {"accuracy": accuracy.get(name, UNDECIDED)} for name in BASELINES}
    for name in BASELINES:
        if name != "persistence":
            gains[name]["log_loss"] = log_loss.get(name, gain(0.001, 0.4))
    baselines = {name: {"accuracy": Estimate(value, value - 0.03, value + 0.03)} for name, value in BASELINES.items()}
    baselines["volatility"]["move_auroc"] = Estimate(0.61, 0.59, 0.63)
    whole = Scorecard(
        examples=7532,
        periods=88,
        unit="week",
        method="bootstrap",
        classes=("Downtrend", "Neutral", "Uptrend"),
        figures=figures,
        confusion=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        reliability=[],
        baselines=baselines,
        gains=gains,
        portfolio=book(),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


CLEAR = {"majority": gain(0.061, 1e-6), "persistence": gain(0.072, 1e-7)}
LEARNED = {"volatility": gain(0.030, 0.001), "linear": gain(0.035, 0.0005)}


@pytest.mark.parametrize(
    ("accuracy", "word"),
    [
        ({}, "not better"),
        (CLEAR, "better than guessing"),
        (CLEAR | LEARNED, "better"),
        (LEARNED, "not better"),
        (CLEAR | {"volatility": gain(0.03, 0.001)}, "better than guessing"),
        ({"majority": gain(0.061, 1e-6)}, "not better"),
        (CLEAR | {"persistence": gain(-0.04, 1.0)}, "not better"),
    ],
    ids=["none", "guesses", "all", "learned only", "one learned", "majority only", "below persistence"],
)
def test_the_word_needs_every_baseline_of_its_level(accuracy: dict[str, Gain], word: str):
    verdict = judge(card(accuracy), "SimpleLSTM")
    assert verdict.word == verdict.tags["verdict"] == word


def test_better_needs_a_baseline_that_learned():
    scored = card(CLEAR)
    guesses = {name: scored.gains[name] for name in CLEAR}
    assert judge(replace(scored, gains=guesses), "x").word == "better than guessing"


def test_log_loss_may_show_what_accuracy_does_not():
    log_loss = {"majority": gain(0.05, 1e-5)}
    assert judge(card({"persistence": gain(0.07, 1e-4)}, log_loss), "x").word == "better than guessing"
    assert judge(card({}, log_loss), "x").word == "not better"  # persistence is met by accuracy


def test_the_p_value_is_the_largest_over_the_baselines_of_the_clearest_figure():
    scored = card(CLEAR | LEARNED, {"volatility": gain(0.02, 0.0002)})
    best = compare(scored, list(BASELINES), trials=3)
    assert best is not None
    assert (best.baseline, best.accuracy) == ("volatility", 0.423)
    assert (best.hardest, best.figure, best.p) == ("linear", "accuracy", 0.0005)
    assert best.corrected == pytest.approx(1 - (1 - 0.0005) ** 6)
    alone = compare(scored, ["persistence"], trials=3)
    assert alone is not None
    assert alone.corrected == pytest.approx(3e-7)  # one figure alone is looked at


def test_a_borderline_gain_is_lost_as_trials_grow():
    scored = card({name: gain(0.05, 0.004) for name in BASELINES})
    words = [judge(scored, "x", Trials(count)).word for count in (1, 5, 7, 8, 13, 100)]
    # 0.004, looked for in two figures, counts up to 6 trials.
    assert words == ["better", "better", "not better", "not better", "not better", "not better"]
    assert sidak(0.004, 2 * 6) <= ALPHA < sidak(0.004, 2 * 7)


@given(st.dictionaries(st.sampled_from(sorted(BASELINES)), st.floats(0, 1), min_size=4), st.integers(1, 500))
def test_more_trials_never_improve_a_verdict(ps: dict[str, float], count: int):
    scored = card({name: gain(0.03, p) for name, p in ps.items()})
    fewer, more = judge(scored, "x", Trials(count)), judge(scored, "x", Trials(count + 1))
    assert LEVELS.index(fewer.word) <= LEVELS.index(more.word)
    assert float(more.tags["verdict.p_corrected"]) >= float(fewer.tags["verdict.p_corrected"])
    assert more.sharpe is not None
    assert fewer.sharpe is not None
    assert more.sharpe.probability <= fewer.sharpe.probability


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 10_000))
def test_the_correction_is_monotone_and_never_helps(p: float, q: float, tests: int):
    low, high = sorted((p, q))
    assert sidak(low, tests) <= sidak(high, tests)
    assert high * (1 - 1e-12) <= sidak(high, tests) <= min(1.0, tests * high * (1 + 1e-12))


def test_the_correction_keeps_tiny_p_values():
    assert sidak(1e-30, 7) == pytest.approx(7e-30)
    assert sidak(0.01, 2) == pytest.approx(0.0199)
    assert sidak(1.0, 3) == 1.0


def test_the_summary_is_one_sentence_and_three_points():
    trials = Trials(3, 0, (0.62, 0.1, -0.4), np.random.default_rng(1).normal(size=(104, 3)))
    verdict = judge(card(CLEAR), "SimpleLSTM", trials)
    assert verdict.headline == "SimpleLSTM is better than guessing, but not better than every trained baseline."
    assert verdict.points == (
        "It is significantly better than majority and persistence, not than volatility and linear.",
        "Accuracy on test is 43.3 % [40.3, 46.1], +1.0 points [-0.6, 2.6] against the best baseline, volatility "
        "(42.3 %); corrected p = 0.5030.",
        "Most of the score is volatility, not direction: movement AUC 0.620, direction AUC 0.510 [0.490, 0.530].",
    )


def test_the_details_state_the_rest():
    trials = Trials(3, 0, (0.62, 0.1, -0.4), np.random.default_rng(1).normal(size=(104, 3)))
    verdict = judge(card(CLEAR), "SimpleLSTM", trials)
    for part in (
        "Scored are 7,532 examples of 88 weeks.",
        "It is better than guessing: +6.1 points [4.1, 8.1] on majority's 37.2 %, log-loss gain +0.0010 "
        "[-0.0190, 0.0210], p < 0.0001, corrected < 0.0001 (by accuracy).",
        "It is not significantly better than the best baseline, volatility: +1.0 points [-0.6, 2.6] on its 42.3 %, "
        "log-loss gain +0.0010 [-0.0190, 0.0210], p = 0.1100, corrected 0.5030 (by accuracy).",
        "corrected (Sidak) for 3 trials on this data",
        "Trailing volatility alone has an accuracy of 42.3 % and a movement AUC of 0.610.",
        "Its long-short portfolio enters and leaves at the close that the prediction is made at, with costs of 10 "
        "basis points: a Sharpe ratio of 0.62 [-0.70, 1.90] a year;",
        "that the best of 3 trials has by luck, is ",
        "Over the portfolios of 3 trials the probability of backtest overfitting is",
    ):
        assert part in " ".join(verdict.details)
    assert "leak" not in whole(verdict)
    assert "artificial" not in whole(verdict)


def test_synthetic_rows_are_named_first_and_their_portfolio_is_artificial():
    verdict = judge(card(CLEAR | LEARNED), "SimpleLSTM", synthetic=True)
    assert verdict.headline == "On synthetic data, SimpleLSTM is better than every baseline."
    assert "figures are artificial" in " ".join(verdict.details)


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({}, "x is not better than guessing."),
        ({"identical": ("majority",)}, "x equals the majority baseline, so it is not better than guessing."),
        ({"method": "binomial", "periods": 2}, "2 weeks are too few to judge x."),
        ({"method": "binomial", "periods": 1}, "1 week is too few to judge x."),
    ],
)
def test_a_weak_result_has_a_plain_headline(changes: dict[str, object], headline: str):
    assert judge(card(**changes), "x").headline == headline


def test_the_baseline_that_beats_a_model_is_named_first():
    lost = {"linear": Gain(-0.03, -0.05, -0.01, 0.999)}
    verdict = judge(card(CLEAR | lost), "x")
    assert verdict.word == "better than guessing"
    assert verdict.headline == "x is better than guessing, but worse than the linear baseline."


@pytest.mark.parametrize(
    ("confusion", "same", "point"),
    [
        ([[5, 0, 1], [2, 0, 2], [1, 0, 4]], (), "It never predicts Neutral."),
        ([[5, 0, 0], [4, 0, 0], [3, 0, 0]], (), "It never predicts Neutral or Uptrend."),
        ([[5, 0, 0], [4, 0, 0], [3, 0, 0]], ("majority",), "It predicts the same class as majority on every row."),
        ([[5, 1, 1], [2, 3, 2], [1, 1, 4]], (), None),
        ([[5, 0, 1], [0, 0, 0], [1, 0, 4]], (), None),  # no row is Neutral
    ],
)
def test_a_class_that_is_never_predicted_is_named(confusion: list[list[int]], same: tuple[str, ...], point: str | None):
    points = judge(card(CLEAR, confusion=confusion, same_classes=same), "x").points
    found = [sentence for sentence in points if "never predicts" in sentence or "same class" in sentence]
    assert found == ([point] if point else [])


def test_the_tags_hold_the_same_numbers():
    trials = Trials(3, 0, (0.62, 0.1, -0.4), np.random.default_rng(1).normal(size=(104, 3)))
    verdict = judge(card(CLEAR), "x", trials)
    assert verdict.sharpe is not None
    assert verdict.overfitting is not None
    assert all(isinstance(value, str) for value in verdict.tags.values())
    expected = {
        "verdict": "better than guessing",
        "verdict.split": "test",
        "verdict.trials": "3",
        "verdict.baseline": "volatility",
        "verdict.gain": "0.0100",
        "verdict.interval": "[-0.0060, 0.0260]",
        "verdict.p": "0.11",
        "verdict.p_corrected": "0.503",
        "verdict.guessing.baseline": "majority",
        "verdict.guessing.gain": "0.0610",
        "verdict.moves": "0.6200 [0.6000, 0.6400]",
        "verdict.direction": "0.5100 [0.4900, 0.5300]",
        "verdict.deflated_sharpe": f"{verdict.sharpe.probability:.4f}",
        "verdict.pbo": f"{verdict.overfitting.probability:.4f}",
    }
    assert expected.items() <= verdict.tags.items()
    assert "verdict.gap_closed" not in verdict.tags


ABOVE, WITHIN, BELOW = Estimate(0.55, 0.52, 0.58), Estimate(0.51, 0.48, 0.54), Estimate(0.45, 0.42, 0.48)


@pytest.mark.parametrize(
    ("move", "direction", "expected"),
    [
        (ABOVE, WITHIN, "Most of the score is volatility, not direction:"),
        (ABOVE, ABOVE, "Movement and direction are both predicted better than by chance:"),
        (WITHIN, ABOVE, "Direction is predicted better than by chance, movement is not:"),
        (WITHIN, WITHIN, "Movement and direction are both indistinguishable from chance:"),
        (ABOVE, BELOW, "The score is volatility, and direction is predicted worse than by chance:"),
        (BELOW, BELOW, "Direction is predicted worse than by chance, and movement is indistinguishable from chance:"),
        (Estimate(0.7), Estimate(0.7), "are both indistinguishable from chance"),  # there is no interval
        (None, ABOVE, "Direction is predicted better than by chance: direction AUC"),
        (None, WITHIN, "Direction is indistinguishable from chance: direction AUC"),
        (None, BELOW, "Direction is predicted worse than by chance: direction AUC"),
    ],
)
def test_what_the_score_is_made_of(move: Estimate | None, direction: Estimate, expected: str):
    assert expected in whole(judge(card(move=move, direction=direction), "x"))


def test_two_classes_by_day_have_no_move_figures():
    scored = card(
        CLEAR,
        move=None,
        classes=("Downtrend", "Uptrend"),
        unit="day",
        per_year=252,
        periods=64,
        examples=3720,
        confusion=[[1, 0], [0, 1]],
    )
    verdict = judge(scored, "Adv-ALSTM")
    assert "3,720 examples of 64 days" in whole(verdict)
    assert "movement AUC" not in whole(verdict)
    assert "verdict.moves" not in verdict.tags
    assert verdict.sharpe is not None
    weekly = judge(card(CLEAR), "x").sharpe
    assert weekly is not None
    assert verdict.sharpe.sharpe / weekly.sharpe == pytest.approx((252 / 52) ** 0.5)


def test_a_portfolio_that_holds_longer_has_fewer_periods_in_a_year():
    one, four = (judge(card(), "x", horizon=horizon).sharpe for horizon in (1, 4))
    assert one is not None
    assert four is not None
    assert four.sharpe == pytest.approx(one.sharpe / 2)


def test_too_few_weeks_cannot_tell_anything():
    scored = card(CLEAR | LEARNED, method="binomial", periods=2, examples=12, portfolio=book(12))
    verdict = judge(scored, "DualTower", split="validation")
    assert verdict.word == "inconclusive"
    assert verdict.points[0].startswith("Accuracy on validation is 43.3 % [40.3, 46.1]; the best baseline, volatility")
    assert "Scored are 12 examples of 2 weeks. 2 weeks are too few to resample." in whole(verdict)
    assert (verdict.sharpe, verdict.overfitting) == (None, None)


def test_without_a_baseline_nothing_is_claimed():
    verdict = judge(card(CLEAR, gains={}, baselines={}), "x")
    assert verdict.word == "not better"
    assert "There is no baseline to compare it with" in whole(verdict)
    assert "verdict.p" not in verdict.tags


def test_a_known_world_states_what_share_of_the_gap_is_closed():
    scored = card(CLEAR)
    bayes = {"bayes": {"accuracy": Estimate(0.474, 0.45, 0.50)}}
    known = replace(
        scored,
        baselines=scored.baselines | bayes,
        gains=scored.gains | {"bayes": {"accuracy": gain(-0.04, 1.0)}},
        figures=scored.figures | {"gap_closed": Estimate(0.573, 0.401, 0.744)},
    )
    verdict = judge(known, "x")
    assert verdict.word == "better than guessing"  # the truth is no baseline
    assert "it closes 57.3 % [40.1, 74.4] of the gap in expected accuracy between majority and the Bayes optimum" in (
        whole(verdict)
    )
    assert verdict.tags["verdict.gap_closed"] == "0.5730 [0.4010, 0.7440]"
    null = judge(replace(scored, baselines=scored.baselines | bayes), "x")
    assert "the features hardly change the most probable class" in whole(null)


@pytest.mark.parametrize(
    ("accuracy", "lead", "direction", "known", "found"),
    [
        (0.546, 0.17, 0.83, False, 2),
        (0.546, 0.17, 0.83, True, 0),
        (0.47, 0.10, 0.51, False, 1),
        (0.455, 0.083, 0.51, False, 0),
        (0.62, 0.01, 0.51, False, 0),  # one class is most rows
        (0.43, 0.06, 0.58, False, 1),
    ],
)
def test_too_good_to_be_true(accuracy: float, lead: float, direction: float, known: bool, found: int):
    scored = card(CLEAR | {"majority": Gain(lead, lead - 0.01, lead + 0.01, 1e-9)})
    figures = scored.figures | {
        "accuracy": Estimate(accuracy, accuracy - 0.01, accuracy + 0.01),
        "direction_auroc": Estimate(direction, direction - 0.02, direction + 0.02),
    }
    baselines = scored.baselines | ({"bayes": {"accuracy": Estimate(0.6)}} if known else {})
    verdict = judge(replace(scored, figures=figures, baselines=baselines), "x")
    assert len(verdict.suspicions) == whole(verdict).count("run python -m ste.audit") == found


def test_luck_in_a_few_weeks_is_no_leak():
    figures = card().figures | {"direction_auroc": Estimate(0.62, 0.46, 0.77)}
    assert not judge(card(figures=figures), "x").suspicions


def test_a_portfolio_without_a_ratio_is_left_out():
    figures = card().figures | {"portfolio_sharpe": Estimate(float("nan"))}
    assert "portfolio" not in whole(judge(card(figures=figures), "x"))
    assert judge(card(portfolio=book(5)), "x").sharpe is None


def test_no_number_is_written_as_minus_zero():
    scored = card({"majority": Gain(-0.00001, -0.0001, 0.0001, 0.6)})
    assert "-0.0 " not in whole(judge(scored, "x")).replace("]", " ")


@pytest.mark.parametrize(("signal", "better", "holds"), [(0.0, 10, True), (0.0, 11, False), (0.4, 189, False)])
def test_the_study_counts_its_words(signal: float, better: int, holds: bool):
    words = ["better"] * (better - 3) + ["better than guessing"] * 3 + ["not better"] * (200 - better)
    text, met = summary([Outcome(seed, word, 0.5, 0.5) for seed, word in enumerate(words)], signal)
    assert met is holds
    interval = binomtest(better, 200).proportion_ci()
    line = next(line for line in text.splitlines() if line.startswith("level: guessing"))
    assert f"{better} of 200" in line
    assert f"[{interval.low:.1%}, {interval.high:.1%}]" in line


def predictions(signal: float, seed: int, weeks: int = 120, tickers: int = 7) -> Predictions:
    """A model that knows the probabilities of each class and baselines that know less."""
    rng = np.random.default_rng(seed)
    n = weeks * tickers
    dates = np.repeat(np.datetime64("2020-01-03") + 7 * np.arange(weeks), tickers).astype("datetime64[ns]")
    logits = signal * rng.normal(size=(n, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((n, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=2)
    keys = pd.DataFrame({"date": dates, "ticker": np.tile([f"T{k}" for k in range(tickers)], weeks)})
    frame = row_columns(keys, "test", labels, (labels - 1) * 0.02 + rng.normal(0, 0.01, n))
    guess = np.eye(3)[rng.integers(3, size=n)]
    claims = {
        "": probabilities + rng.normal(0, 1e-9, (n, 3)),
        "majority.": np.tile([0.33, 0.34, 0.33], (n, 1)),
        "persistence.": guess,
        "volatility.": np.full((n, 3), 1 / 3),
        "linear.": 0.1 * probabilities + 0.9 / 3,
    }
    for prefix, values in claims.items():
        for name, column in zip(("p_downtrend", "p_neutral", "p_uptrend"), values.T, strict=True):
            frame[prefix + name] = column
    return Predictions(frame, ("Downtrend", "Neutral", "Uptrend"), model="oracle")


def test_real_scores_are_judged():
    strong = judge(score(predictions(1.0, 0), resamples=200), "oracle")
    assert strong.word == "better"  # than linear too, which ranks alike: by log-loss
    assert strong.best is not None
    assert (strong.best.hardest, strong.best.figure) == ("linear", "log_loss")
    assert "are both predicted better than by chance" in whole(strong)
    words = [judge(score(predictions(0.0, seed), resamples=200), "oracle").word for seed in range(1, 6)]
    assert words.count("not better") >= 4


NOTHING = {name: Gain(0.0, 0.0, 0.0, 1.0) for name in ("accuracy", "log_loss")}


def test_a_model_that_is_a_learned_baseline_is_not_better_than_every_baseline():
    gains = {name: {"accuracy": gain(0.05, 1e-6), "log_loss": gain(0.02, 1e-6)} for name in BASELINES}
    assert judge(card(gains=gains), "a net").word == "better"
    verdict = judge(card(gains=gains | {"linear": NOTHING}, identical=("linear",)), "Logistic")
    assert verdict.word == "better than guessing"
    assert "It is identical to the linear baseline, so it is not better than every baseline." in whole(verdict)
    assert "It is better than the best other baseline, volatility" in whole(verdict)
    assert judge(card(gains=gains | {"linear": NOTHING}), "the same figures, other probabilities").word != "better"


@pytest.mark.parametrize("name", ["majority", "persistence", "volatility", "linear"])
def test_identical_probabilities_are_seen_and_close_ones_are_not(name: str):
    rows = predictions(0.5, 0)
    columns = ["p_downtrend", "p_neutral", "p_uptrend"]
    same, close = rows.frame.copy(), rows.frame.copy()
    same[columns] = same[[f"{name}.{column}" for column in columns]]
    close[columns] = 0.99 * same[columns] + 0.01 * np.array([1, 0, 0])
    assert score(replace(rows, frame=same), resamples=100).identical == (name,)
    assert score(replace(rows, frame=close), resamples=100).identical == ()
    assert judge(score(replace(rows, frame=same), resamples=100), name).word != "better"


@pytest.mark.parametrize("name", ["majority", "persistence"])
def test_a_guess_is_never_better_than_guessing(name: str):
    gains = {name: {"accuracy": gain(0.05, 1e-6), "log_loss": gain(0.02, 1e-6)} for name in BASELINES}
    verdict = judge(card(gains=gains | {name: NOTHING}, identical=(name,)), name.title())
    assert verdict.word == "not better"
    assert verdict.guessing is None


def test_a_better_order_of_the_rows_counts_against_probabilities_alone():
    """Persistence orders no rows, so that a higher AUROC than its own shows nothing: its accuracy must be beaten."""
    gains = {name: {"accuracy": UNDECIDED, "log_loss": UNDECIDED, "auroc": UNDECIDED} for name in BASELINES}
    del gains["persistence"]["log_loss"]
    ordered = {name: gains[name] | {"auroc": gain(0.1, 1e-6)} for name in ("majority", "persistence")}
    assert judge(card(gains=gains | ordered), "a net").word == "not better"
    accurate = {"persistence": ordered["persistence"] | {"accuracy": gain(0.06, 1e-6)}}
    verdict = judge(card(gains=gains | ordered | accurate), "a net")
    assert verdict.word == "better than guessing"
    assert "(by AUROC" in whole(verdict)


def test_a_gain_does_not_count_next_to_a_sure_loss():
    """A net that predicts the majority's class of every row, with worse probabilities in a better order."""
    gains = {name: {"accuracy": UNDECIDED, "log_loss": UNDECIDED, "auroc": gain(0.1, 1e-6)} for name in BASELINES}
    lost = {"majority": gains["majority"] | {"log_loss": Gain(-0.008, -0.0135, -0.0024, 0.999)}}
    assert judge(card(gains=gains), "a net").word == "better"
    verdict = judge(card(gains=gains | lost), "a net")
    assert verdict.word == "not better"
    assert "(by AUROC), but its log-loss is significantly worse than majority's" in whole(verdict)
    unsure = {"majority": gains["majority"] | {"log_loss": Gain(-0.008, -0.0185, 0.0024, 0.9)}}
    assert judge(card(gains=gains | unsure), "a net").word == "better"
    learned = {"linear": gains["linear"] | {"accuracy": Gain(-0.03, -0.05, -0.01, 0.999)}}
    assert judge(card(gains=gains | learned), "a net").word == "better than guessing"


def test_direction_must_survive_the_correction_for_trials():
    close = {"majority": {"accuracy": UNDECIDED, "direction_auroc": Gain(0.045, 0.001, 0.09, 0.02)}}
    figures = {"direction": Estimate(0.545, 0.501, 0.588), "move": Estimate(0.51, 0.48, 0.54)}
    once = judge(card(**figures, gains=card().gains | close), "x")
    assert "Direction is predicted better than by chance, movement is not" in whole(once)
    often = judge(card(**figures, gains=card().gains | close), "x", Trials(40))
    assert "are both indistinguishable from chance" in whole(often)


def test_runs_on_other_tables_are_reported():
    assert "2 more runs of the experiment on other tables are not corrected for" in whole(
        judge(card(), "x", Trials(1, 2))
    )
    assert "other tables" not in whole(judge(card(), "x", Trials(3)))


def test_only_scores_of_real_weeks_can_be_too_good():
    high = card(CLEAR, direction=Estimate(0.60, 0.58, 0.62))
    assert "leak" in whole(judge(high, "x"))
    assert "leak" not in whole(judge(high, "x", synthetic=True))
    assert "leak" not in whole(judge(high, "x", horizon=3))
