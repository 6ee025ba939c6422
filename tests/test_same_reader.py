"""Predict, serve, monitor and live read bars of every shape by one reader: same files, same predictions."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from file_shapes import SHAPES, TICKERS, FileShape, csv, long
from monitored import Monitored, monitored
from onnx_files import tiny_card
from ste.config import (
    MarketSettings,
    MonitorSettings,
    PathSettings,
    PredictSettings,
    ServeSettings,
    TableSettings,
    TrackingSettings,
)
from ste.data.build.prepare import prepare
from ste.errors import DataError
from ste.inference.batch.file_prediction import predict_file
from ste.inference.card_market import open_market
from ste.inference.model_card import ModelCard
from ste.market.calendar import TradingCalendar
from ste.monitoring.monitor_report import MonitorReport
from ste.monitoring.review import review
from ste.schema import probability_names
from ste.serving.dashboard import Dashboard
from ste.streaming.checkpoints import Checkpoints
from ste.streaming.engine import Engine
from ste.streaming.pipeline import REJECTS, Pipeline
from ste.streaming.sinks import FileSink
from streams import replay_of

P = list(probability_names(("Downtrend", "Neutral", "Uptrend")))
READ = {
    "Kaggle Huge Stock Market": {},
    "Stooq": {},
    "yfinance download with Adj Close": {},
    "Parquet partitions": {},
    "two-digit years, format stated": {"date_format": "%d.%m.%y"},
}
"""Shapes, and the reading options that they need."""


def half_a_year() -> pd.DataFrame:
    """Bars of the tickers of `file_shapes` on 170 sessions, prices of two decimals."""
    rng = np.random.default_rng(3)
    days = TradingCalendar().sessions(pd.Timestamp("2024-01-02"), pd.Timestamp("2024-09-06"))[-170:]
    frames = []
    for at, ticker in enumerate(TICKERS):
        close = np.round((30 + 60 * at) * np.exp(np.cumsum(rng.normal(0, 0.02, len(days)))), 2)
        prices = {"open": close - 0.01, "high": close + 0.25, "low": close - 0.25, "close": close}
        prices = {name: np.round(values, 2) for name, values in prices.items()}
        volume = rng.integers(1_000_000, 9_000_000, len(days)).astype(float)
        frames.append(pd.DataFrame({"ticker": ticker, "date": days, **prices, "volume": volume}))
    return pd.concat(frames, ignore_index=True)


def spelled(ticker: str) -> str:
    """Another way to write a ticker, as another provider does."""
    return ticker.replace(".", "-").lower()


def side_files(folder: Path, bars: pd.DataFrame, names: dict[str, str]) -> dict[str, str]:
    """News, macro figures and policy events around the bars, whose tickers are spelled differently."""
    rng = np.random.default_rng(4)
    some = bars.iloc[::7]
    news = pd.DataFrame(
        {
            "ticker": [spelled(names[ticker]) for ticker in some["ticker"]],
            "date": some["date"].dt.strftime("%Y-%m-%d"),
            "count": rng.integers(1, 9, len(some)),
            "sentiment": rng.uniform(-1, 1, len(some)),
            "relevance": rng.random(len(some)),
        }
    )
    days = sorted(set(some["date"].dt.strftime("%Y-%m-%d")))
    macro = pd.DataFrame({"series": "vix", "release_date": days, "value": 20 + rng.normal(0, 2, len(days))})
    policy = pd.DataFrame({"date": [*days, days[-1]], "impact": rng.integers(0, 3, len(days) + 1)})
    frames = {"news": news, "macro": macro, "policy": policy}
    return {kind: str(csv(frame, folder / f"{kind}.csv")) for kind, frame in frames.items()}


@dataclass(frozen=True)
class Case:
    """Files of one market, and how they are read."""

    files: dict[str, Any]
    options: dict[str, Any]

    @property
    def all(self) -> dict[str, Any]:
        return {**self.files, **self.options}


def case_of(folder: Path, bars: pd.DataFrame, shape: FileShape | None, tickers: tuple[str, ...], half: bool) -> Case:
    """The bars in a shape, or as the long CSV with the same tickers and prices."""
    folder.mkdir()
    names = dict(zip(TICKERS, tickers, strict=True))
    if shape is None:
        named = long(bars.assign(ticker=bars["ticker"].map(names)))
        what = csv(named.assign(adj_close=bars["close"] / 2) if half else named, folder / "long.csv")
    else:
        what = shape.write(bars, folder)
    options = {} if shape is None else shape.options
    return Case({"bars": str(what), **side_files(folder, bars, names)}, options)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Monitored:
    return monitored(tmp_path_factory.mktemp("model") / "model.onnx", length=2)


@pytest.fixture(scope="module", params=list(READ))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Case]:
    """The same bars in a shape and as the long CSV."""
    shape = next(shape for shape in SHAPES if shape.name == request.param and not shape.refused)
    assert shape.options == READ[request.param]
    folder, bars = tmp_path_factory.mktemp("market"), half_a_year()
    return tuple(
        case_of(folder / name, bars, own, shape.tickers, shape.adjusted)
        for name, own in (("shape", shape), ("long", None))
    )  # type: ignore[return-value]


def stores() -> tuple[TrackingSettings, PathSettings]:
    return TrackingSettings(), PathSettings()


def predict(tiny: Monitored, case: Case, folder: Path) -> pd.DataFrame:
    output = folder / "predictions.parquet"
    predict_file(PredictSettings(*stores(), model=str(tiny.path), output=str(output), **case.all))
    return pd.read_parquet(output).sort_values(["date", "ticker"], ignore_index=True)


def serve(tiny: Monitored, case: Case) -> pd.DataFrame:
    dashboard = Dashboard(ServeSettings(*stores(), model=str(tiny.path), **case.all), lambda: tiny.model)
    dashboard.refresh()
    dashboard.wait()
    state = dashboard.refresh()
    assert state.state == "ready", state.message
    assert state.history is not None
    return state.history.bars


def monitor(tiny: Monitored, **settings: Any) -> MonitorReport:
    return review(tiny.model, MonitorSettings(*stores(), model=str(tiny.path), **settings))


def live(tiny: Monitored, case: Case, folder: Path, stops: tuple[int, ...]) -> pd.DataFrame:
    """Predictions of a replay in batches of 100 events, stopped and resumed after these numbers of batches."""
    for stop in (*stops, 1_000_000):
        pipeline = Pipeline(
            Engine(tiny.model),
            replay_of(case.files, 100, tiny.model.card, **case.options),
            FileSink(folder / "live.jsonl", tuple(tiny.model.card.classes)),
            Checkpoints(folder / "state"),
        )
        pipeline.start()
        batches = iter(range(stop))
        status = pipeline.run(lambda batches=batches: next(batches, None) is None)
        pipeline.close()
    assert (status["rejected"], status["backlog"]) == (0, 0)
    rows = [orjson.loads(line) for line in (folder / "live.jsonl").read_bytes().splitlines()]
    return pd.DataFrame(rows).sort_values(["date", "ticker"], ignore_index=True)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert len(found) == len(expected) > 20
    assert pd.to_datetime(found["date"]).tolist() == pd.to_datetime(expected["date"]).tolist()
    assert found["ticker"].tolist() == expected["ticker"].tolist()
    assert (found[P].to_numpy(np.float32) == expected[P].to_numpy(np.float32)).all()


def test_a_shape_gives_the_predictions_of_the_long_file_everywhere(
    tiny: Monitored, pair: tuple[Case, Case], tmp_path: Path
) -> None:
    case, reference = pair
    expected = predict(tiny, reference, tmp_path)
    assert expected["ticker"].nunique() == 3
    assert_same(predict(tiny, case, tmp_path), expected)
    shown = [serve(tiny, one) for one in pair]
    pd.testing.assert_frame_equal(*shown, check_exact=True)
    assert_same(shown[0].dropna(subset=P).sort_values(["date", "ticker"]), expected)
    assert_same(live(tiny, case, tmp_path, stops=(3, 2) if case.options else ()), expected)


def comparable(report: MonitorReport) -> str:
    """The report without its notes, which describe the files."""
    return json.dumps(report.to_dict() | {"notes": []}, sort_keys=True)


def test_a_shape_is_monitored_as_the_long_file(tiny: Monitored, pair: tuple[Case, Case], tmp_path: Path) -> None:
    own, other = (monitor(tiny, **one.all) for one in pair)
    assert own.record is not None
    assert comparable(own) == comparable(other)
    predict(tiny, pair[1], tmp_path)
    log = str(tmp_path / "predictions.parquet")
    scored = [monitor(tiny, predictions=log, truth=one.files["bars"], **one.options) for one in pair]
    assert scored[0].record is not None
    assert scored[0].record.card.examples == own.record.card.examples
    assert comparable(scored[0]) == comparable(scored[1])
    assert any(note.startswith("truth: bars: 510 rows of 3 tickers") for note in scored[0].notes)


# --- what a replay reports ---


def test_bars_with_a_fault_are_refused_and_the_others_replayed(tiny: Monitored, tmp_path: Path) -> None:
    bars = long(half_a_year())
    bars.loc[3, "high"] = 0.5  # below the low
    path = csv(bars.astype({"open": object}), tmp_path / "bars.csv")
    lines = path.read_text().splitlines()
    lines[9] = lines[9].replace(lines[9].split(",")[2], "n/a", 1)
    path.write_text("\n".join([*lines, lines[20]]) + "\n")
    source = replay_of({"bars": str(path)}, card=tiny.model.card)
    pipeline = Pipeline(
        Engine(tiny.model), source, FileSink(tmp_path / "out.jsonl", P), Checkpoints(tmp_path / "state")
    )
    pipeline.start()
    status = pipeline.run(lambda: False)
    pipeline.close()
    assert status["events"]["bar.used"] == len(bars) - 2
    rejects = [orjson.loads(line) for line in (tmp_path / "state" / REJECTS).read_bytes().splitlines()]
    assert [(one["where"], one["reason"].partition(";")[0]) for one in rejects] == [
        (f"{path}, line 5", "high: found 0.5"),
        (f"{path}, line 10", "open: found nothing"),
        (f"{path}, line {len(lines) + 1}", "date: found " + lines[20].split(",")[1]),
    ]
    assert any(note.startswith(f"bars: {len(bars) - 2:,} rows of 3 tickers") for note in source.notes)


def test_a_replay_with_other_options_or_files_is_another_source(tmp_path: Path) -> None:
    path = csv(long(half_a_year()), tmp_path / "bars.csv")
    name = replay_of({"bars": str(path)}).name
    assert name == replay_of({"bars": str(path)}, speed="100").name
    assert name != replay_of({"bars": str(path)}, volume="raw").name
    path.write_text(path.read_text() + "\n")
    assert name != replay_of({"bars": str(path)}).name


@pytest.mark.parametrize(
    ("change", "card", "message"),
    [
        (lambda bars: bars, {"calendar": "24/7"}, r"the days are those of XNYS.*trained on the calendar 24/7: give"),
        (lambda bars: bars[bars["date"].dt.day_of_week == 2], {}, r"bars: are weekly, and Tiny was trained on daily"),
        (
            lambda bars: bars[bars["date"].dt.day_of_week == 2],
            {"frequency": "daily"},
            r"bars: are weekly .*The model reads daily rows: give bars such as it was trained on\.$",
        ),
        (lambda bars: bars.drop(columns="low"), {}, r"no column for low.*replay\.columns=\{low: "),
        (
            lambda bars: bars.assign(date=bars["date"] + pd.to_timedelta(np.arange(len(bars)) % 3, "h")).pipe(
                lambda timed: pd.concat([timed, timed.assign(date=timed["date"] + pd.Timedelta(hours=5))])
            ),
            {},
            r"at different times.*replay\.aggregate=true\.$",
        ),
    ],
)
def test_bars_that_a_model_cannot_read_are_refused_in_its_words(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], card: dict[str, Any], message: str
) -> None:
    path = csv(change(half_a_year()), tmp_path / "bars.csv")
    with pytest.raises(DataError, match=message) as raised:
        replay_of({"bars": str(path)}, card=tiny_card(**card)).open(None)
    assert "data." not in str(raised.value)


# --- adjustment of the training bars ---


@pytest.mark.parametrize(
    ("trained", "given", "noted"),
    [
        (True, False, "no adjusted close, and Tiny was trained on adjusted prices"),
        (False, True, "prices are adjusted, and Tiny was trained on prices without an adjusted close"),
        (True, True, ""),
        (False, False, ""),
        (None, False, ""),
    ],
)
def test_another_adjustment_than_in_training_is_noted(
    tmp_path: Path, trained: bool | None, given: bool, noted: str
) -> None:
    bars = half_a_year()
    path = csv(bars.assign(adj_close=bars["close"]) if given else bars, tmp_path / "bars.csv")
    notes = open_market(replace(tiny_card(), adjusted=trained), {"bars": str(path)}).notes
    assert [note for note in notes if noted and noted in note] == [note for note in notes if "was trained on" in note]
    assert any("was trained on" in note for note in notes) == bool(noted)


@pytest.mark.parametrize("adjusted", [True, False])
@pytest.mark.parametrize("form", ["csv", "parts"])
def test_the_data_card_states_the_adjustment(tmp_path: Path, form: Any, adjusted: bool) -> None:
    bars = half_a_year()
    path = csv(bars.assign(adj_close=bars["close"] / 2) if adjusted else bars, tmp_path / "bars.csv")
    built = prepare(MarketSettings(source="market", bars=str(path), format=form), tmp_path)
    expected = {
        True: "prices of 3 tickers x adj_close / close; the close is fully adjusted in 3; volume taken as it is",
        False: "no adjusted close: prices and volume of 3 tickers taken as they are",
    }[adjusted]
    stated = {"adjustment": expected, "adjusted": adjusted, "spacing": "daily"}
    assert {key: built.card[key] for key in stated} == stated
    tables = {split: str(file) for split, file in built.files.items()}
    own = prepare(TableSettings(source="csv", **tables, format=form), tmp_path / "own")
    assert {key: own.card[key] for key in stated} == stated


def test_a_card_without_an_adjustment_is_read() -> None:
    content = json.loads(tiny_card().to_json())
    del content["adjustment"], content["adjusted"]
    card = ModelCard.from_json(json.dumps(content), "m")
    assert (card.adjustment, card.adjusted) == ("", None)
    stated = replace(card, adjustment="prices as they are", adjusted=False)
    assert ModelCard.from_json(stated.to_json(), "m") == stated
