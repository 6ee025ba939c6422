"""Predictions of other tools: each file as its tool writes it, figures against independent computations."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

import ste
from conftest import Call
from prediction_files import (
    TICKERS,
    SmallMarket,
    darts_forecasts,
    freqai_candles,
    nixtla_cross_validation,
    qlib_label,
    qlib_score,
    sklearn_notebook,
)
from ste.errors import DataError

FAST = {"resamples": 100}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> SmallMarket:
    return SmallMarket.write(tmp_path_factory.mktemp("market"))


def judged(predictions, **settings):
    return ste.judge(predictions, scoring=FAST, **settings)


def mean_ic(score: pd.Series, returns: pd.Series, correlation) -> float:
    frame = pd.DataFrame({"score": score, "return": returns}).dropna()
    return float(np.mean([correlation(day["score"], day["return"])[0] for _, day in frame.groupby(level=0)]))


# Qlib


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "feather"])
def test_qlib_scores_with_labels_have_the_information_coefficients_of_scipy(market, tmp_path, ending):
    score, label = qlib_score(market), qlib_label(market)
    file = tmp_path / f"pred.{ending}"
    if ending.startswith("csv"):
        score.to_csv(file)
    elif ending == "parquet":
        score.to_parquet(file)
    else:
        score.reset_index().to_feather(file)
    label.to_csv(tmp_path / "label.csv")
    result = judged(file, returns=tmp_path / "label.csv")
    truth = label["LABEL0"].reindex(score.index)
    figures = result.scorecard.metrics
    assert figures["ic_mean"] == pytest.approx(mean_ic(score["score"], truth, pearsonr))
    assert figures["rank_ic_mean"] == pytest.approx(mean_ic(score["score"], truth, spearmanr))
    assert len(result.predictions) == truth.notna().sum() == 79 * 6
    assert not {"log_loss", "brier", "calibration_error"} & set(figures)
    assert result.scorecard.reliability == []
    assert any("6 rows without a known outcome" in note for note in result.notes)


def test_a_scores_classes_and_areas_follow_its_order_within_each_date(market, tmp_path):
    score, label = qlib_score(market), qlib_label(market)
    result = judged(score.join(label), columns={"return": "LABEL0"})
    frame = score.join(label).dropna()
    third = frame.groupby(level=0).rank()
    called = third.map(lambda rank: 0 if rank <= 2 else 1 if rank <= 4 else 2)
    assert result.scorecard.metrics["accuracy"] == pytest.approx(accuracy_score(called["LABEL0"], called["score"]))
    moved = called["LABEL0"] != 1
    area = roc_auc_score(called["LABEL0"][moved] == 2, third["score"][moved])
    assert result.scorecard.metrics["direction_auroc"] == pytest.approx(area)


def test_a_pickle_is_refused_and_the_message_says_how_to_write_csv(market, tmp_path):
    qlib_score(market).to_pickle(tmp_path / "pred.pkl")
    with pytest.raises(DataError, match=r'pickle.*pd.read_pickle\("pred.pkl"\).reset_index\(\).to_csv\("pred.csv"'):
        judged(tmp_path / "pred.pkl", returns=market.bars)
    (tmp_path / "renamed.csv").write_bytes((tmp_path / "pred.pkl").read_bytes())
    with pytest.raises(DataError, match="pickle"):
        judged(tmp_path / "renamed.csv", returns=market.bars)


# bars


@pytest.mark.parametrize("horizon", [1, 3])
def test_outcomes_from_bars_are_the_returns_from_close_to_close(market, horizon):
    result = judged(qlib_score(market), returns=market.bars, horizon=horizon)
    returns = market.returns(horizon).stack()
    own = result.predictions.set_index(["date", "ticker"])["return"]
    assert len(own) == (80 - horizon) * 6
    assert np.allclose(own, returns.reindex(own.index))
    assert set(result.scorecard.baselines) == {"majority", "persistence", "volatility"}


def test_persistence_from_bars_is_the_class_a_horizon_before(market):
    result = judged(sklearn_notebook(market, [0, 1, 2]), returns=market.bars, horizon=2, threshold=0.005)
    label = market.returns(2).apply(lambda one: np.select([one < -0.005, one > 0.005], [0, 2], 1))
    before = label.shift(2).stack()
    frame = result.predictions.set_index(["date", "ticker"])
    called = frame[[f"persistence.p_{name}" for name in ("downtrend", "neutral", "uptrend")]].to_numpy().argmax(1)
    assert np.array_equal(called, before.reindex(frame.index).astype(int))
    assert np.array_equal(frame["label"], label.stack().reindex(frame.index))


def test_no_baseline_changes_where_the_future_does(market, tmp_path):
    """A baseline of a period reads outcomes that had ended by then alone."""
    changed = SmallMarket.write(tmp_path, seed=0)
    cut = changed.close.index[-40]
    bars = pd.read_csv(changed.bars, parse_dates=["date"])
    later = bars["date"] > cut
    factor = np.exp(np.random.default_rng(9).normal(0, 0.05, later.sum()))
    for name in ("open", "high", "low", "close"):
        bars.loc[later, name] *= factor
    bars.to_csv(changed.bars, index=False)
    claims = sklearn_notebook(market, [0, 1, 2])
    one, other = (judged(claims, returns=each.bars, horizon=2).predictions for each in (market, changed))
    columns = [name for name in one if "." in name]
    assert len(columns) == 9
    early = (one["date"] <= cut).to_numpy()
    assert early.sum() == 41 * 6
    pd.testing.assert_frame_equal(one.loc[early, columns], other.loc[early, columns])
    assert not one.loc[~early, columns].equals(other.loc[~early, columns])


def test_a_file_without_earlier_outcomes_has_the_best_constant_as_its_majority():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "date": pd.bdate_range("2020-01-01", periods=60),
            "p_up": rng.random(60),
            "label": rng.choice(["up", "down"], 60),
        }
    )
    result = judged(frame)
    share = (frame["label"] == "up").mean()
    assert result.predictions["majority.p_uptrend"].unique() == pytest.approx([share])
    assert any("only in hindsight" in note for note in result.notes)
    assert result.scorecard.classes == ("Downtrend", "Uptrend")


# scikit-learn


@pytest.mark.parametrize(
    ("classes", "order"),
    [
        ([0, 1, 2], [0, 1, 2]),
        ([-1, 0, 1], [0, 1, 2]),
        (["down", "neutral", "up"], [0, 1, 2]),
        (["Buy", "Hold", "Sell"], [2, 1, 0]),
    ],
)
def test_a_notebooks_probabilities_are_read_in_the_order_of_their_classes(market, tmp_path, classes, order):
    claims = sklearn_notebook(market, classes)
    claims.to_csv(tmp_path / "proba.csv")
    for source in (tmp_path / "proba.csv", claims):
        result = judged(source, returns=market.bars)
        frame = result.predictions.set_index(["date", "ticker"])
        names = ["p_downtrend", "p_neutral", "p_uptrend"]
        expected = claims.reindex(frame.index).to_numpy()[:, order]
        assert np.allclose(frame[names], expected, atol=1e-12)
        assert result.scorecard.metrics["log_loss"] == pytest.approx(log_loss(frame["label"], expected))


def test_a_single_series_with_its_truth_needs_no_ticker(market):
    claims = sklearn_notebook(market, [-1, 1]).xs("AAA", level="ticker")
    claims["y_true"] = np.where(market.returns()["AAA"].reindex(claims.index) > 0, 1, -1)
    result = judged(claims)
    assert result.scorecard.metrics["accuracy"] == pytest.approx(
        accuracy_score(claims["y_true"], np.where(claims[1] > claims[-1], 1, -1))
    )
    assert result.scorecard.portfolio is None


# FreqAI


def test_freqai_candles_are_judged_on_their_own_closes_where_they_are_trusted(tmp_path):
    candles = freqai_candles()
    candles.to_feather(tmp_path / "BTC.feather")
    with pytest.raises(DataError, match=r"horizon=24 \(label_period_candles of FreqAI\)"):
        judged(tmp_path / "BTC.feather")
    result = judged(tmp_path / "BTC.feather", horizon=24)
    returns = candles["close"].shift(-24) / candles["close"] - 1.0
    used = (candles["do_predict"] == 1) & returns.notna()
    assert np.allclose(result.predictions["return"], returns[used])
    assert result.scorecard.unit == "bar"
    assert result.scorecard.per_year == pytest.approx(8766, rel=1e-3)
    right = np.sign(candles["&-s_close"][used]) == np.sign(returns[used])
    assert result.scorecard.metrics["accuracy"] == pytest.approx(right.mean())
    assert any(f"{(candles['do_predict'] != 1).sum()} rows with do_predict other than 1" in n for n in result.notes)


def test_freqai_classifiers_have_a_column_for_each_class(tmp_path):
    candles = freqai_candles().drop(columns=["&-s_close", "&-s_close_mean", "&-s_close_std"])
    up = np.random.default_rng(0).random(len(candles))
    candles = candles.assign(**{"&s-up_or_down": np.where(up > 0.5, "up", "down"), "up": up, "down": 1 - up})
    candles.to_csv(tmp_path / "BTC.csv", index=False)
    result = judged(tmp_path / "BTC.csv", horizon=24)
    used = candles["date"].dt.tz_localize(None).isin(result.predictions["date"]).to_numpy()
    assert np.allclose(result.predictions["p_uptrend"], up[used])
    assert "log_loss" in result.scorecard.metrics


# darts and Nixtla


def test_darts_forecasts_of_prices_count_as_made_a_period_before_their_dates(market, tmp_path):
    forecasts = darts_forecasts(market)
    forecasts.to_csv(tmp_path / "forecast.csv")
    result = judged(tmp_path / "forecast.csv", returns=market.bars)
    own = result.predictions.set_index(["date", "ticker"])
    before = market.close.shift(1)
    expected = (forecasts / before - 1.0).reindex(forecasts.index).shift(-1).stack()
    assert len(own) == 80 * 6
    both = own.index.intersection(expected.index)
    assert len(both) == 79 * 6
    assert np.allclose(own.loc[both, "score"], expected[both])
    assert np.allclose(own["return"], market.returns().stack().reindex(own.index))


def test_nixtla_windows_are_judged_by_their_cutoffs(market, tmp_path):
    windows = nixtla_cross_validation(market)
    windows.to_csv(tmp_path / "cv.csv", index=False)
    result = judged(tmp_path / "cv.csv")
    first = windows[windows["ds"] == windows["cutoff"] + pd.offsets.BDay(1)].set_index(["ds", "unique_id"])
    level = market.close.shift(1).stack().reindex(first.index)
    own = result.predictions.set_index(["date", "ticker"])
    expected = (first["AutoARIMA"] / level - 1.0).reindex(own.index)
    assert len(own) == 77 * 6
    assert np.allclose(own["score"], expected)
    assert np.allclose(own["return"], (first["y"] / level - 1.0).reindex(own.index))
    assert any("rows of other steps ahead than horizon=1" in note for note in result.notes)


# classes alone


def test_classes_alone_have_accuracy_and_portfolio_and_no_losses(market):
    rng = np.random.default_rng(0)
    index = qlib_score(market).index.rename(["date", "ticker"])
    frame = pd.DataFrame({"prediction": rng.choice(["sell", "hold", "buy"], len(index))}, index=index)
    result = judged(frame, returns=market.bars)
    names = result.predictions[["p_downtrend", "p_neutral", "p_uptrend"]].to_numpy()
    assert result.scorecard.metrics["accuracy"] == pytest.approx(
        accuracy_score(result.predictions["label"], names.argmax(1))
    )
    assert "portfolio_sharpe" in result.scorecard.metrics
    assert not {"log_loss", "brier", "calibration_error"} & set(result.scorecard.metrics)


# horizon


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_the_horizon_follows_from_returns_that_overlap(tmp_path, horizon):
    market = SmallMarket.write(tmp_path, days=400)
    frame = qlib_score(market, last=300).assign(**{"return": market.returns(horizon).stack()}).dropna()
    result = judged(frame)
    assert result.judgement.predictions.horizon == horizon
    assert any(note.startswith(f"horizon: {horizon} day") for note in result.notes)
    if horizon > 2:
        assert any(note.startswith("warning:") for note in judged(frame, horizon=1).notes)


# trials and comparison


def test_trials_are_corrected_for_by_their_number_or_by_their_predictions(market):
    frame = qlib_score(market).join(qlib_label(market)).rename(columns={"LABEL0": "return"})
    others = [qlib_score(market, seed=seed).join(frame["return"]) for seed in (7, 8)]
    alone, counted, listed = judged(frame), judged(frame, trials=40), judged(frame, trials=others)
    assert counted.verdict.best.corrected > alone.verdict.best.corrected
    assert counted.verdict.tags["verdict.trials"] == "40"
    assert listed.verdict.tags["verdict.trials"] == "3"
    assert listed.verdict.overfitting.trials == 3
    sharpes = [one.scorecard.metrics["portfolio_sharpe"] for one in (frame, *others) for one in [judged(one)]]
    assert listed.judgement.trials.sharpes == pytest.approx(sharpes)


def test_two_files_are_compared_on_their_common_rows(market):
    one, other = (sklearn_notebook(market, [0, 1, 2], seed=seed) for seed in (2, 6))
    first, second = (
        judged(one, returns=market.bars, name="one"),
        judged(other.iloc[60:], returns=market.bars, name="two"),
    )
    paired = first.compare(second)
    assert (paired.only_first, paired.only_second) == (60, 0)
    assert paired.card.examples == len(second.predictions)
    table = paired.differences
    assert table.loc["log_loss", "two"] == pytest.approx(second.scorecard.metrics["log_loss"])
    assert table.loc["log_loss", "gain"] == pytest.approx(table.loc["log_loss", "two"] - table.loc["log_loss", "one"])
    assert (table["low"] <= table["gain"]).all()
    assert (table["gain"] <= table["high"]).all()
    back = second.compare(first).differences
    assert back["gain"].to_numpy() == pytest.approx(-table["gain"].to_numpy())
    with pytest.raises(DataError, match="different outcomes"):
        first.compare(judged(other, returns=market.bars, threshold=0.03))


# what a file may not hold


def rows(**columns) -> pd.DataFrame:
    days = pd.bdate_range("2020-01-01", periods=30)
    frame = pd.DataFrame({"date": days, "ticker": "AAA", "p_down": 0.4, "p_up": 0.6, "return": [0.01, -0.01] * 15})
    return frame.assign(**columns)


def changed(row: int, **values) -> pd.DataFrame:
    frame = rows()
    for name, value in values.items():
        frame[name] = frame[name].astype(object)
        frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (changed(3, p_up=0.9), r"line 5: p_down \+ p_up is 1.3 \(1 such rows\). Expected a sum of 1"),
        (changed(3, p_up=1.6), "line 5, p_down . p_up: found 0.4, 1.6"),
        (rows(p_down=40, p_up=60), "Divide percent by 100"),
        (changed(3, p_up="inf"), "line 5, column p_up: found inf"),
        (changed(3, p_up="high"), "line 5, column p_up: found high"),
        (changed(3, date="soon"), "line 5, column date: found soon"),
        (changed(3, ticker=" "), "line 5, column ticker: an empty cell"),
        (changed(3, date="2020-01-03"), "AAA has two predictions in the day of 2020-01-03"),
        (rows().drop(columns="date"), "no column of dates. Found ticker, p_down, p_up, return"),
        (rows().drop(columns="return"), "has no outcome of its predictions"),
        (rows().drop(columns=["p_down", "p_up"]), "no column of predictions"),
        (rows().rename(columns={"p_down": "p_calm", "p_up": "p_wild"}), r"found the classes calm, wild.*classes=\["),
        (rows().drop(columns=["p_up"]), "only the probability of a fall"),
        (rows(date="2020-01-01", ticker=[f"T{k}" for k in range(30)]), "all predictions are of 2020-01-01"),
    ],
)
def test_a_wrong_file_gives_one_message(tmp_path, frame, message):
    frame.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=message):
        judged(tmp_path / "p.csv")


def test_what_rounding_does_to_probabilities_is_undone(tmp_path):
    frame = rows(p_down=0.33, p_up=0.66)
    frame.to_csv(tmp_path / "p.csv", index=False)
    result = judged(tmp_path / "p.csv")
    assert result.predictions["p_uptrend"].unique() == pytest.approx([0.66 / 0.99])
    assert any(note.startswith("30 rows of probabilities rescaled") for note in result.notes)


def test_the_order_of_the_rows_and_a_time_zone_change_nothing(market, tmp_path):
    claims = sklearn_notebook(market, [0, 1, 2]).reset_index()
    straight = judged(claims, returns=market.bars)
    zoned = claims.sample(frac=1, random_state=0).assign(date=claims["date"].dt.tz_localize("Asia/Tokyo"))
    zoned.to_csv(tmp_path / "zoned.csv", index=False)
    mixed = judged(tmp_path / "zoned.csv", returns=market.bars)
    assert mixed.scorecard.metrics == straight.scorecard.metrics
    assert mixed.verdict.points == straight.verdict.points


def test_columns_are_stated_by_name_or_position(market):
    frame = qlib_score(market).reset_index().set_axis(["when", "who", "alpha7"], axis=1).assign(noise=1.0)
    columns = {"date": "when", "ticker": 2, "score": "alpha7"}
    with pytest.raises(DataError, match="no column of dates"):
        judged(frame, returns=market.bars)
    result = judged(frame, returns=market.bars, columns=columns)
    assert result.scorecard.metrics == judged(qlib_score(market), returns=market.bars).scorecard.metrics


def test_bars_of_other_tickers_are_named(market):
    frame = qlib_score(market).rename(index={name: f"SH{name}" for name in TICKERS}, level=1)
    with pytest.raises(DataError, match=r"no prediction has bars.*SHAAA.*the bars of AAA"):
        judged(frame, returns=market.bars)


# the command


def test_the_command_prints_80_columns_and_writes_a_page(market, call: Call):
    sklearn_notebook(market, [0, 1, 2]).to_csv("a.csv")
    sklearn_notebook(market, [0, 1, 2], seed=8).to_csv("b.csv")
    code, out, error = call("judge", "a.csv", "b.csv", f"returns={market.bars}", "trials=3", "scoring.resamples=100")
    assert code == 0, error
    assert max(map(len, out.splitlines())) <= 80 or str(market.bars) in out
    for text in ("a is not better than guessing.", "movement: AUC", "Sharpe ratio", "a against b: 474 common rows"):
        assert text in out
    page = Path("outputs/judge/a.html").read_text()
    assert "<script" not in page
    assert re.search(r"<h2>Trading", page)
    assert "Feature importance" not in page
    assert "Calibration on predictions" in page
    assert Path("outputs/judge/b.html").is_file()


def test_a_users_mistake_exits_with_2(call: Call):
    assert call("judge")[0] == 2
    code, _, error = call("judge", "missing.csv")
    assert code == 2
    assert error.startswith("error: predictions=missing.csv: no such file")


def test_neither_torch_nor_mlflow_nor_sklearn_is_imported(market, tmp_path):
    frame = sklearn_notebook(market, [0, 1, 2]).assign(**{"return": market.returns().stack()})
    frame.to_csv(tmp_path / "p.csv")
    program = (
        "import sys, runpy\n"
        "sys.argv = ['ste.judge', 'p.csv', 'scoring.resamples=100']\n"
        "runpy.run_module('ste.judge', run_name='__main__')\n"
        "print('LOADED', [n for n in ('torch', 'lightning', 'mlflow', 'sklearn', 'arch') if n in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_the_result_shows_itself_in_a_notebook(market):
    result = judged(sklearn_notebook(market, [0, 1, 2]), returns=market.bars, name="a<b")
    html = result._repr_html_()
    assert "a&lt;b" in html
    assert "volatility" in html
    assert result.report().html.startswith("<!doctype html>")
    assert result.scores.loc[("a<b", "accuracy"), "value"] == result.scorecard.metrics["accuracy"]
    assert str(result.verdict).startswith("a<b ")


# the same as a run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    split = {"validation_start": "2020-01-01", "test_start": "2021-01-01"}
    data = ste.load("world", tickers=5, start="2018-01-01", end="2022-12-31", split=split)
    return ste.train(data, "logistic", scoring=FAST)


def test_the_predictions_of_a_run_have_its_verdict_and_figures(run):
    result = judged(run.run.folder / "predictions.parquet")
    own = run.scorecards["test"]
    assert result.scorecard == own
    assert result.verdict == replace(run.verdict, guessing=result.verdict.guessing, best=result.verdict.best)
    assert str(result.verdict) == str(run.verdict)


def test_the_table_of_a_runs_predictions_has_its_verdict_and_figures_too(run):
    result = judged(run.predictions, name=run.run.model)
    own = run.scorecards["test"]
    same = {name: one for name, one in own.figures.items() if "portfolio" not in name}
    assert len(same) > 10
    for name, figure in same.items():
        assert result.scorecard.metrics[name] == pytest.approx(figure.value, abs=1e-9), name
    assert set(result.scorecard.baselines) == set(own.baselines)
    assert result.verdict.word == run.verdict.word
