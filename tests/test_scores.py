"""A scorecard against scikit-learn, torchmetrics and scipy, and the laws that it keeps."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, pearsonr, spearmanr
from sklearn import metrics
from torchmetrics.functional.classification import multiclass_calibration_error

from ste.errors import DataError
from ste.evaluation.bootstrap import Resampling
from ste.evaluation.classification import compared_metrics, reliability
from ste.evaluation.information_coefficient import coefficients
from ste.evaluation.metrics.base import matthews
from ste.evaluation.portfolio.rules import TradingRules
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scoring import score
from ste.evaluation.verdict import judge
from ste.schema import class_names, probability_names


def made(
    weeks: int = 40,
    tickers: int = 5,
    classes: int = 3,
    seed: int = 0,
    skill: float = 0.7,
    frequency: str = "weekly",
    horizon: int = 1,
) -> Predictions:
    rng = np.random.default_rng(seed)
    rows = weeks * tickers
    dates = pd.date_range("2020-01-03", periods=weeks, freq="7D")
    names = [f"T{k}" for k in range(tickers)]
    keys = pd.DataFrame({"date": np.repeat(dates.to_numpy(), tickers), "ticker": np.tile(names, weeks)})
    truth = rng.dirichlet(np.full(classes, 2.0), rows)
    labels = np.minimum((truth.cumsum(1) < rng.random((rows, 1))).sum(1), classes - 1)
    frame = row_columns(keys, "test", labels, rng.normal(0, 0.02, rows) + 0.01 * (labels - 1))
    majority = np.tile(np.bincount(labels, minlength=classes) / rows, (rows, 1))
    claims = {
        "": skill * truth + (1 - skill) * rng.dirichlet(np.full(classes, 2.0), rows),
        "majority.": majority,
        "persistence.": np.eye(classes)[rng.integers(classes, size=rows)],
        "linear.": 0.5 * truth + 0.5 / classes,
        "bayes.": truth,
    }
    for prefix, probabilities in claims.items():
        for k, name in enumerate(probability_names(class_names(classes))):
            frame[prefix + name] = probabilities[:, k]
    return Predictions(frame, class_names(classes), frequency, horizon)


def with_claims(predictions: Predictions, prefix: str, probabilities: np.ndarray) -> Predictions:
    names = [prefix + name for name in probability_names(predictions.classes)]
    return replace(predictions, frame=predictions.frame.assign(**dict(zip(names, probabilities.T, strict=True))))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("who", ["", "linear", "majority"])
def test_figures_are_scikit_learns_and_torchmetrics(classes: int, who: str):
    predictions = made(classes=classes)
    card = score(predictions, resamples=50)
    figures = {k: e.value for k, e in (card.baselines[who] if who else card.figures).items()}
    p, y = (predictions.baseline(who) if who else predictions.probs), predictions.labels
    call = p.argmax(1)
    expected = {
        "accuracy": metrics.accuracy_score(y, call),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, call),
        "precision": metrics.precision_score(y, call, average="macro", zero_division=0),
        "recall": metrics.recall_score(y, call, average="macro", zero_division=0),
        "f1": metrics.f1_score(y, call, average="macro", zero_division=0),
        "mcc": metrics.matthews_corrcoef(y, call),
        "log_loss": metrics.log_loss(y, p),
        "brier": np.square(p - np.eye(classes)[y]).sum(1).mean(),
        "auroc": metrics.roc_auc_score(y, p, multi_class="ovr") if classes == 3 else metrics.roc_auc_score(y, p[:, 1]),
        "calibration_error": float(
            multiclass_calibration_error(torch.tensor(p), torch.tensor(y), num_classes=classes, n_bins=15, norm="l1")
        ),
    }
    by_class = metrics.precision_recall_fscore_support(y, call, labels=range(classes), zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), by_class, strict=False):
        for of_class, value in zip(predictions.classes, values, strict=True):
            expected[f"{name}_{of_class.lower()}"] = value
    moved = (y == 0) | (y == classes - 1)
    up, rises = y[moved] > 0, (p[:, -1] > p[:, 0])[moved]
    expected["direction_accuracy"] = metrics.accuracy_score(up, rises)
    expected["direction_mcc"] = metrics.matthews_corrcoef(up, rises)
    expected["direction_auroc"] = metrics.roc_auc_score(up, (p[:, -1] / (p[:, -1] + p[:, 0]))[moved])
    if classes == 3:
        expected["move_accuracy"] = metrics.accuracy_score(y != 1, call != 1)
        expected["move_mcc"] = metrics.matthews_corrcoef(y != 1, call != 1)
        expected["move_auroc"] = metrics.roc_auc_score(y != 1, 1 - p[:, 1])
    for name, value in expected.items():
        rounded = 1e-6 if name == "calibration_error" else 1e-9  # torchmetrics counts in float32
        assert figures[name] == pytest.approx(value, abs=rounded), name
    assert set(compared_metrics()) - set(expected) == (
        {"move_auroc", "move_accuracy", "move_mcc"} if classes == 2 else set()
    )
    if not who:
        assert card.confusion == metrics.confusion_matrix(y, call).tolist()


@given(st.lists(st.integers(0, 30), min_size=9, max_size=9))
def test_the_correlation_of_a_table_is_scikit_learns(cells):
    table = np.array(cells).reshape(3, 3)
    truth = np.repeat([0, 0, 0, 1, 1, 1, 2, 2, 2], cells)
    call = np.repeat([0, 1, 2] * 3, cells)
    if len(set(truth)) > 1:
        assert matthews(table[None].astype(float))[0] == pytest.approx(metrics.matthews_corrcoef(truth, call))


def test_persistence_orders_the_rows_and_claims_no_probabilities():
    predictions = made()
    card = score(predictions, resamples=50)
    claimed = {"log_loss", "brier", "calibration_error"}
    assert not claimed & set(card.baselines["persistence"])
    assert not claimed & set(card.gains["persistence"])
    assert {"accuracy", "auroc", "move_mcc", "direction_auroc"} <= set(card.gains["persistence"])
    area = metrics.roc_auc_score(predictions.labels, predictions.baseline("persistence"), multi_class="ovr")
    assert card.baselines["persistence"]["auroc"].value == pytest.approx(area)
    assert set(card.gains["linear"]) == set(compared_metrics())
    assert "bayes" not in card.gains


@pytest.mark.parametrize("resamples", [0, 200])
def test_a_gain_is_the_difference_and_above_zero_is_better_also_for_losses(resamples: int):
    card = score(made(weeks=200, skill=1.0), resamples=resamples)
    for name, gain in card.gains["linear"].items():
        ours, theirs = card.figures[name].value, card.baselines["linear"][name].value
        assert gain.value == pytest.approx(theirs - ours if name in ("log_loss", "brier") else ours - theirs)
        assert gain.low <= gain.high if resamples else gain.low is gain.high is None
    assert card.gains["majority"]["log_loss"].value > 0
    if resamples:
        assert card.gains["majority"]["log_loss"].p < 1e-6


def test_a_gain_over_oneself_is_zero_and_no_evidence():
    predictions = made()
    card = score(with_claims(predictions, "linear.", predictions.probs), resamples=100)
    for gain in card.gains["linear"].values():
        assert (gain.value, gain.low, gain.high, gain.p) == (0.0, 0.0, 0.0, 1.0)


@given(seed=st.integers(0, 20), classes=st.sampled_from([2, 3]), weeks=st.sampled_from([6, 25]))
@settings(max_examples=10)
def test_the_order_of_rows_changes_nothing(seed: int, classes: int, weeks: int):
    predictions = made(weeks=weeks, classes=classes, seed=seed)
    shuffled = predictions.frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    assert score(replace(predictions, frame=shuffled), resamples=40) == score(predictions, resamples=40)


def test_rows_that_stand_in_several_paths_make_no_interval_narrower():
    for weeks in (30, 5):
        predictions = made(weeks=weeks)
        paths = pd.concat([predictions.frame.assign(path=np.int16(k)) for k in range(4)], ignore_index=True)
        once = score(predictions, resamples=300)
        often = score(replace(predictions, frame=paths), resamples=300)
        assert (often.examples, often.periods, often.block) == (once.examples, once.periods, once.block)
        for name, estimate in once.figures.items():
            again = often.figures[name]
            assert again.value == pytest.approx(estimate.value, abs=1e-12), name
            if estimate.low is not None:
                assert (again.low, again.high) == pytest.approx((estimate.low, estimate.high), abs=1e-6), name
        if once.portfolio:
            assert often.portfolio.benchmark == pytest.approx(once.portfolio.benchmark, abs=1e-12)
            often = replace(often, portfolio=replace(often.portfolio, benchmark=once.portfolio.benchmark))
        assert often.portfolio == once.portfolio


def test_one_ticker_a_week_is_the_ordinary_bootstrap():
    predictions = made(weeks=60, tickers=1, seed=3)
    card = score(predictions, resamples=500)
    right = predictions.probs.argmax(1) == predictions.labels
    drawn = Resampling.draw_blocks(60, card.block, 500, 0)
    starts = np.random.default_rng(0).integers(60, size=(500, -(-60 // card.block)))
    rows = ((starts[:, :, None] + np.arange(card.block)).reshape(500, -1) % 60)[:, :60]
    figure = np.append(right.mean(), right[rows].mean(axis=1))
    estimate = card.figures["accuracy"]
    assert (estimate.low, estimate.high) == pytest.approx(tuple(drawn.intervals(figure[None])[0]), abs=1e-12)
    assert card.portfolio is None
    assert not any(name.startswith(("portfolio", "ic", "rank")) for name in card.figures)


def test_intervals_hold_their_figure_and_keep_to_its_range():
    card = score(made(weeks=60), resamples=300)
    for name, estimate in card.figures.items():
        if estimate.low is not None:
            assert estimate.low <= estimate.value <= estimate.high, name
        if name in compared_metrics() and name not in ("log_loss", "brier") and not name.endswith("mcc"):
            assert 0.0 <= estimate.low <= estimate.high <= 1.0


def test_few_periods_have_exact_intervals_of_shares_and_no_small_p():
    predictions = made(weeks=2, tickers=6)
    card = score(predictions, resamples=200)
    assert card.method == "binomial"
    right = int((predictions.probs.argmax(1) == predictions.labels).sum())
    exact = binomtest(right, 12).proportion_ci(method="exact")
    accuracy = card.figures["accuracy"]
    assert (accuracy.low, accuracy.high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert card.figures["ic_mean"].low is None
    assert card.portfolio is None
    assert "portfolio_sharpe" not in card.figures
    for gain in card.gains["majority"].values():
        assert gain.p > 0.01  # two weeks
    assert score(made(weeks=39), resamples=20).method == "bootstrap"


def test_few_periods_of_overlapping_labels_count_one_observation_for_each_horizon():
    predictions = made(weeks=39, horizon=4)
    card = score(predictions, resamples=50)
    assert card.method == "binomial"
    accuracy, size = card.figures["accuracy"], 39 / 4
    low, high = (
        beta.ppf(0.025, accuracy.value * size, (1 - accuracy.value) * size + 1),
        beta.ppf(0.975, accuracy.value * size + 1, (1 - accuracy.value) * size),
    )
    assert (accuracy.low, accuracy.high) == pytest.approx((low, high), abs=1e-12)
    assert all(card.figures[name].low is None for name in ("auroc", "log_loss", "rank_ic_mean"))
    for gain in card.gains["majority"].values():
        assert (gain.low, gain.high, gain.p) == (None, None, 1.0)
    verdict = judge(card, "x", horizon=4)
    assert verdict.word == "inconclusive"
    assert "Labels over several weeks overlap" in verdict.summary


def test_labels_that_look_no_further_than_the_next_row_do_not_overlap():
    """Rows of every fourth week, whose labels look four weeks ahead."""
    predictions = made(weeks=40)
    dates = pd.Timestamp("2020-01-03") + 4 * (predictions.frame["date"] - pd.Timestamp("2020-01-03"))
    sparse = replace(predictions, horizon=4, frame=predictions.frame.assign(date=dates))
    card, weekly = score(sparse, resamples=100), score(predictions, resamples=100)
    assert (card.method, card.block) == ("bootstrap", 1)
    assert card.figures["auroc"] == weekly.figures["auroc"]
    assert card.gains == weekly.gains
    assert score(replace(sparse, horizon=8), resamples=10).block == 4  # two neighbours overlap


@given(seed=st.integers(0, 50), groups=st.integers(1, 8), levels=st.sampled_from([1, 2, 4, 1000]), ranked=st.booleans())
@settings(max_examples=60)
def test_coefficients_are_scipys_period_by_period(seed: int, groups: int, levels: int, ranked: bool):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, groups)
    group = np.repeat(np.arange(groups), sizes)
    x, y = rng.integers(levels, size=(2, len(group))).astype(float)
    found = coefficients(x, y, group, ranked=ranked)
    for g, value in enumerate(found):
        own = group == g
        if own.sum() < 3 or np.ptp(x[own]) == 0 or np.ptp(y[own]) == 0:
            assert np.isnan(value)
        else:
            expected = (spearmanr if ranked else pearsonr)(x[own], y[own]).statistic
            assert value == pytest.approx(expected, abs=1e-12)


def test_coefficients_are_summed_up_by_mean_deviation_ratio_and_t():
    predictions = made(weeks=30)
    card = score(predictions, resamples=20)
    ranked = predictions.probs[:, 2] - predictions.probs[:, 0]
    for prefix, function in (("ic", pearsonr), ("rank_ic", spearmanr)):
        series = [
            function(ranked[own], predictions.returns[own]).statistic
            for own in (predictions.periods == p for p in np.unique(predictions.periods))
        ]
        mean, std = np.mean(series), np.std(series, ddof=1)
        expected = {"mean": mean, "std": std, "ir": mean / std, "t": mean / (std / np.sqrt(len(series)))}
        for name, value in expected.items():
            assert card.figures[f"{prefix}_{name}"].value == pytest.approx(value, rel=1e-9)


def test_a_known_world_gives_the_limit_and_the_share_of_the_way():
    predictions = made(skill=0.8)
    card = score(predictions, resamples=100)
    truth, rows = predictions.truth, np.arange(len(predictions))
    own = truth[rows, predictions.probs.argmax(1)].mean()
    floor = truth[rows, predictions.baseline("majority").argmax(1)].mean()
    limit = truth.max(1).mean()
    assert card.figures["expected_accuracy"].value == pytest.approx(own)
    assert card.figures["bayes_expected_accuracy"].value == pytest.approx(limit)
    closed = card.figures["gap_closed"]
    assert closed.value == pytest.approx((own - floor) / (limit - floor))
    assert closed.low < closed.value < closed.high
    majority = predictions.baseline("majority")
    null = score(with_claims(predictions, "bayes.", majority), resamples=20)
    assert "gap_closed" not in null.figures
    assert "expected_accuracy" not in score(with_claims(predictions, "bayes.", truth * np.nan), resamples=20).figures


def test_the_reliability_curve_counts_every_row_once():
    predictions = made()
    bins = reliability(predictions.probs, predictions.labels)
    top, right = predictions.probs.max(1), predictions.probs.argmax(1) == predictions.labels
    assert sum(b.examples for b in bins) == len(predictions)
    assert sum(b.examples * b.confidence for b in bins) / len(predictions) == pytest.approx(top.mean())
    assert sum(b.examples * b.accuracy for b in bins) / len(predictions) == pytest.approx(right.mean())
    assert reliability(np.array([[0.0, 0.0, 1.0], [0.02, 0.0, 0.98]]), np.array([2, 0])) == [
        type(bins[0])(0.99, 0.5, 2)
    ]


def test_the_portfolio_is_dated_by_the_periods_close_and_of_the_first_path():
    predictions = made(weeks=12, frequency="daily")
    card = score(predictions, resamples=20, rules=TradingRules("long_only", cost_bps=3.0))
    assert card.unit == "day"
    assert card.portfolio.dates == [f"{day:%Y-%m-%d}" for day in predictions.frame["date"].drop_duplicates()]
    assert card.portfolio.equity == pytest.approx(np.cumprod(1 + np.array(card.portfolio.returns)))
    assert (card.portfolio.kind, card.portfolio.cost_bps) == ("long_only", 3.0)


@pytest.mark.parametrize("horizon", [1, 2])
def test_the_benchmark_has_the_portfolio_s_holding_periods_and_no_costs(horizon: int):
    predictions = replace(made(weeks=40), horizon=horizon)
    free, paid = (score(predictions, resamples=20, rules=TradingRules(cost_bps=cost)).portfolio for cost in (0.0, 50.0))
    mean = predictions.frame.groupby("date")["return"].mean().to_numpy()[::horizon]
    assert free.benchmark == paid.benchmark == pytest.approx(np.cumprod(1 + mean))
    assert len(free.benchmark) == len(free.equity) == 40 // horizon


def test_a_class_that_never_came_and_one_that_alone_came():
    predictions = made(weeks=20)
    for labels in (np.where(predictions.labels == 1, 0, predictions.labels), np.full(100, 1)):
        card = score(replace(predictions, frame=predictions.frame.assign(label=labels)), resamples=50)
        assert all(np.isfinite(e.value) for e in card.figures.values())
    assert card.figures["auroc"].value == 0.5
    assert "direction_auroc" not in card.figures


def test_rows_of_no_or_of_several_splits_are_refused():
    predictions = made(weeks=4)
    with pytest.raises(DataError, match="hold no row"):
        score(predictions.slice_split("train"))
    mixed = predictions.frame.assign(split=np.where(np.arange(20) < 10, "test", "train"))
    with pytest.raises(DataError, match="splits test, train"):
        score(replace(predictions, frame=mixed))


@pytest.mark.slow
def test_intervals_hold_the_true_accuracy_as_often_as_they_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from studies import regimes

    monkeypatch.setattr(
        "sys.argv", ["regimes", "--weeks", "104", "--worlds", "8", "--repetitions", "120", "--resamples", "400"]
    )
    regimes.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("104")]
    assert len(lines) == 8
    for line in lines:
        held = float(next(word for word in line if word.endswith("%"))[:-1]) / 100
        if "tested" in line and "horizon" in line:
            assert 0.89 < held < 0.999  # 120 sets: three standard errors around 0.955
        if "world" in line and "auto" in line:
            assert 0.86 < held < 0.999


def test_blocks_are_the_horizon_unless_they_are_to_follow_the_regimes():
    rng = np.random.default_rng(0)
    calm = np.repeat(rng.random(12), 20) < 0.5  # five-month regimes over 240 weeks
    labels = np.where(np.repeat(calm, 5), 1, rng.integers(0, 3, 1200))
    probabilities = np.tile([0.2, 0.5, 0.3], (1200, 1))
    frame = row_columns(
        pd.DataFrame({"date": np.repeat(pd.date_range("2015-01-02", periods=240, freq="7D"), 5)}).assign(
            ticker=np.tile(list("ABCDE"), 240)
        ),
        "test",
        labels,
        rng.normal(size=1200),
    )
    frame[["p_downtrend", "p_neutral", "p_uptrend"]] = probabilities
    predictions = Predictions(frame, ("Downtrend", "Neutral", "Uptrend"))
    plain, long = score(predictions, resamples=300), score(predictions, resamples=300, blocks="auto")
    assert plain.block == 1
    assert long.block > 5
    narrow, wide = plain.figures["accuracy"], long.figures["accuracy"]
    assert narrow.value == wide.value
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_two_classes_have_no_portfolio_and_no_coefficient():
    """Rows between the thresholds are left out by what came after them: nobody can trade the others alone."""
    card = score(made(classes=2), resamples=50)
    assert card.portfolio is None
    assert not [name for name in card.figures if name.startswith(("portfolio_", "ic_", "rank_ic_"))]
    assert "direction_auroc" in card.figures


def test_the_t_of_a_coefficient_counts_only_returns_that_do_not_overlap():
    predictions = made()
    weekly, monthly = score(predictions, resamples=50), score(replace(predictions, horizon=4), resamples=50)
    ratio = weekly.figures["ic_t"].value / weekly.figures["ic_ir"].value
    assert ratio == pytest.approx(np.sqrt(weekly.periods))
    ratio = monthly.figures["ic_t"].value / monthly.figures["ic_ir"].value
    assert ratio == pytest.approx(np.sqrt(weekly.periods // 4), rel=0.02)
    assert weekly.figures["ic_t"].low is None


def test_the_portfolio_pays_its_costs():
    free, paid = (score(made(), resamples=100, rules=TradingRules(cost_bps=bps)) for bps in (0.0, 50.0))
    assert paid.portfolio.returns[0] == pytest.approx(free.portfolio.returns[0] - paid.portfolio.turnover[0] * 50 / 1e4)
    assert paid.figures["portfolio_sharpe"].value < free.figures["portfolio_sharpe"].value


def test_a_year_has_fewer_holding_periods_with_a_longer_horizon():
    card = score(made(weeks=60, horizon=4), resamples=100)
    returns = np.array(card.portfolio.returns)
    assert card.figures["portfolio_sharpe"].value == pytest.approx(
        returns.mean() / returns.std(ddof=1) * np.sqrt(52 / 4)
    )
