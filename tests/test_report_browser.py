"""The report and the leaderboard in a browser: what is seen first, on a desk and on a phone, in light and dark."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from browser import open_browser
from conftest import SMALL_WORLD
from ste.evaluation.scorecard import Gain
from ste.evaluation.verdict import judge
from ste.reporting.html.leaderboard import Board, render_leaderboard
from ste.reporting.html.report_page import render_report
from test_pages import CARD, estimate, report, row, scorecard

DESK, PHONE = (1280, 800), (390, 844)
MIN_FONT = 9.5  # pixels of a text that can be read on a phone


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of a synthetic and one of a real market with six baselines and all charts, and a leaderboard."""
    folder = tmp_path_factory.mktemp("pages")
    names = ("majority", "persistence", "volatility", "linear", "boosting", "momentum")
    baselines = {name: {"accuracy": estimate(0.37), "log_loss": estimate(1.09)} for name in names}
    gains = {name: {key: Gain(0.06, 0.03, 0.09, 0.0004) for key in ("accuracy", "log_loss")} for name in names}
    texts = {}
    for source, optimum in (("world", {"bayes": {"accuracy": estimate(0.47)}}), ("market", {})):
        scored = scorecard(baselines=baselines | optimum, gains=gains)
        scores = {"train": scored, "validation": scored, "test": scored}
        verdict = judge(scored, "SimpleLSTM", synthetic=source == "world")
        texts[source] = render_report(report(card=CARD | {"source": source}, scores=scores, verdict=verdict))
    word = "better than guessing"
    rows = [
        row(name, 1 + k / 10, word=word if k else "not better") for k, name in enumerate(("beta", "alpha", "gamma"))
    ]
    figures = rows[2].figures | {"accuracy": estimate(0.9)}
    board = Board("e", [*rows[:2], replace(rows[2], model="MLP", figures=figures)], trials=3)
    texts["leaderboard"] = render_leaderboard(board)
    paths = {}
    for name, text in texts.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(text, encoding="utf-8")
    return paths


def show(browser: Any, page: Path, size: tuple[int, int], scheme: str = "light") -> None:
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(page.as_uri())
    assert browser.execute_script("return [innerWidth, innerHeight]") == [width, height]


def boxes(browser: Any, selector: str) -> list[dict[str, float]]:
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => "
        "{const b = e.getBoundingClientRect(); return {top: b.top, bottom: b.bottom, left: b.left, right: b.right}})",
        selector,
    )


def assert_first_screen(browser: Any) -> None:
    """The verdict and two charts are completely visible without scrolling."""
    (verdict,) = boxes(browser, "#verdict")
    assert 0 <= verdict["top"] < verdict["bottom"] < 300
    seen = [box for box in boxes(browser, "svg.figure") if box["top"] >= 0 and box["bottom"] <= DESK[1]]
    assert len(seen) == 2
    assert seen[0]["right"] < seen[1]["left"]


def assert_three_screens(browser: Any) -> None:
    (details,) = boxes(browser, "#details")
    assert details["top"] <= 3 * DESK[1]
    hidden = browser.execute_script("return [...document.querySelectorAll('details.more')].map(e => e.open)")
    assert len(hidden) >= 7
    assert not any(hidden)


def assert_fits(browser: Any) -> None:
    """Nothing is wider than the phone: tables scroll in their own boxes; the text of charts can be read."""
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(wide) == 0
    browser.execute_script("for (const e of document.querySelectorAll('details')) e.open = true")
    assert browser.execute_script(wide) == 0
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('svg.figure')].filter(e => e.checkVisibility()).flatMap(svg => "
        "[...svg.querySelectorAll('text')].map(t => parseFloat(getComputedStyle(t).fontSize) * svg.getScreenCTM().a))"
    )
    assert sizes
    assert min(sizes) >= MIN_FONT


@pytest.mark.parametrize("name", ["world", "market"])
def test_a_report_starts_with_the_verdict_and_two_charts(browser: Any, pages: dict[str, Path], name: str):
    show(browser, pages[name], DESK)
    assert_first_screen(browser)
    assert_three_screens(browser)
    labels = browser.execute_script(
        "return [...document.querySelectorAll('#overview svg')].map(e => e.getAttribute('aria-label'))"
    )
    assert labels[0].startswith("Accuracy on the test split")
    assert labels[1].startswith("Value of 1 invested" if name == "market" else "Training and validation figures")
    (navigation,) = boxes(browser, "nav.contents")
    assert navigation["right"] < boxes(browser, "#verdict")[0]["left"]
    browser.execute_script("window.scrollTo(0, 1500)")
    assert boxes(browser, "nav.contents")[0]["top"] == 0  # it stays
    browser.execute_script("window.scrollTo(0, 0)")


def test_a_link_opens_the_details_that_it_names(browser: Any, pages: dict[str, Path]):
    show(browser, pages["market"], DESK)
    assert not boxes(browser, "#data table")
    browser.execute_script("document.querySelector('a[href=\"#data\"]').click()")
    assert boxes(browser, "#data table")


@pytest.mark.parametrize("name", ["world", "market", "leaderboard"])
def test_a_page_fits_a_phone(browser: Any, pages: dict[str, Path], name: str):
    show(browser, pages[name], PHONE)
    assert_fits(browser)


@pytest.mark.parametrize("name", ["world", "leaderboard"])
def test_a_page_is_dark_where_the_reader_s_screen_is(browser: Any, pages: dict[str, Path], name: str):
    lightness = {}
    for scheme in ("light", "dark"):
        show(browser, pages[name], DESK, scheme)
        read = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        paper, ink = (
            sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 / 255 for colour in browser.execute_script(read)
        )
        lightness[scheme] = paper
        assert abs(paper - ink) > 0.7
    assert lightness["dark"] < 0.15
    assert lightness["light"] > 0.85


def shown_runs(browser: Any) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('#board tbody tr')].filter(e => !e.hidden)"
        ".map(e => e.querySelector('.id').textContent)"
    )


def test_a_leaderboard_shows_run_ids_sorts_and_filters(browser: Any, pages: dict[str, Path]):
    show(browser, pages["leaderboard"], DESK)
    assert shown_runs(browser) == ["id-beta", "id-alpha", "id-gamma"]
    assert "id-alpha (GRU) has the better verdict" in browser.execute_script("return document.body.innerText")
    assert len(boxes(browser, "svg.figure")) == 1
    click = "document.querySelectorAll('#board th button')[arguments[0]].click()"
    browser.execute_script(click, 4)  # accuracy, the best first
    assert shown_runs(browser)[0] == "id-gamma"
    browser.execute_script(click, 1)  # run, in alphabetical order
    assert shown_runs(browser) == ["id-alpha", "id-beta", "id-gamma"]
    search = "const f = document.getElementById('filter'); f.value = arguments[0]; f.dispatchEvent(new Event('input'))"
    browser.execute_script(search, "id-al")
    assert shown_runs(browser) == ["id-alpha"]
    browser.execute_script(search, "better guessing MLP")
    assert shown_runs(browser) == ["id-gamma"]
    assert browser.execute_script("return document.getElementById('shown').textContent") == "1 of 3"


def test_the_pages_of_a_finished_run(browser: Any, folder: Path, call: Callable[..., tuple[int, str, str]]):
    for model in ("dual_tower", "majority"):
        code, _, errors = call("train", f"model={model}", *SMALL_WORLD)
        assert code == 0, errors
    code, _, errors = call("report", "run=best")
    assert code == 0, errors
    assert "Best by validation log-loss: " in errors
    code, printed, errors = call("compare")
    assert code == 0, errors
    (best,) = {path.stem for path in Path("outputs/reports").glob("*.html") if not path.stem.startswith("leaderboard")}
    assert re.search(rf"(?m)^1  {best[:8]}  ", printed)
    assert max(map(len, printed.splitlines())) <= 80 + len(str(folder))  # the path of the page is one word
    show(browser, folder / f"outputs/reports/{best}.html", DESK)
    assert_first_screen(browser)
    assert_three_screens(browser)
    show(browser, folder / f"outputs/reports/{best}.html", PHONE)
    assert_fits(browser)
    show(browser, folder / "outputs/reports/leaderboard-ste.html", PHONE)
    assert_fits(browser)
    assert shown_runs(browser)[0] == best[:8]
    links = browser.execute_script("return [...document.querySelectorAll('#board a')].map(e => e.getAttribute('href'))")
    assert links[0] == f"{best}.html"
    assert links[1].endswith(f"/runs/{best}")
