"""The application without a network: its answers against independent ones, and its document against its answers."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from feature_sets import FEATURES, PRICES11, WEEKLY21
from onnx_files import tiny_model, tiny_probabilities
from ste.config import PathSettings, ServeSettings, TrackingSettings
from ste.errors import RunError
from ste.features.feature_rows import feature_rows
from ste.inference.onnx_model import ServedModel
from ste.market.calendar import TradingCalendar
from ste.market.sources import Market
from ste.serving import openapi_examples as examples
from ste.serving.app import create_app
from ste.serving.deployed_model import DeployedModel, validate_model


def settings(**changes: object) -> ServeSettings:
    return ServeSettings(TrackingSettings(), PathSettings(), **{"model": "model.onnx", **changes})


@pytest.fixture(scope="module", params=["sequence", "flat", "prices", "two"])
def served(request, tmp_path_factory) -> Iterator[tuple[TestClient, ServedModel]]:
    path = tmp_path_factory.mktemp("app") / "model.onnx"
    kinds = {"prices": {"features": PRICES11}, "two": {"classes": 2}, "flat": {"view": "flat"}, "sequence": {}}
    tiny_model(path, **kinds[request.param])
    model = ServedModel(path)
    with TestClient(create_app(model, settings()), raise_server_exceptions=False) as client:
        yield client, model


def test_every_example_of_the_document_is_answered(served):
    client, model = served
    document = client.get("/openapi.json").json()
    count = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            shown = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
            for example in shown.values():
                count += 1
                answer = client.request(method, path, json=example["value"])
                assert answer.status_code == 200, answer.text
                for prediction in answer.json()["predictions"]:
                    assert set(prediction["probabilities"]) == set(model.card.classes)
                    assert prediction["class"] == max(prediction["probabilities"], key=prediction["probabilities"].get)
    assert count >= 3


def test_a_response_has_the_probabilities_of_the_model(served):
    client, model = served
    card = model.card
    rows = examples.rows(card, card.sequence_length + 4)
    table = np.array([[*row.values()] for row in rows])
    length = 1 if card.view == "flat" else card.sequence_length
    windows = np.array([table[i : i + length] for i in range(len(rows) - length + 1)]).reshape(-1, *card.shape)
    answer = client.post("/v1/predict", json={"rows": rows}).json()
    assert answer["version"] == model.version
    probabilities = [[*one["probabilities"].values()] for one in answer["predictions"]]
    np.testing.assert_allclose(probabilities, tiny_probabilities(card, windows), rtol=1e-4)


def test_the_model_shows_of_itself(served):
    client, model = served
    content = client.get("/v1/model").json()
    assert content["features"] == model.card.features
    assert content["verdict"] == model.card.verdict
    assert content["version"] == model.version
    assert not {"reference", "training_sample"} & set(content)


def test_head_is_answered_wherever_get_is(served):
    client, _ = served
    schema = client.get("/openapi.json").json()["paths"]
    documented = [path for path, methods in schema.items() if "get" in methods]
    pages = ["/", "/docs", "/docs/docs.js", "/page/style.css", "/v1/page/summary", "/v1/page/tickers", "/openapi.json"]
    for path in (*documented, *pages):
        got, asked = client.get(path), client.head(path)
        assert (asked.status_code, asked.content) == (200, b""), path
        assert set(asked.headers) == set(got.headers)
        assert asked.headers["content-type"] == got.headers["content-type"]
        if path != "/metrics":  # its counters go on
            assert asked.headers == got.headers
    assert client.head("/nothing").status_code == client.head("/v1/page/ticker/NONE").status_code == 404
    refused = client.head("/v1/predict")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert set(client.post("/healthz").headers["allow"].split(", ")) == {"GET", "HEAD"}


def market(tickers: int = 2, days: int = 190) -> pd.DataFrame:
    """Random bars, as JSON has them."""
    rng = np.random.default_rng(5)
    dates = TradingCalendar().sessions(pd.Timestamp("2022-01-03"), pd.Timestamp("2023-06-30"))[:days]
    frames = []
    for i in range(tickers):
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, days)))
        spread = np.abs(rng.normal(0, 0.01, days))
        frames.append(
            pd.DataFrame(
                {
                    "ticker": f"T{i}",
                    "date": dates,
                    "open": close * (1 - spread / 2),
                    "high": close * (1 + spread),
                    "low": close * (1 - spread),
                    "close": close,
                    "volume": rng.uniform(1e5, 1e6, days),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    return json.loads(
        frame.assign(date=frame["date"].dt.strftime("%Y-%m-%d")).to_json(orient="records", double_precision=15)
    )


@pytest.mark.parametrize("served", ["sequence"], indirect=True)
class TestBars:
    @pytest.mark.parametrize("every", [False, True])
    def test_the_features_are_those_of_the_table(self, served, every: bool):
        client, model = served
        bars = market()
        news = [
            {
                "ticker": "T1",
                "date": f"{bars['date'][180]:%Y-%m-%d}",
                "count": 4.0,
                "sentiment": -0.5,
                "relevance": 0.25,
            }
        ]
        macro = [{"series": "vix", "release_date": "2022-08-01", "value": 31.0}]
        policy = [{"date": f"{bars['date'][181]:%Y-%m-%d}", "impact": 2.0}]
        order = np.random.default_rng(0).permutation(len(bars))
        body = {"bars": records(bars.iloc[order]), "news": news, "macro": macro, "policy": policy, "every": every}
        answer = client.post("/v1/predict/bars", json=body)
        assert answer.status_code == 200, answer.text

        def frame(rows: list[dict[str, object]], day: str = "date") -> pd.DataFrame:
            out = pd.DataFrame(rows)
            out[day] = pd.to_datetime(out[day])
            return out

        rows = feature_rows(Market(bars, frame(news), frame(macro, "release_date"), frame(policy)), "weekly", WEEKLY21)
        expected = {}
        for ticker, part in rows.groupby("ticker"):
            values = part[list(FEATURES)].to_numpy()
            dates = part["date"].dt.strftime("%Y-%m-%d").tolist()
            for end in range(len(part) - (0 if every else 1), 3, -1) if every else [len(part)]:
                expected[ticker, dates[end - 1]] = tiny_probabilities(model.card, values[None, end - 4 : end])[0]
        found = {(one["ticker"], one["date"]): [*one["probabilities"].values()] for one in answer.json()["predictions"]}
        assert set(found) == set(expected)
        assert len(found) == (2 if not every else 2 * (len(rows) // 2 - 3))
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-4)

    def test_adjusted_bars_are_read_on_the_adjusted_scale(self, served):
        client, _ = served
        bars = market(1)
        split = bars.copy()
        before = split.index < 150
        split["adj_close"] = split["close"]
        split.loc[before, ["open", "high", "low", "close"]] *= 4.0
        split.loc[before, "volume"] /= 4.0
        plain, adjusted = (
            client.post("/v1/predict/bars", json={"bars": records(frame)}).json() for frame in (bars, split)
        )
        assert plain["predictions"][0]["probabilities"] == pytest.approx(
            adjusted["predictions"][0]["probabilities"], rel=1e-5
        )
        warning = "This model was trained on a synthetic market: its predictions say nothing about real stocks."
        assert plain["notes"] == [warning, "bars: no adjusted close: prices and volume of 1 ticker taken as they are"]
        day = f"{split['date'].iloc[150]:%Y-%m-%d}"
        assert adjusted["notes"] == [
            warning,
            "bars: prices of 1 ticker x adj_close / close; the close is raw in 1; 1 split (first: T0 "
            f"{day}, 4:1); volume multiplied by the later splits in 1 ticker (first: T0)",
        ]

    def test_a_ticker_with_too_few_bars_is_named(self, served):
        client, _ = served
        bars = market()
        short = bars[(bars["ticker"] == "T0") | (bars.index % 190 > 100)]
        answer = client.post("/v1/predict/bars", json={"bars": records(short)}).json()
        assert [one["ticker"] for one in answer["predictions"]] == ["T0"]
        assert answer["without"] == ["T1"]

    @pytest.mark.parametrize(
        ("change", "pointer", "words"),
        [
            (lambda body: body["bars"][3].pop("close"), "#/bars/3/close", "missing"),
            (lambda body: body["bars"][3].update(close="12"), "#/bars/3/close", "valid number"),
            (lambda body: body["bars"][3].update(close=0), "#/bars/3/close", "greater than 0"),
            (lambda body: body["bars"][3].update(clsoe=5.0), "#/bars/3/clsoe", "unknown field"),
            (lambda body: body["bars"][3].update(date="2022-13-01"), "#/bars/3/date", "expected a date such as"),
            (
                lambda body: body["bars"][3].update(date="2022-01-05T00:00:00"),
                "#/bars/3/date",
                "expected a date such as",
            ),
            (lambda body: body["bars"][3].update(date=1234), "#/bars/3/date", "expected a date such as"),
            (lambda body: body["bars"][3].update(date="0022-01-05"), "#/bars/3/date", "1970"),
            (lambda body: body["bars"][3].update(high=0.5), "#/bars/3/high", "expected high at or above low"),
            (lambda body: body["bars"][3].update(adj_close=5.0), "#/bars/3/adj_close", "in every bar or in none"),
            (
                lambda body: body["bars"][3].update(body["bars"][2]),
                "#/bars/3/date",
                "expected one row per ticker and day",
            ),
            (lambda body: body.update(bars=[]), "#/bars", "at least 1"),
            (lambda body: body.update(bars=body["bars"][:90]), "#/bars", "found 90 bars of 1 tickers"),
            (
                lambda body: body.update(macro=[{"series": "vix", "release_date": "2022-01-05", "value": -1}]),
                "#/macro/0/value",
                "vix",
            ),
            (
                lambda body: body.update(macro=[{"series": "wix", "release_date": "2022-01-05", "value": 1}]),
                "#/macro/0/series",
                "vix",
            ),
            (lambda body: body.update(news=[{"ticker": "A"}]), "#/news/0/date", "missing"),
            (lambda body: body.update(every="yes"), "#/every", "boolean"),
        ],
    )
    def test_the_field_at_fault_is_named(self, served, change, pointer: str, words: str):
        client, _ = served
        body = {"bars": records(market(1))}
        change(body)
        answer = client.post("/v1/predict/bars", json=body)
        assert answer.status_code == 422
        faults = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
        assert words in faults[pointer]

    def test_bars_without_any_session_are_an_error(self, served):
        client, _ = served
        bars = market(1)
        every = pd.date_range("2022-01-01", periods=4 * len(bars))
        bars["date"] = every[every.day_of_week > 4][: len(bars)]
        answer = client.post("/v1/predict/bars", json={"bars": records(bars)})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/bars")
        assert "190 rows on days without a session of XNYS" in answer.json()["detail"]

    def test_the_monitor_receives_requests_and_predictions(self, served):
        _, model = served
        seen = []

        class Watching:
            def observe(self, features, probabilities, dates):
                seen.append((features, probabilities, dates))

            def collect(self):
                from prometheus_client.core import GaugeMetricFamily

                yield GaugeMetricFamily("watched", "Calls.", value=len(seen))

        app = create_app(model, settings())
        app.state.observer.monitor = Watching()
        with TestClient(app) as client:
            rows = examples.rows(model.card, 5)
            predictions = client.post("/v1/predict", json={"rows": rows}).json()["predictions"]
            client.post("/v1/predict/bars", json={"bars": records(market(1))})
            assert "watched" in client.get("/metrics").text
        features = np.concatenate([one[0] for one in seen])
        assert features.shape == (3, *model.card.shape)
        np.testing.assert_array_equal(features[1, -1], np.array([*rows[4].values()], np.float32))
        np.testing.assert_allclose(seen[0][1][0], [*predictions[0]["probabilities"].values()], rtol=1e-6)
        assert [date < np.datetime64("today") for one in seen for date in one[2]] == [False, False, True]

    def test_a_monitor_that_fails_costs_no_answer(self, served):
        _, model = served

        class Broken:
            def observe(self, features, probabilities, dates):
                raise ValueError

            def collect(self):
                return []

        app = create_app(model, settings())
        app.state.observer.monitor = Broken()
        with TestClient(app) as client:
            assert client.post("/v1/predict", json={"rows": examples.rows(model.card, 5)}).status_code == 200

    def test_the_docs_page_needs_nothing_from_elsewhere(self, served):
        client, _ = served
        page = client.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert 'id="invalid-request"' in page.text
        for name in ("docs.js", "docs.css"):
            assert f'"/docs/{name}"' in page.text
            text = client.get(f"/docs/{name}").text
            assert "://" not in text
            assert "://" not in page.text
        assert client.get("/docs/..%2fapp.py").status_code == 404
        assert client.get("/docs/none.js").json()["type"] == "/docs#not-found"

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"content-type": "application/json; charset=utf-8"}, 200),
            ({"content-type": "APPLICATION/JSON"}, 200),
            ({"content-type": "text/plain"}, 415),
            ({}, 415),
            ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ],
    )
    def test_a_body_is_sent_as_json(self, served, headers, status: int):
        client, model = served
        body = json.dumps({"rows": examples.rows(model.card, 5)}).encode()
        assert client.post("/v1/predict", content=body, headers=headers).status_code == status

    def test_more_than_may_wait_is_refused(self, served):
        _, model = served
        limits = settings().limits
        limits.max_examples = limits.max_queued_examples = 2
        with TestClient(create_app(model, settings(limits=limits))) as client:
            answer = client.post("/v1/predict/bars", json={"bars": records(market(3))})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["type"] == "/docs#busy"

    def test_a_fault_of_ours_is_a_problem_without_its_words(self, served, monkeypatch):
        _, model = served
        app = create_app(model, settings())

        def fail(*args):
            raise ValueError("secret words")

        monkeypatch.setattr(model, "probabilities", fail)
        with TestClient(app, raise_server_exceptions=False) as client:
            answer = client.post("/v1/predict", json={"rows": examples.rows(model.card, 5)})
            assert (answer.status_code, answer.json()["type"]) == (500, "/docs#internal")
            assert "secret" not in answer.text


def test_a_model_that_contradicts_its_card_is_not_served(tmp_path: Path):
    tiny_model(tmp_path / "a.onnx")
    model = ServedModel(tmp_path / "a.onnx")
    other = ServedModel(tmp_path / "a.onnx")
    tiny_model(tmp_path / "b.onnx", view="flat")
    other.card = ServedModel(tmp_path / "b.onnx").card
    with pytest.raises(RunError, match=r"does not run on features \(21,\) of its card"):
        create_app(other, settings())
    tiny_model(tmp_path / "c.onnx", classes=2)
    other.card = ServedModel(tmp_path / "c.onnx").card
    with pytest.raises(RunError, match=r"returns \(2, 3\) .* expected probabilities of Downtrend, Uptrend"):
        create_app(other, settings())
    create_app(model, settings())


def test_a_file_that_changed_while_it_was_read_first_is_read_again(tmp_path: Path):
    path = tmp_path / "model.onnx"
    tiny_model(path, seed=0)
    model = ServedModel(path)
    tiny_model(path, seed=1)
    deployed = DeployedModel(validate_model(model, 4), 4, 1)
    swapped = []

    async def look() -> None:
        on_swap = lambda: swapped.append(deployed.current.model.version)  # noqa: E731
        task = asyncio.ensure_future(deployed.watch(lambda: path, 0.01, on_swap))
        for _ in range(500):
            await asyncio.sleep(0.01)
            if swapped:
                break
        task.cancel()

    asyncio.run(look())
    assert swapped == [ServedModel(path).version]
    assert deployed.swaps == 1
