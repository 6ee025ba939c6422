"""The dashboard: its JSON against the table, its headers, and the page in a browser."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from browser import open_browser
from monitored import WORLD, Monitored, monitored
from service import serving
from ste.config import PathSettings, ServeSettings, SyntheticSettings, TrackingSettings
from ste.data.storage.files import write_frame
from ste.inference.inputs import windows_of_rows
from ste.inference.onnx_model import ServedModel
from ste.schema import DIRECTION, RETURN
from ste.serving import dashboard_data as record
from ste.serving.api_keys import ApiKeys
from ste.serving.app import create_app
from ste.serving.dashboard import Dashboard
from ste.synthetic.generator import generate_market

PAGE = Path(record.__file__).parent / "page"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Monitored:
    """A model, and the market files of its world."""
    folder = tmp_path_factory.mktemp("page")
    made = monitored(folder / "model.onnx")
    market = generate_market(SyntheticSettings(**WORLD))
    for kind in ("bars", "news", "macro", "policy"):
        write_frame(getattr(market, kind), folder / f"{kind}.csv")
    return made


def files_of(tiny: Monitored) -> dict[str, str]:
    return {kind: str(tiny.path.parent / f"{kind}.csv") for kind in ("bars", "news", "macro", "policy")}


def settings(**changes: object) -> ServeSettings:
    return ServeSettings(TrackingSettings(), PathSettings(), **{"model": "model.onnx", **changes})


KEY = "k" * 16


@pytest.fixture(scope="module")
def app(tiny: Monitored) -> FastAPI:
    return create_app(tiny.model, settings(**files_of(tiny)), keys=ApiKeys([KEY]))


@pytest.fixture(scope="module")
def dashboard(app: FastAPI) -> Dashboard:
    content: Dashboard = app.state.dashboard
    assert content.refresh().state in ("computing", "ready")
    content.wait()
    assert content.refresh().state == "ready"
    return content


@pytest.fixture(scope="module")
def client(app: FastAPI, dashboard: Dashboard) -> Iterator[TestClient]:
    with TestClient(app, headers={"authorization": f"Bearer {KEY}"}) as opened:
        yield opened


# ---- what it shows


def test_the_history_of_a_ticker_equals_the_table(tiny: Monitored, dashboard: Dashboard):
    history = json.loads(dashboard.ticker("MSFT") or b"")
    own = tiny.table[tiny.table["ticker"] == "MSFT"]
    examples = windows_of_rows(own, tiny.model.card)
    probabilities = tiny.model.probabilities(examples.features)
    by_date = dict(zip(np.datetime_as_string(examples.date, "D"), probabilities, strict=True))
    at = {date: i for i, date in enumerate(history["dates"])}
    checked = 0
    for _, row in own.iterrows():
        date = f"{row['date']:%Y-%m-%d}"
        i = at[date]
        assert history["close"][i] == pytest.approx(row["stock_close"], abs=1e-4)
        assert history["outcome"][i] == row[DIRECTION]
        assert history["return"][i] == pytest.approx(row[RETURN], abs=1e-5)
        if date in by_date:
            assert history["p"][i] == pytest.approx(by_date[date].tolist(), abs=1e-4)
            checked += 1
    assert checked > 300


def test_training_weeks_are_marked_and_never_counted(tiny: Monitored, dashboard: Dashboard):
    history = json.loads(dashboard.ticker("AAPL") or b"")
    seen = history["training_periods"]
    assert history["dates"][seen - 1] <= tiny.model.card.trained_to < history["dates"][seen]
    right = [
        int(np.argmax(p)) == came
        for p, came in zip(history["p"][seen:], history["outcome"][seen:], strict=True)
        if p is not None and came is not None
    ]
    assert (history["record"]["correct"], history["record"]["examples"]) == (sum(right), len(right))
    share = history["record"]["accuracy"]
    assert share["low"] < share["value"] < share["high"]
    summary = json.loads(dashboard.summary())
    every = [
        json.loads(dashboard.ticker(one["ticker"]) or b"")["record"]
        for one in json.loads(dashboard.tickers())["tickers"]
    ]
    assert summary["record"]["examples"] == sum(one["examples"] for one in every)
    rate = sum(one["correct"] for one in every) / sum(one["examples"] for one in every)
    assert summary["record"]["accuracy"]["value"] == pytest.approx(rate)


def test_the_latest_prediction_is_of_the_last_week_without_an_outcome(tiny: Monitored, dashboard: Dashboard):
    for one in json.loads(dashboard.tickers())["tickers"]:
        history = json.loads(dashboard.ticker(one["ticker"]) or b"")
        assert one["latest"]["date"] == history["dates"][-1] > f"{tiny.table['date'].max():%Y-%m-%d}"
        assert history["outcome"][-1] is None
        assert one["latest"]["p"] == history["p"][-1]


def test_intervals_of_the_calibration_allow_for_weeks_that_move_together(tiny: Monitored):
    tested = record.tested_json(tiny.model.card)
    assert tested is not None
    accuracy = tested["accuracy"]
    alone = record.calibration(
        [{"confidence": 0.5, "accuracy": 0.4, "examples": 400}],
        record.Estimate(accuracy["value"]),
        tested["examples"],
    )
    wide = record.calibration(
        [{"confidence": 0.5, "accuracy": 0.4, "examples": 400}],
        record.Estimate(0.4, 0.3, 0.5),
        400,
    )
    assert wide[0]["high"] - wide[0]["low"] == pytest.approx(0.2, abs=0.01)  # as wide as the whole's own interval
    assert alone[0]["high"] - alone[0]["low"] < 0.11
    assert record.calibration([{"confidence": 0.5, "accuracy": 0.4, "examples": 3}], record.Estimate(0.4), 3) == []


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"method": "fixed", "threshold": 0.01, "lower": None}, "the next week's return below -1.0 % or above +1.0 %"),
        ({"method": "volatility", "threshold": 0.5}, "beyond 0.5 times the ticker's own volatility"),
        ({"method": "terciles", "cuts": [-0.012, 0.015]}, "below -1.2 % or above +1.5 %"),
        ({"method": "terciles"}, "terciles of the next week's return in training"),
    ],
)
def test_the_thresholds_are_described(tiny: Monitored, labels: dict[str, Any], words: str):
    assert words in record.thresholds_text(replace(tiny.model.card, labels=labels))


def test_without_bars_the_model_is_shown(tiny: Monitored):
    bare = Dashboard(settings(), lambda: tiny.model)
    summary = json.loads(bare.summary())
    assert summary["history"]["state"] == "none"
    assert summary["model"]["verdict"]["word"] == "better than guessing"
    assert summary["model"]["verdict"]["headline"] == "TinyLogistic is better than guessing."
    assert summary["tested"]["calibration"]
    assert (summary["record"], summary["drift"]) == (None, None)
    assert json.loads(bare.tickers())["tickers"] == []
    assert bare.ticker("AAPL") is None


def test_unreadable_bars_are_reported_and_the_service_runs(tiny: Monitored, tmp_path: Path):
    (tmp_path / "bars.csv").write_text("ticker,date,open,high,low,close,volume\nA,2020-01-03,1,1,1,x,1\n")
    broken = Dashboard(settings(bars=str(tmp_path / "bars.csv")), lambda: tiny.model)
    broken.refresh()
    broken.wait()
    summary = json.loads(broken.summary())
    assert summary["history"]["state"] == "failed"
    assert "column close" in summary["history"]["message"]
    assert summary["model"]["name"] == "TinyLogistic"


def test_a_new_model_gets_a_new_history(tiny: Monitored, tmp_path: Path):
    other = monitored(tmp_path / "other.onnx", length=None, trained_to="2019-12-27").model
    now: list[ServedModel] = [tiny.model]
    swapping = Dashboard(settings(bars=files_of(tiny)["bars"]), lambda: now[0])
    swapping.refresh()
    swapping.wait()
    first = json.loads(swapping.ticker("AAPL") or b"")
    now[0] = other
    assert swapping.refresh().state == "computing"
    swapping.wait()
    second = json.loads(swapping.ticker("AAPL") or b"")
    assert second["training_periods"] > first["training_periods"]
    assert json.loads(swapping.summary())["model"]["version"] == other.version


def test_the_drift_of_what_is_served_is_shown_where_there_is_any(tiny: Monitored, tmp_path: Path):
    app = create_app(tiny.model, settings(), lambda run_id: tmp_path / "counts.json")
    examples = windows_of_rows(tiny.table[tiny.table["date"] > "2021-06-01"], tiny.model.card)
    with TestClient(app) as client:
        assert client.get("/v1/page/summary").json()["drift"] is None
        app.state.observer.monitor.observe(
            examples.features, tiny.model.probabilities(examples.features), examples.date
        )
        drift = client.get("/v1/page/summary").json()["drift"]
        metrics = client.get("/metrics").text
    assert drift["source"] == "the requests of this service"
    assert drift["examples"] == app.state.observer.monitor.report().examples
    assert "ste_drift_psi{" in metrics


# ---- how it is sent


def test_nothing_is_run_but_the_service_s_own_files(client: TestClient):
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file
        assert "innerHTML" not in text
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page.text)


@pytest.mark.parametrize("path", ["/v1/page/ticker/NONE", "/page/index.html", "/page/..%2frecord.py", "/page/none.js"])
def test_what_is_not_there_is_not_found(client: TestClient, path: str):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_with_keys_the_page_opens_and_the_data_do_not(client: TestClient):
    for path in ("/", "/page/page.js", "/page/chart.js", "/page/style.css"):
        assert client.get(path, headers={"authorization": ""}).status_code == 200
    for path in ("/v1/page/summary", "/v1/page/tickers", "/v1/page/ticker/AAPL"):
        assert client.get(path, headers={"authorization": ""}).status_code == 401
        assert client.get(path).status_code == 200


# ---- in a browser


def arguments_of(tiny: Monitored) -> list[str]:
    return [f"{kind}={path}" for kind, path in files_of(tiny).items()]


@pytest.fixture(scope="module")
def service(tiny: Monitored) -> Iterator[Any]:
    with serving(tiny.path.parent, "model=model.onnx", *arguments_of(tiny)) as it:
        yield it


@pytest.fixture(scope="module")
def foreign(tiny: Monitored) -> Iterator[Any]:
    """A service whose bars are of another market than the model's, with tickers of the same names."""
    folder = tiny.path.parent
    write_frame(generate_market(SyntheticSettings(**{**WORLD, "seed": 6})).bars, folder / "foreign.csv")
    with serving(folder, "model=model.onnx", "bars=foreign.csv") as it:
        yield it


@pytest.fixture(scope="module")
def failed(tiny: Monitored, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service of a model of real bars, whose own bars are too short."""
    folder = tmp_path_factory.mktemp("failed")
    points = [f"Point {i}." for i in (1, 2, 3)]
    verdict = {"word": "better", "headline": "The headline.", "points": points, "details": ["Detail."]}
    monitored(folder / "model.onnx", data_source="market", verdict=verdict)
    write_frame(generate_market(SyntheticSettings(**WORLD)).bars.head(40), folder / "bars.csv")
    with serving(folder, "model=model.onnx", "bars=bars.csv") as it:
        yield it


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with open_browser(tmp_path / "profile") as driver:
        yield driver


def resize(browser: Any, width: int, scheme: str = "light") -> None:
    """Set the width of the page, also below the smallest window of the browser, and the color scheme of the system."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def overflow(browser: Any) -> int:
    """Pixels by which the page is wider than its window."""
    script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(browser.execute_script(script))


def text_of(browser: Any, name: str) -> str:
    """Text of an element, empty if it is hidden."""
    script = "const e = document.getElementById(arguments[0]); return e.checkVisibility() ? e.innerText : ''"
    return str(browser.execute_script(script, name))


def wait_for(browser: Any, script: str) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(f"return {script}"))


def test_choosing_a_ticker_shows_its_history(service: Any, browser: Any, dashboard: Dashboard):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys as Pressed
    from selenium.webdriver.support.ui import Select

    browser.get(f"http://127.0.0.1:{service.port}/")
    wait_for(browser, "document.querySelectorAll('#probabilities rect').length")
    assert browser.title == "TinyLogistic · STE"
    choice = Select(browser.find_element(By.ID, "ticker"))
    listed = [option.text for option in choice.options]
    assert listed == [one["ticker"] for one in json.loads(dashboard.tickers())["tickers"]]

    choice.select_by_visible_text(listed[2])
    wait_for(browser, f"document.getElementById('ticker-name').textContent === '{listed[2]}'")
    history = json.loads(dashboard.ticker(listed[2]) or b"")
    first = len(history["dates"]) - 156
    shown = [p for p in history["p"][first:] if p]
    assert len(browser.find_elements(By.CSS_SELECTOR, "#probabilities rect")) == 3 * len(shown)
    judged = [
        c
        for c, p in zip(
            history["outcome"][max(first, history["training_periods"]) :],
            history["p"][max(first, history["training_periods"]) :],
            strict=True,
        )
        if p
    ]
    marks = browser.find_elements(By.CSS_SELECTOR, "#marks circle")
    assert len(marks) == len(judged)
    rates = browser.find_element(By.ID, "newest").text
    for share in history["p"][-1]:
        assert f"{100 * share:.1f} %" in rates
    record = history["record"]
    text = browser.find_element(By.ID, "ticker-record").text
    assert f"{record['correct']} of {record['examples']} prediction" in text
    assert f"were correct: {100 * record['accuracy']['value']:.1f} %" in text
    assert f"[{100 * record['accuracy']['low']:.1f}, {100 * record['accuracy']['high']:.1f}]" in text
    assert "The outcome is not known yet" in browser.find_element(By.ID, "readout").text

    week = browser.find_element(By.ID, "week")  # the keyboard goes through the weeks
    week.send_keys(Pressed.ARROW_LEFT)
    readout = browser.find_element(By.ID, "readout").text
    assert ("right." in readout) or ("wrong, predicted" in readout)
    week.send_keys(Pressed.HOME)
    assert "training data" not in browser.find_element(By.ID, "readout").text or history["training_periods"] > first
    assert week.get_attribute("aria-valuetext") == browser.find_element(By.ID, "readout").text

    browser.find_element(By.CSS_SELECTOR, "#range-all + span").click()
    wait_for(browser, "Number(document.getElementById('week').min) === 0")
    week.send_keys(Pressed.HOME, *[Pressed.ARROW_RIGHT] * 40)
    assert "training data, not counted" in browser.find_element(By.ID, "readout").text
    assert browser.find_elements(By.CSS_SELECTOR, "#chart rect.training")

    browser.find_element(By.CSS_SELECTOR, "#table-details summary").click()
    rows = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")
    assert len(rows) == len(history["dates"])
    assert len(browser.find_elements(By.CSS_SELECTOR, "#table tr.training")) == history["training_periods"]
    browser.find_element(By.ID, "next").click()
    wait_for(browser, f"document.getElementById('ticker-name').textContent === '{listed[3]}'")
    assert browser.current_url.endswith(f"#{listed[3]}")


def test_the_record_the_calibration_and_the_verdict_are_there(service: Any, browser: Any, dashboard: Dashboard):
    from selenium.webdriver.common.by import By

    browser.get(f"http://127.0.0.1:{service.port}/")
    wait_for(browser, "document.querySelectorAll('#probabilities rect').length")
    summary = json.loads(dashboard.summary())
    accuracy = summary["record"]["accuracy"]
    assert f"{100 * accuracy['value']:.1f} % [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]" in (
        browser.find_element(By.ID, "rates").text
    )
    assert browser.find_element(By.ID, "record-summary").text == summary["record"]["summary"]
    assert len(browser.find_elements(By.CSS_SELECTOR, "#calibration circle")) == len(summary["record"]["calibration"])
    assert browser.find_element(By.ID, "verdict-word").text == "better than guessing"
    assert summary["drift"]["reason"] in browser.find_element(By.ID, "drift-summary").text


def test_pasted_bars_are_predicted_on_a_phone_and_a_mistake_is_shown(service: Any, browser: Any, tiny: Monitored):
    from selenium.webdriver.common.by import By

    resize(browser, 390)
    browser.get(f"http://127.0.0.1:{service.port}/")
    wait_for(browser, "document.querySelectorAll('#probabilities rect').length")
    assert overflow(browser) == 0
    bars = (tiny.path.parent / "bars.csv").read_text().splitlines()
    own = "\n".join([bars[0], *[line for line in bars[1:] if line.startswith("MSFT")][-200:]])
    put = "document.getElementById('own-bars').value = arguments[0]; document.getElementById('own-send').click()"
    browser.execute_script(put, own)
    wait_for(browser, "document.querySelectorAll('#own-result tbody tr').length === 1")
    assert browser.find_element(By.CSS_SELECTOR, "#own-result tbody th").text == "MSFT"
    browser.execute_script(put, own.replace("close", "clothes", 1))
    wait_for(browser, "document.querySelector('#own-result .alert')")
    assert "missing: close" in browser.find_element(By.ID, "own-result").text
    lines = own.splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0] + ",many"
    browser.execute_script(put, "\n".join(lines))
    wait_for(browser, "document.getElementById('own-result').textContent.includes('many')")
    assert 'Line 4: volume is "many"' in browser.find_element(By.ID, "own-result").text


READY = "document.querySelectorAll('#probabilities rect').length"


def test_a_model_of_a_synthetic_market_has_a_banner_and_others_have_none(service: Any, failed: Any, browser: Any):
    browser.get(f"http://127.0.0.1:{service.port}/")
    wait_for(browser, READY)
    warning = "This model was trained on a synthetic market: its predictions say nothing about real stocks."
    assert text_of(browser, "warning") == warning
    assert "a synthetic market (data=world)" in text_of(browser, "facts")
    assert f"warning: {warning}" in " ".join(service.output.split())
    browser.get(f"http://127.0.0.1:{failed.port}/")
    wait_for(browser, "!document.getElementById('loaded').hidden")
    assert text_of(browser, "warning") == ""
    assert "synthetic" not in browser.execute_script("return document.body.innerText") + failed.output


def test_weeks_of_another_market_are_not_shaded(foreign: Any, browser: Any):
    browser.get(f"http://127.0.0.1:{foreign.port}/")
    wait_for(browser, READY)
    browser.execute_script("document.getElementById('range-all').click()")
    wait_for(browser, "Number(document.getElementById('week').min) === 0")
    assert browser.execute_script("return document.querySelectorAll('#chart rect.training, #chart .faded').length") == 0
    assert browser.execute_script("return document.getElementById('legend-training').hidden")
    predicted = browser.execute_script(f"return {READY}") / 3
    marks = browser.execute_script("return document.querySelectorAll('#marks circle, #marks line').length")
    assert marks == predicted
    record = text_of(browser, "ticker-record")
    assert re.match(rf"Out of sample, \d+ of {predicted - 1:.0f} predictions for", record)  # the last is still open


def test_bars_that_cannot_be_used_are_explained(failed: Any, browser: Any):
    browser.get(f"http://127.0.0.1:{failed.port}/")
    wait_for(browser, "document.getElementById('status').classList.contains('alert')")
    assert text_of(browser, "status").startswith(
        "There are no past predictions: bars: found 1 ticker, the longest with 40 sessions. A prediction needs 3 "
    )
    assert text_of(browser, "history") == ""
    assert "There are no later outcomes, see above." in text_of(browser, "record-summary")
    assert "without bars" not in browser.execute_script("return document.body.innerText")


def test_the_verdict_is_a_headline_and_points_and_its_details_are_folded(failed: Any, browser: Any):
    browser.get(f"http://127.0.0.1:{failed.port}/")
    wait_for(browser, "!document.getElementById('loaded').hidden")
    assert text_of(browser, "verdict-headline") == "The headline."
    assert text_of(browser, "verdict-points").split("\n") == ["Point 1.", "Point 2.", "Point 3."]
    assert not browser.execute_script("return document.getElementById('verdict-details').open")
    browser.execute_script("document.querySelector('#verdict-details summary').click()")
    assert text_of(browser, "verdict-rest") == "Detail."


def test_while_the_history_is_computed_the_page_waits_without_being_drawn_again(service: Any, browser: Any):
    computing = """
        const real = window.fetch;
        window.summaries = 0;
        window.fetch = async (path, ...rest) => {
          const response = await real(path, ...rest);
          if (path !== "/v1/page/summary" || ++window.summaries > 3) return response;
          const content = await response.json();
          const history = { state: "computing", message: "" };
          Object.assign(content, { history, record: null, drift: null, notes: [] });
          return new Response(JSON.stringify(content));
        };
    """
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": computing})
    browser.get(f"http://127.0.0.1:{service.port}/")
    wait_for(browser, "document.getElementById('facts').children.length")
    assert "are being computed. They appear here" in text_of(browser, "status")
    assert "busy" in browser.execute_script("return document.getElementById('status').className")
    assert "Later outcomes are being computed." in text_of(browser, "record-summary")
    assert "without bars" not in browser.execute_script("return document.body.innerText")
    browser.execute_script("document.getElementById('facts').firstChild.id = 'first-drawn'")
    wait_for(browser, "window.summaries === 3")
    assert browser.execute_script("return document.getElementById('first-drawn') !== null")
    wait_for(browser, READY)
    assert text_of(browser, "status") == ""


def test_a_replaced_model_is_shown_when_its_history_is_ready(service: Any, browser: Any):
    replaced = """
        const real = window.fetch;
        let summaries = 0;
        window.replaced = false;
        window.fetch = async (path, ...rest) => {
          const gone = window.replaced && summaries < 2 && path.startsWith("/v1/page/ticker/");
          if (gone) return new Response("{}", { status: 404 });
          const response = await real(path, ...rest);
          if (!window.replaced || path !== "/v1/page/summary") return response;
          const content = await response.json();
          content.model.version = "replacement";
          if (++summaries < 2) Object.assign(content, { history: { state: "computing", message: "" }, record: null });
          return new Response(JSON.stringify(content));
        };
    """
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": replaced})
    browser.get(f"http://127.0.0.1:{service.port}/")
    wait_for(browser, READY)
    browser.execute_script("window.replaced = true; document.getElementById('next').click()")
    wait_for(browser, "document.getElementById('subtitle').textContent.endsWith('version replacement')")
    wait_for(browser, "document.getElementById('status').hidden && !document.getElementById('history').hidden")
    assert text_of(browser, "alert") == ""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_no_page_is_wider_than_its_window_and_both_follow_the_color_scheme(
    service: Any, browser: Any, path: str, width: int
):
    shades = {}
    for scheme in ("light", "dark"):
        resize(browser, width, scheme)
        browser.get(f"http://127.0.0.1:{service.port}{path}")
        wait_for(browser, READY if path == "/" else "document.querySelectorAll('section').length")
        browser.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
        assert overflow(browser) == 0
        colors = """
            const shown = [document.documentElement, document.body].map((one) => getComputedStyle(one));
            const paper = shown.map((one) => one.backgroundColor).find((color) => !color.endsWith(", 0)"));
            return [paper, shown[1].color];
        """
        shades[scheme] = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in browser.execute_script(colors)]
    bright, dark = 600, 150  # sums of red, green and blue
    assert shades["light"][0] > bright
    assert shades["light"][1] < dark
    assert shades["dark"][0] < dark
    assert shades["dark"][1] > bright


def focused_controls(browser: Any) -> list[str]:
    """Press Tab through the page: the name of each control, all of which must show their focus."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys as Pressed

    shown = """
        const element = document.activeElement;
        if (element === document.body) return null;
        const drawn = [element, element.nextElementSibling].filter(Boolean).map((one) => getComputedStyle(one));
        const name = element.id || element.textContent.trim();
        return [name, drawn.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1)];
    """
    names: list[str] = []
    for _ in range(80):
        ActionChains(browser).send_keys(Pressed.TAB).perform()
        found = browser.execute_script(shown)
        if found is None:
            return names
        assert found[1], f"{found[0]} does not show its focus"
        names.append(found[0])
    raise AssertionError(names)


def test_every_control_of_the_dashboard_is_reached_by_the_keyboard(service: Any, browser: Any):
    browser.get(f"http://127.0.0.1:{service.port}/")
    wait_for(browser, READY)
    names = focused_controls(browser)
    controls = ["chip", "previous", "ticker", "next", "range-3", "week", "own-bars", "own-file", "own-send"]
    assert names[0] == "Skip to the content"
    assert [name for name in names if name in controls] == controls
    assert {"As a table", "Compared columns", "API documentation"} <= set(names)


def test_every_control_of_the_documentation_is_reached_by_the_keyboard(service: Any, browser: Any):
    browser.get(f"http://127.0.0.1:{service.port}/docs")
    wait_for(browser, "document.querySelectorAll('section button').length === 6")
    assert focused_controls(browser).count("Send") == 6
