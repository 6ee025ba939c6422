"""A headless browser without a network, for tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@contextmanager
def open_browser(profile: Path, size: tuple[int, int] = (1100, 1400), *, strict: bool = True) -> Iterator[Any]:
    """Open a browser that reaches this machine alone.

    Args:
        profile: folder of the browser's own files.
        size: of the window, pixels.
        strict: a page that complains fails the test.
    """
    webdriver = pytest.importorskip("selenium.webdriver")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium with its driver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no network but the service
        f"--user-data-dir={profile}",
        f"--window-size={size[0]},{size[1]}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.implicitly_wait(20)
    try:
        yield driver
        complaints = [line for line in driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    finally:
        driver.quit()
    assert not strict or complaints == []
