"""Scores as the truth comes in, the verdict, and `python -m ste.monitor` on files."""

import json
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_sets import FEATURES, WEEKLY21
from monitored import WORLD, Monitored, monitored
from ste.config import LabelSettings, MonitorSettings, PathSettings, SyntheticSettings, TrackingSettings
from ste.data.build.labelled_rows import build_table
from ste.data.storage.files import write_frame
from ste.errors import ConfigError, DataError, RunError
from ste.evaluation.bootstrap import binomial_interval
from ste.evaluation.scorecard import Estimate
from ste.features.feature_rows import feature_rows
from ste.inference.batch.output_parts import part_name
from ste.inference.class_cuts import CUTS, class_cuts
from ste.inference.inputs import windows_of_rows
from ste.market.calendar import WEEKS
from ste.market.sources import Market
from ste.monitor import ALARM_EXIT_CODE, main
from ste.monitoring import review as review_module
from ste.monitoring.drift_monitor import DriftMonitor
from ste.monitoring.input_files import read_predictions, read_rows
from ste.monitoring.market_history import bars_of_periods, hit_rate, market_history
from ste.monitoring.outcomes import outcomes_of_market, outcomes_of_table
from ste.monitoring.recommendation import NO_CHANGE, RETRAIN, WATCH, recommend
from ste.monitoring.review import predict
from ste.monitoring.track_record import MetricComparison, compare_metrics, join_outcomes, track_record
from ste.schema import DIRECTION, RETURN, ROW_PERIOD, Trend
from ste.serving.request_observer import RequestObserver
from ste.synthetic.generator import generate_market

NEW = "2021-01-01"
P = ["p_downtrend", "p_neutral", "p_uptrend"]


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_module, "track_record", partial(track_record, resamples=200))


@pytest.fixture(scope="module")
def market() -> Market:
    return generate_market(SyntheticSettings(**WORLD))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, market: Market) -> tuple[Monitored, Path]:
    """A model, its world as files, and its predictions of the weeks after the test."""
    folder = tmp_path_factory.mktemp("files")
    tiny = monitored(folder / "model.onnx")
    for kind in ("bars", "news", "macro", "policy"):
        write_frame(getattr(market, kind), folder / f"{kind}.csv")
    new = tiny.table[tiny.table["date"] >= NEW]
    write_frame(new, folder / "new.csv")
    stopped = new.assign(news_sentiment=0.0, news_count=0.0, news_relevance=0.0)
    write_frame(stopped, folder / "stopped.csv")
    predicted = predict(tiny.model, windows_of_rows(new, tiny.model.card))
    predicted = predicted.assign(**{"class": "Neutral", "model_version": tiny.model.version})
    write_frame(predicted, folder / "predictions.csv")
    return tiny, folder


def command(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["ste-monitor", "model=model.onnx", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


# ---- what came


@pytest.mark.parametrize(
    "labels",
    [
        LabelSettings(),
        LabelSettings(threshold=0.02, lower=-0.005),
        LabelSettings(method="volatility", threshold=0.5),
        LabelSettings(method="balanced"),
        LabelSettings(horizon=3),
        LabelSettings(classes=2),
    ],
    ids=lambda labels: f"{labels.method}-{labels.threshold}-{labels.horizon}-{labels.classes}",
)
def test_what_came_is_labelled_as_training_was(files: tuple[Monitored, Path], labels: LabelSettings):
    table, split, _, market = build_table(SyntheticSettings(**WORLD, labels=labels))
    stored = {**vars(labels)}
    if labels.method == "balanced":
        training = table[split == 0]
        stored[CUTS] = class_cuts(training[RETURN].to_numpy(), training[DIRECTION].to_numpy())
    names = ["Downtrend", "Uptrend"] if labels.classes == 2 else [trend.name.capitalize() for trend in Trend]
    card = replace(files[0].model.card, labels=stored, horizon=labels.horizon, classes=names)
    index = {0: 0, 1: -1, 2: 1} if labels.classes == 2 else {0: 0, 1: 1, 2: 2}
    expected = table[["date", "ticker", RETURN]].assign(label=table[DIRECTION].map(index))
    for found in (outcomes_of_market(market, card), outcomes_of_table(table, card, "table")):
        both = expected.merge(found, on=["date", "ticker"], how="left", suffixes=("", "_found"))
        assert (both["label"] == both["label_found"]).mean() > (0.999 if labels.method == "balanced" else 0.99999)
        np.testing.assert_allclose(both[RETURN], both["return"])


def test_thresholds_that_are_not_known_are_asked_for(files: tuple[Monitored, Path]):
    tiny, _ = files
    balanced = replace(tiny.model.card, labels={"method": "balanced"})
    with pytest.raises(RunError, match=r"terciles.*does not contain.*python -m ste\.export"):
        outcomes_of_table(tiny.table, balanced, "t")
    volatile = replace(tiny.model.card, labels={"method": "volatility", "threshold": 0.5})
    with pytest.raises(DataError, match=r"t: no column stock_trend_direction.*truth=bars\.csv"):
        outcomes_of_table(tiny.table.drop(columns=DIRECTION), volatile, "t")
    with pytest.raises(DataError, match=r"t: no column stock_weekly_return.*truth=bars\.csv"):
        outcomes_of_table(tiny.table[["date", "ticker"]], tiny.model.card, "t")


def test_cuts_part_the_classes_or_are_none():
    returns, trends = np.array([-0.03, -0.02, 0.0, 0.01, 0.05]), np.array([0, 0, 1, 1, 2])
    assert class_cuts(returns, trends) == pytest.approx([-0.01, 0.03])
    assert class_cuts(returns, trends[::-1]) is None
    assert class_cuts(returns, np.zeros(5, dtype=int)) is None


# ---- the score so far


def test_the_record_is_the_share_that_was_right(files: tuple[Monitored, Path]):
    tiny, _ = files
    new = tiny.table[tiny.table["date"] >= NEW].reset_index(drop=True)
    predicted = predict(tiny.model, windows_of_rows(new, tiny.model.card))
    card = replace(tiny.model.card, reference={"class_fractions": [0.2, 0.5, 0.3]})
    record = track_record(join_outcomes(predicted, outcomes_of_table(new, card, "t")), card, 200)
    assert record is not None
    both = predicted.merge(new[["date", "ticker", DIRECTION]], on=["date", "ticker"])
    right = both[P].to_numpy().argmax(axis=1) == both[DIRECTION].to_numpy()
    assert record.card.examples == len(both)
    assert record.card.figures["accuracy"].value == pytest.approx(right.mean())
    picked = both[P].to_numpy()[np.arange(len(both)), both[DIRECTION]]
    assert record.card.figures["log_loss"].value == pytest.approx(-np.log(picked).mean())
    assert record.confidence == pytest.approx(both[P].max(axis=1).mean())
    assert record.card.baselines["majority"]["accuracy"].value == pytest.approx((both[DIRECTION] == 1).mean())
    assert {one.name for one in record.comparisons} == {"accuracy", "log_loss"}
    assert f"{len(both):,} predictions" in record.summary


def test_what_has_not_come_waits(files: tuple[Monitored, Path]):
    tiny, _ = files
    new = tiny.table[tiny.table["date"] >= NEW].reset_index(drop=True)
    predicted = predict(tiny.model, windows_of_rows(new, tiny.model.card))
    came = outcomes_of_table(new, tiny.model.card, "t")
    early = came[came["date"] < "2021-07-01"]
    record = track_record(join_outcomes(predicted, early), tiny.model.card, resamples=200)
    assert record is not None
    assert record.pending == (predicted["date"] >= "2021-07-01").sum()
    assert track_record(join_outcomes(predicted, came[:0]), tiny.model.card) is None


def test_a_repeated_row_is_an_error(files: tuple[Monitored, Path]):
    tiny, _ = files
    came = outcomes_of_table(tiny.table, tiny.model.card, "t")
    with pytest.raises(DataError, match=r"truth: \w+ on 20\d\d-\d\d-\d\d occurs twice \(1 such rows\)"):
        join_outcomes(came[["date", "ticker"]], pd.concat([came, came[:1]]))


@pytest.mark.parametrize(
    ("now", "then", "result"),
    [
        ((0.30, 0.27, 0.33), (0.45, 0.41, 0.49), "worse"),
        ((0.45, 0.42, 0.48), (0.30, 0.26, 0.34), "better"),
        ((0.40, 0.35, 0.45), (0.43, 0.38, 0.48), "same"),
        ((0.40, None, None), (0.43, 0.38, 0.48), "inconclusive"),
    ],
)
def test_a_difference_counts_where_both_intervals_together_do_not_hold_it(now, then, result, files):
    tiny, _ = files
    new = tiny.table[tiny.table["date"] >= NEW].reset_index(drop=True)
    predicted = predict(tiny.model, windows_of_rows(new, tiny.model.card))
    record = track_record(
        join_outcomes(predicted, outcomes_of_table(new, tiny.model.card, "t")), tiny.model.card, resamples=200
    )
    assert record is not None
    card = replace(record.card, figures={"accuracy": Estimate(*now), "log_loss": Estimate(1.0, 0.9, 1.1)})
    (accuracy,) = compare_metrics(card, {"accuracy": Estimate(*then)})
    assert accuracy.result == result
    assert accuracy.gain.value == pytest.approx(now[0] - then[0])
    if now[1] is not None:  # squared and added, each end with the other's opposite
        assert accuracy.gain.low == pytest.approx(now[0] - then[0] - np.hypot(now[0] - now[1], then[2] - then[0]))
    (loss,) = compare_metrics(card, {"log_loss": Estimate(0.5, 0.45, 0.55)})
    assert (loss.result, loss.gain.value) == ("worse", pytest.approx(-0.5))


def test_fewer_than_ten_weeks_cannot_tell(files: tuple[Monitored, Path]):
    tiny, _ = files
    new = tiny.table[(tiny.table["date"] >= NEW) & (tiny.table["date"] < "2021-03-10")].reset_index(drop=True)
    predicted = predict(tiny.model, windows_of_rows(new, tiny.model.card))
    record = track_record(
        join_outcomes(predicted, outcomes_of_table(new, tiny.model.card, "t")), tiny.model.card, resamples=200
    )
    assert record is not None
    assert record.card.method == "binomial"
    assert {one.result for one in record.comparisons} == {"inconclusive"}
    assert "Too few weeks to detect" in record.summary


# ---- the verdict


def test_a_score_that_fell_asks_for_training_and_a_shift_alone_for_a_look(files: tuple[Monitored, Path]):
    tiny, _folder = files
    new = tiny.table[tiny.table["date"] >= NEW].reset_index(drop=True)
    examples = windows_of_rows(new, tiny.model.card)
    predicted = predict(tiny.model, examples)
    record = track_record(
        join_outcomes(predicted, outcomes_of_table(new, tiny.model.card, "t")), tiny.model.card, resamples=200
    )
    assert record is not None
    monitor = DriftMonitor(tiny.model.card)
    calm = monitor.report()
    assert recommend(calm, None).action == NO_CHANGE
    fell = MetricComparison("accuracy", Estimate(0.3, 0.2, 0.4), Estimate(0.5), Estimate(-0.2, -0.3, -0.1), "worse")
    worse = replace(record, comparisons=(fell,))
    assert recommend(calm, worse).action == RETRAIN
    assert "Accuracy is worse than in the test" in recommend(calm, worse).reason
    features = examples.features.copy()
    features[:, :, FEATURES.index("policy_event_count")] += 50  # read by no weight of the model
    monitor.observe(features, tiny.model.probabilities(features), examples.date)
    moved = recommend(monitor.report(), record)
    assert moved.action == WATCH
    assert "policy_event_count" in moved.reason
    assert "as in the test" in moved.reason
    features[:, :, FEATURES.index("macro_vix")] = 400.0  # read by it
    loud = DriftMonitor(tiny.model.card)
    loud.observe(features, tiny.model.probabilities(features), examples.date)
    assert recommend(loud.report(), record).action == RETRAIN


# ---- the command


def test_files_in_a_page_out(files, monkeypatch, capsys):
    _tiny, folder = files
    assert (
        command(
            monkeypatch,
            folder,
            "predictions=predictions.csv",
            "features=new.csv",
            "json=page.json",
            "strict=true",
            "html=p.html",
        )
        == 0
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert "Recommendation: no change." in printed
    assert "majority" in printed
    warning = "This model was trained on a synthetic market: its predictions say nothing about real stocks."
    assert warning in printed
    page = json.loads((folder / "page.json").read_text())
    html = (folder / "p.html").read_text()
    assert page["warning"] == warning
    assert f'<p class="note flag">{warning}</p>' in html
    assert page["recommendation"]["reason"] in html
    assert html.count("<tr>") == 1 + 2 + 1 + len(page["drift"]["columns"])
    assert "default-src 'none'" in html
    assert page["recommendation"]["action"] == NO_CHANGE
    assert len(page["drift"]["columns"]) == len(FEATURES) + 4
    assert page["record"]["card"]["examples"] > 150
    order = [("steady", "within chance", "watch", "changed").index(one["level"]) for one in page["drift"]["columns"]]
    assert order == sorted(order, reverse=True)


def test_bars_alone_are_enough_and_agree_with_the_table(files, monkeypatch, capsys):
    _tiny, folder = files
    market = ("bars=bars.csv", "news=news.csv", "macro=macro.csv", "policy=policy.csv", f"since={NEW}")
    assert command(monkeypatch, folder, *market, "json=bars.json") == 0
    assert "the model predicted again" in capsys.readouterr().out
    page = json.loads((folder / "bars.json").read_text())
    assert page["record"]["card"]["periods"] == 52


def test_a_stopped_feed_is_an_alarm_and_strict_sets_the_exit_code(files, monkeypatch, capsys):
    _tiny, folder = files
    assert command(monkeypatch, folder, "features=stopped.csv", "strict=true") == ALARM_EXIT_CODE
    printed = capsys.readouterr().out
    assert "Recommendation: retrain." in printed
    assert "fix a broken feed before you retrain" in " ".join(printed.split())
    assert command(monkeypatch, folder, "features=stopped.csv") == 0


def test_without_features_the_drift_of_predictions_is_reported(files, monkeypatch, capsys):
    _tiny, folder = files
    assert command(monkeypatch, folder, "predictions=predictions.csv", "truth=new.csv", "json=report.json") == 0
    assert "the drift of the features is unknown" in " ".join(capsys.readouterr().out.split())
    page = json.loads((folder / "report.json").read_text())
    assert {one["kind"] for one in page["drift"]["columns"]} == {"probability", "predicted"}
    assert page["record"] is not None


def test_lines_of_json_and_parquet_are_read_the_same_and_the_last_of_two_counts(files, tmp_path: Path):
    tiny, folder = files
    predicted = pd.read_csv(folder / "predictions.csv", parse_dates=["date"])
    write_frame(predicted, tmp_path / "predictions.parquet")
    lines = predicted.assign(date=predicted["date"].dt.strftime("%Y-%m-%d"), provisional=False)
    first = lines.iloc[[0]].assign(p_downtrend=1.0, p_neutral=0.0, p_uptrend=0.0)
    early = lines.iloc[[1]].assign(provisional=True)
    pd.concat([first, early, lines]).to_json(tmp_path / "predictions.jsonl", orient="records", lines=True)
    notes: list[str] = []
    card = tiny.model.card
    expected = read_predictions(folder / "predictions.csv", card, [])
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "predictions.parquet", card, []), expected)
    found = read_predictions(tmp_path / "predictions.jsonl", card, notes)
    np.testing.assert_allclose(found[P], expected[P], rtol=1e-9)
    assert notes == [
        "1 provisional predictions left out",
        "1 predictions left out, because a later line has the same date and ticker",
    ]


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_a_folder_of_parts_is_read_as_one_file(files, tmp_path: Path, ending: str):
    tiny, folder = files
    log = pd.read_csv(folder / "predictions.csv", parse_dates=["date"])
    (tmp_path / "parts").mkdir()
    for index, part in enumerate((log[::2], log[1::2], log[:0])):  # a worker may have predicted no row
        write_frame(part, tmp_path / "parts" / part_name(index, ending))
    expected = read_predictions(folder / "predictions.csv", tiny.model.card, [])
    read = read_predictions(tmp_path / "parts", tiny.model.card, [])
    pd.testing.assert_frame_equal(read.astype(expected.dtypes), expected)
    (tmp_path / "parts" / "notes.txt").write_text("")
    with pytest.raises(DataError, match="not a folder of parts"):
        read_predictions(tmp_path / "parts", tiny.model.card, [])


def test_an_incomplete_last_line_is_left_out_and_a_broken_one_is_an_error(files, tmp_path: Path):
    tiny, _folder = files
    line = json.dumps({"date": "2021-01-08", "ticker": "A", **dict.fromkeys(P, 1 / 3)})
    (tmp_path / "predictions.jsonl").write_text(f'{line}\n{{"date": "2021-01')
    notes: list[str] = []
    assert len(read_predictions(tmp_path / "predictions.jsonl", tiny.model.card, notes)) == 1
    assert notes == ["the last line of predictions.jsonl is incomplete and left out"]
    for broken in ('{"date"\n', "[1]\n", "\xff\n"):
        (tmp_path / "predictions.jsonl").write_text(f"{line}\n{broken}{line}\n", encoding="latin-1")
        with pytest.raises(DataError, match=r"predictions\.jsonl: line 2 cannot be read as JSON"):
            read_predictions(tmp_path / "predictions.jsonl", tiny.model.card, [])
    (tmp_path / "predictions.jsonl").write_text("\n")
    with pytest.raises(DataError, match="the file is empty"):
        read_predictions(tmp_path / "predictions.jsonl", tiny.model.card, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"predictions\.csv: the file is empty"),
        ("date,ticker\n2021-01-08,A\n", r"missing p_downtrend, p_neutral, p_uptrend.*python -m ste\.predict"),
        (
            f"date,ticker,{','.join(P)}\n2021-01-08,A,0.2,0.2,0.2\n",
            r"line 2: found 0\.6.*expected a sum of 1",
        ),
        (
            f"date,ticker,{','.join(P)}\n2021-01-08,A,0.2,x,0.2\n",
            r"p_neutral, line 2: found x; expected",
        ),
        (
            f"date,ticker,{','.join(P)}\n2021-01-08,A,1.2,-0.1,-0.1\n",
            r"line 2: found 1\.2.*p_neutral, line 2",
        ),
        (f"date,ticker,{','.join(P)}\nsoon,A,1,0,0\n", r"column date, line 2: found soon; expected a day such as"),
        (f"date,ticker,{','.join(P)}\n2016-01-08,AAPL,1,0,0\n", r"found none of 2018-12-29 or later"),
    ],
)
def test_an_invalid_file_of_predictions_is_an_error(text, message, files, tmp_path, monkeypatch, capsys):
    tiny, _folder = files
    (tmp_path / "predictions.csv").write_text(text)
    (tmp_path / "model.onnx").write_bytes(tiny.path.read_bytes())
    assert command(monkeypatch, tmp_path, "predictions=predictions.csv") == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert re.search(message, error, re.DOTALL), error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "predictions=null: expected a file of predictions"),
        ({"features": "a", "bars": "b"}, "features=a: expected null, as bars=b"),
        ({"predictions": "p", "news": "n"}, "bars=null: expected a file of daily bars as well as news"),
        ({"predictions": "p", "since": "2021"}, "since=2021: expected a date"),
        ({"predictions": "p", "periods": 0}, "periods=0: expected a whole number, 1 or more"),
        ({"predictions": "p", "strict": "maybe"}, "strict=maybe: expected true or false"),
    ],
)
def test_settings_that_cannot_be_used(arguments: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        MonitorSettings(TrackingSettings(), PathSettings(), model="m.onnx", **arguments)


def test_a_feature_that_stands_still_is_asked_about(files, monkeypatch, capsys):
    _tiny, folder = files
    assert command(monkeypatch, folder, "bars=bars.csv", f"since={NEW}") == 0  # neither news nor macro nor policy
    printed = " ".join(capsys.readouterr().out.split())
    asked = set(re.findall(r"(\w+) has a single value in all of them: check its source", printed))
    assert asked == {"macro_vix", "news_sentiment", "news_count", "news_relevance"}  # weeks without events are usual
    assert command(monkeypatch, folder, "features=new.csv") == 0
    assert "has a single value" not in capsys.readouterr().out


# ---- counts that a service keeps


def test_counts_outlive_the_process_and_can_be_looked_at(files, tmp_path, monkeypatch, capsys):
    tiny, folder = files
    card, path = tiny.model.card, tmp_path / "monitor" / "counts.json"
    examples = windows_of_rows(tiny.table[tiny.table["date"] >= NEW], card)
    predicted = tiny.model.probabilities(examples.features)
    first = RequestObserver(tiny.model, lambda run_id: path)
    first.put(tiny.model, examples.features, predicted, examples.date)
    first.close()
    again = RequestObserver(tiny.model, lambda run_id: path)
    assert again.report() == first.report()
    assert first.report().examples > 0
    assert command(monkeypatch, folder, f"served={path}") == 0
    assert f"{len(examples):,} examples since the counts started" in capsys.readouterr().out
    path.write_text("{}")
    assert RequestObserver(tiny.model, lambda run_id: path).report().examples == 0
    assert command(monkeypatch, folder, f"served={path}") == 2
    assert "Delete the file" in capsys.readouterr().err


def test_a_full_disk_is_logged_and_counting_continues(files, tmp_path, caplog):
    tiny, _ = files
    (tmp_path / "taken").write_text("a file where a folder should be")
    examples = windows_of_rows(tiny.table[tiny.table["date"] >= NEW], tiny.model.card)
    observer = RequestObserver(tiny.model, lambda run_id: tmp_path / "taken" / "counts.json")
    for _ in range(3):
        observer.put(tiny.model, examples.features, tiny.model.probabilities(examples.features), examples.date)
        observer.close()
    assert observer.monitor.total == 3 * len(examples)
    assert "cannot be saved" in caplog.text


# ---- the past of a market


def test_a_history_holds_every_period_and_its_bars_are_the_periods_own(files, market: Market):
    tiny, _ = files
    past = market_history(tiny.model, market)
    frame = past.bars
    assert not frame.duplicated(["date", "ticker"]).any()
    rows = feature_rows(market, "weekly", WEEKLY21)
    both = frame.merge(rows, on=["date", "ticker"], suffixes=("", "_row"))
    assert len(both) == len(rows)
    for column in ("open", "high", "low", "close"):
        np.testing.assert_allclose(both[column], both[f"stock_{column}"], rtol=1e-12)
    predicted = frame.dropna(subset=P).merge(tiny.table, on=["date", "ticker"])
    np.testing.assert_allclose(predicted["return"], predicted[RETURN], rtol=1e-9)
    expected = predict(tiny.model, windows_of_rows(tiny.table, tiny.model.card)).merge(predicted, on=["date", "ticker"])
    np.testing.assert_allclose(expected[f"{P[0]}_x"], expected[f"{P[0]}_y"], rtol=1e-5)
    assert past.record is not None
    since = predicted[predicted["date"] > tiny.model.card.trained_to]
    assert past.record.card.examples == len(since)
    assert ROW_PERIOD not in bars_of_periods(market.bars, WEEKS)


def test_a_tickers_hits_have_the_exact_interval(files):
    tiny, _ = files
    rows = pd.DataFrame({"p_downtrend": [0.6, 0.1, 0.2, 0.5], "p_neutral": 0.2, "p_uptrend": [0.2, 0.7, 0.6, 0.3]})
    rows["label"] = [0, 2, 0, np.nan]
    card = replace(tiny.model.card, reference={"class_fractions": [0.5, 0.2, 0.3]})
    found = hit_rate(rows, card)
    assert found is not None
    assert (found.correct, found.examples, found.majority) == (2, 3, ("Downtrend", 2))
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(binomial_interval(2, 3))
    wide = hit_rate(rows, replace(card, horizon=3))
    assert wide is not None
    assert wide.accuracy.low < found.accuracy.low
    assert hit_rate(rows.assign(label=np.nan), card) is None


def test_a_table_with_a_repeated_row_is_an_error(files: tuple[Monitored, Path], tmp_path: Path):
    monitored, _ = files
    names = list(monitored.model.card.features)
    rows = pd.DataFrame(
        {"date": ["2024-11-01", "2024-11-08", "2024-11-01"], "ticker": "A", **dict.fromkeys(names, 1.0)}
    )
    rows.to_csv(tmp_path / "twice.csv", index=False)
    with pytest.raises(DataError, match=r"column date, line 4: found 2024-11-01; expected one row per"):
        read_rows(tmp_path / "twice.csv", names)
