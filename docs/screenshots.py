"""Make the pictures of `docs/images/screens`: `python -m docs.screenshots`, or `make screenshots`.

Trains a few small models on the default synthetic market in a temporary folder, and photographs what a user sees: the
terminal (80 by 24), a run's report, the leaderboard, the service's dashboard, the runs in MLflow and this
documentation, at 1280 and 390 pixels, light and dark. Needs Chromium and its driver, and `make docs` before.
"""

import argparse
import base64
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from ste.config import SyntheticSettings
from ste.config.load import compose_command, to_dict
from ste.data.storage.files import write_frame
from ste.synthetic.generator import generate_market

ROWS, COLUMNS = 24, 80
SIZES = {1280: 800, 390: 844}
"""Width and height of the windows, pixels."""
SCHEMES = ("light", "dark")
_QUALITY = 82

ASSISTANT = '[data-component-id="mlflow.assistant.chat_panel.close"]'
"""Button that closes the panel which MLflow opens at a first visit."""

Command = tuple[str, ...]
TRAIN: Command = ("ste.train", "model=lstm")
SWEEP: Command = ("ste.train", "-m", "model=dual_tower,logistic", "optimizer.lr=0.001,0.01")
COMPARE: Command = ("ste.compare",)


class Browser:
    """Headless Chromium.

    Args:
        folder: for the pictures.
    """

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(argument)
        self._driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self._folder = folder

    def picture(
        self, name: str, address: str, seconds: float = 1.0, schemes: Sequence[str] = SCHEMES, close: str = ""
    ) -> None:
        """Photograph a page at every size and in every color scheme.

        Args:
            name: of the files.
            address: URL.
            seconds: until the page is drawn.
            schemes: `light`, `dark` or both.
            close: selector of a button to press first.
        """
        for width, height in SIZES.items():
            for scheme in schemes:
                self._resize(width, height, scheme)
                self._driver.get(address)
                self._driver.execute_script("localStorage.clear()")  # the scheme of an earlier visit
                self._driver.get(address)
                time.sleep(seconds)
                if close:
                    self._driver.execute_script("document.querySelector(arguments[0])?.click()", close)
                    time.sleep(seconds / 2)
                self._save(f"{name}-{width}-{scheme}")

    def terminal(self, name: str, output: str) -> None:
        """Photograph the last lines of a terminal's output."""
        console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
        for line in output.rstrip().splitlines()[-ROWS:]:
            console.print(Text.from_ansi(line), soft_wrap=True)
        page = console.export_html(theme=DIMMED_MONOKAI, inline_styles=True)
        page = re.sub("<body[^>]*>", '<body style="background: #191919; margin: 12px; color: #d9d9d9">', page)
        self._resize(12 * 2 + 10 * COLUMNS, 12 * 2 + 19 * ROWS, "dark")
        self._driver.get("data:text/html;base64," + base64.b64encode(page.encode()).decode())
        self._save(f"{name}-terminal")

    def close(self) -> None:
        """End the browser."""
        self._driver.quit()

    def _resize(self, width: int, height: int, scheme: str) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def _save(self, name: str) -> None:
        taken = self._driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": _QUALITY})
        (self._folder / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))
        print(self._folder / f"{name}.webp")


def run(command: Command, folder: Path) -> str:
    """Run a command in a folder and return what a terminal of 80 columns shows after it.

    Raises:
        SystemExit: it failed; the message is its output.
    """
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    typed = [sys.executable, "-m", *command]
    done = subprocess.run(typed, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return f"$ {shlex.join(['python', '-m', *command])}\n{done.stdout}"


@contextmanager
def server(command: Command, folder: Path) -> Iterator[str]:
    """Run a command that serves pages, and yield the address that it prints."""
    with subprocess.Popen([sys.executable, "-m", *command], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_market(folder: Path) -> list[str]:
    """Write the files of the default synthetic market, and return the overrides that name them."""
    settings = to_dict(compose_command("generate", ["data=world"]))["data"]
    market = generate_market(SyntheticSettings(**{name: settings[name] for name in ("source", "seed", "signal")}))
    for kind in ("bars", "news", "macro", "policy"):
        write_frame(getattr(market, kind), folder / f"{kind}.csv")
    return [f"{kind}={kind}.csv" for kind in ("bars", "news", "macro", "policy")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all pictures."""
    root = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=root / "docs" / "images" / "screens")
    pictures = parser.parse_args(arguments).folder.resolve()
    pictures.mkdir(parents=True, exist_ok=True)
    browser = Browser(pictures)
    try:
        with tempfile.TemporaryDirectory() as name:
            _take(browser, Path(name))
        browser.picture("docs", (root / "outputs" / "site" / "index.html").as_uri())
    finally:
        browser.close()


def _take(browser: Browser, folder: Path) -> None:
    browser.terminal("train", run(TRAIN, folder))
    browser.terminal("sweep", run(SWEEP, folder))
    run(("ste.report", "run=latest"), folder)
    run(("ste.report", "run=best"), folder)
    browser.terminal("compare", run(COMPARE, folder))
    reports = folder / "outputs" / "reports"
    newest = max((path for path in reports.glob("*.html") if "leaderboard" not in path.name), key=os.path.getmtime)
    browser.picture("report", newest.as_uri())
    browser.picture("leaderboard", next(reports.glob("leaderboard-*.html")).as_uri())
    port = free_port()
    with server(("ste.ui", f"port={port}", "browser=false"), folder) as address:
        browser.picture("mlflow", address, seconds=6.0, schemes=("light",), close=ASSISTANT)
    run(("ste.export", "run=best", "output=model.onnx"), folder)
    bars = write_market(folder)
    with server(("ste.serve", "model=model.onnx", "port=0", *bars), folder) as address:
        browser.picture("dashboard", address, seconds=8.0)


if __name__ == "__main__":
    main()
