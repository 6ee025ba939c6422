"""The documentation site: it is built without a warning, and read in a browser without a network."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import open_browser

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with open_browser(tmp_path / "profile") as driver:
        yield driver


def show(browser: Any, page: Path, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_the_site_is_readable_in_every_window_and_scheme(
    site: Path, browser: Any, width: int, scheme: str, bright: bool
):
    show(browser, site / "index.html", width, scheme)
    assert browser.find_element("tag name", "h1").text.startswith("STE, the Stock Trend Estimator")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    color = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    red = int(color.split("(")[1].split(",")[0])
    assert (red > 200) is bright


def test_the_pages_from_the_code_and_the_pictures_are_there(site: Path, browser: Any):
    show(browser, site / "all_settings.html", 1280, "light")
    assert "model.hidden_size" in browser.find_element("tag name", "article").text
    show(browser, site / "api.html", 1280, "light")
    assert "compose_command" in browser.find_element("tag name", "article").text
    show(browser, site / "screens.html", 1280, "light")
    widths = browser.execute_script("return [...document.querySelectorAll('article img')].map(i => i.naturalWidth)")
    assert len(widths) > 15
    assert min(widths) > 0


def test_the_search_works_from_disk(site: Path, browser: Any):
    show(browser, site / "index.html", 1280, "light")
    field = browser.find_element("css selector", ".md-search__input")
    browser.execute_script("arguments[0].focus()", field)
    field.send_keys("purge")
    assert "purge" in browser.find_element("css selector", ".md-search-result__item").text.lower()
