"""A net that sees the market from the tracked run to its file, bulk prediction, service, live pipeline and monitor."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from feature_sets import FEATURES, WEEKLY21
from ste.config.serve_settings import LimitSettings
from ste.errors import ConfigError
from ste.features.feature_rows import feature_rows
from ste.inference.batch import prediction_loop
from ste.inference.batch.date_prediction import DatePredictor
from ste.inference.batch.frame_reader import FrameReader
from ste.inference.batch.prediction_loop import predict_table
from ste.inference.inputs import ModelInputs, windows_of_rows
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import GROUP, ServedModel
from ste.market.sources import Market
from ste.monitoring.review import predict
from ste.schema import probability_names
from ste.serving.app import create_app
from ste.serving.batcher import Batcher
from ste.serving.openapi import openapi
from ste.serving.request_features import FeatureReader
from ste.streaming.engine import Engine
from test_export import GRU, Place
from test_serve_app import market, records, settings
from test_streaming_engine import examples, in_order, ran
from test_streaming_features import untidy_market

MARKET = ["model=market_attention", "model.hidden_size=8", "data.sequence_length=3", "data.history=3"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def run(place: Place) -> str:
    return place.fit("market", *MARKET)


@pytest.fixture(scope="module")
def model(place: Place, run: str) -> ServedModel:
    return ServedModel(place.export(run))


@pytest.fixture(scope="module")
def table(place: Place, model: ServedModel) -> pd.DataFrame:
    """All rows of the run's tables, by ticker."""
    files = [path for kind in ("training", "validation", "test") for path in place.data.glob(f"*/{kind}_data_*.csv")]
    rows = pd.concat([pd.read_csv(path, parse_dates=["date"]) for path in files])
    return rows.sort_values(["ticker", "date"], ignore_index=True)


def by_period(model: ServedModel, inputs: ModelInputs) -> np.ndarray:
    """Probabilities of windows, one date after the other."""
    out = np.empty((len(inputs), len(model.card.classes)))
    for date in np.unique(inputs.date):
        rows = inputs.date == date
        out[rows] = model.probabilities(inputs.features[rows])
    return out


def test_the_file_predicts_as_the_run_was_scored(place: Place, run: str, model: ServedModel, table: pd.DataFrame):
    assert model.card.sees_market
    assert model.card.parity <= 1e-5
    inputs = windows_of_rows(table, model.card)
    found = pd.DataFrame(by_period(model, inputs), pd.MultiIndex.from_arrays([inputs.date, inputs.ticker]))
    predictions = pd.read_parquet(next(place.folder.glob("market/**/predictions.parquet")))
    keys = pd.MultiIndex.from_frame(predictions[["date", "ticker"]])
    own = predictions[list(probability_names(tuple(model.card.classes)))].to_numpy()
    np.testing.assert_allclose(found.loc[keys].to_numpy(), own, atol=1e-5)


def test_a_card_of_before_reads_no_dates(model: ServedModel):
    content = json.loads(model.card.to_json())
    del content["sees_market"]
    assert not ModelCard.from_json(json.dumps(content), "x").sees_market


@pytest.mark.parametrize("order", ["ticker", "date"])
def test_a_table_is_predicted_date_by_date_in_its_own_order(
    model: ServedModel, table: pd.DataFrame, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prediction_loop, "CHUNK", 37)
    rows = table if order == "ticker" else table.sort_values(["date", "ticker"], kind="stable", ignore_index=True)
    rows = rows[(rows["ticker"] != rows["ticker"].iloc[0]) | (rows["date"] > "2018-06-01")].reset_index(drop=True)
    bad = rows.index[40]
    rows.loc[bad, "stock_rsi"] = -5.0
    reader = FrameReader(rows, "rows.csv")
    output = tmp_path / "out.csv"
    counts = predict_table(model, reader, output, tmp_path / "rejects.csv", predictor=DatePredictor(model, reader))
    inputs = windows_of_rows(rows.drop(index=bad), model.card)
    found = pd.read_csv(output, parse_dates=["date"])
    assert (counts.predicted, counts.rejected, counts.short) == (len(inputs), 1, len(rows) - 1 - len(inputs))
    assert found["ticker"].tolist() == inputs.ticker.tolist()
    assert (found["date"].to_numpy() == inputs.date).all()
    names = list(probability_names(tuple(model.card.classes)))
    np.testing.assert_allclose(found[names], by_period(model, inputs), atol=1e-6)


def test_the_command_predicts_dates_and_refuses_workers(place: Place, model: ServedModel, table: pd.DataFrame):
    from ste.predict import predict_task

    source, output = place.folder / "rows.csv", place.folder / "predicted.parquet"
    table.to_csv(source, index=False)
    given = [f"model={place.folder / 'model.onnx'}", f"input={source}", f"output={output}"]
    place.do(predict_task, "predict", *given)
    inputs = windows_of_rows(table, model.card)
    found = pd.read_parquet(output)
    names = list(probability_names(tuple(model.card.classes)))
    np.testing.assert_allclose(found[names], by_period(model, inputs), atol=1e-6)
    with pytest.raises(ConfigError, match=r"workers=2: MarketAttention predicts the tickers of a date together"):
        place.do(predict_task, "predict", *given[:2], f"output={place.folder / 'parts'}", "workers=2")


def test_the_monitor_predicts_dates(model: ServedModel, table: pd.DataFrame):
    inputs = windows_of_rows(table, model.card)
    found = predict(model, inputs)
    order = np.lexsort((inputs.ticker.astype(str), inputs.date))
    names = list(probability_names(tuple(model.card.classes)))
    np.testing.assert_allclose(found[names], by_period(model, inputs)[order], atol=1e-6)


# --- service ---


def test_requests_are_markets_of_their_own(model: ServedModel, table: pd.DataFrame):
    inputs = windows_of_rows(table, model.card)
    days = np.unique(inputs.date)[:4]
    alone = [inputs.features[inputs.date == day] for day in days]

    async def together(most: int) -> list[np.ndarray]:
        batcher = Batcher(most, 10_000, 10.0)
        both = np.isin(inputs.date, days[:2])
        try:
            return await asyncio.gather(
                *(batcher.probabilities(model, one) for one in alone),
                batcher.probabilities(model, inputs.features[both], inputs.date[both], inputs.period[both]),
            )
        finally:
            batcher.close()

    for most in (1, 3, 1000):
        *singles, two_days = asyncio.run(together(most))
        for features, found in zip(alone, singles, strict=True):
            np.testing.assert_allclose(found, model.probabilities(features), atol=1e-6)
        for day, features in zip(days[:2], alone, strict=False):
            rows = inputs.date[np.isin(inputs.date, days[:2])] == day
            np.testing.assert_allclose(two_days[rows], model.probabilities(features), atol=1e-6)


def test_windows_are_one_date_and_rows_one_ticker(model: ServedModel, table: pd.DataFrame):
    reader = FeatureReader(model.card, 100)
    own = table[table["ticker"] == table["ticker"].iloc[0]]
    rows = own[list(FEATURES)].astype(float).to_numpy()[:5].tolist()
    features, groups = reader.read_with_groups(json.dumps({"rows": rows}).encode())
    assert groups.tolist() == [0, 1, 2]
    _, groups = reader.read_with_groups(json.dumps({"windows": features.tolist()}).encode())
    assert groups.tolist() == [0, 0, 0]
    document = openapi(model.card, model.version, LimitSettings(), needs_key=False)
    assert "send one date per request" in document["paths"]["/v1/predict"]["post"]["description"]


def test_the_service_answers_for_whole_dates(model: ServedModel, table: pd.DataFrame):
    inputs = windows_of_rows(table, model.card)
    windows = inputs.features[inputs.date == inputs.date.max()]
    bars = market()
    rows = feature_rows(Market(bars), "weekly", WEEKLY21)
    by_bars = windows_of_rows(rows, model.card)
    expected = by_period(model, by_bars)
    with TestClient(create_app(model, settings())) as client:
        answer = client.post("/v1/predict", json={"windows": windows.astype(float).tolist()}).json()
        found = [[*one["probabilities"].values()] for one in answer["predictions"]]
        np.testing.assert_allclose(found, model.probabilities(windows), atol=1e-5)
        answer = client.post("/v1/predict/bars", json={"bars": records(bars), "every": True}).json()
    found_by_key = {(one["ticker"], one["date"]): [*one["probabilities"].values()] for one in answer["predictions"]}
    keys = [(ticker, f"{pd.Timestamp(day):%Y-%m-%d}") for ticker, day in zip(by_bars.ticker, by_bars.date, strict=True)]
    assert len(keys) == len(found_by_key) > 10
    np.testing.assert_allclose([found_by_key[key] for key in keys], expected, atol=1e-4)


# --- live ---


def test_a_live_close_is_one_date(model: ServedModel):
    daily = untidy_market(1)
    predictions = ran(Engine(model), in_order(daily))
    expected = examples(daily, model)  # type: ignore[arg-type]
    assert {(one.date, one.ticker) for one in predictions} == set(expected)
    for day in {one.date for one in predictions}:
        closed = [one for one in predictions if one.date == day]
        probs = model.probabilities(np.stack([expected[day, one.ticker] for one in closed]))
        np.testing.assert_allclose([one.probabilities for one in closed], probs, atol=1e-5)


# --- an ensemble ---


@pytest.mark.slow
def test_an_ensemble_gives_the_dates_to_the_members_that_read_them(place: Place, run: str, table: pd.DataFrame):
    from ste.ensemble import ensemble_task

    other = place.fit("gru", *GRU, "data.history=3")
    place.do(ensemble_task, "ensemble", f"runs=[{run},{other}]")
    both = ServedModel(place.export("latest", output="both.onnx"))
    assert both.card.sees_market
    inputs = windows_of_rows(table, both.card)
    assert np.isfinite(by_period(both, inputs)).all()


def test_mlflow_loads_the_registered_file_with_dates(place: Place, model: ServedModel, table: pd.DataFrame):
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{place.output / 'mlflow.db'}")
    inputs = windows_of_rows(table, model.card)
    x, group = inputs.features[:30], inputs.period[:30]
    served: Any = mlflow.pyfunc.load_model("models:/ste/1")
    found = served.predict({"features": x, GROUP: group})["probabilities"]
    np.testing.assert_array_equal(found, model.probabilities(x, group))
