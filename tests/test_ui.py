"""The MLflow UI: the address that the command prints, and what a browser shows there."""

import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import open_browser
from ste import ui
from ste.config import PathSettings, TrackingSettings, UiSettings
from ste.tracking.store import create_store, experiment_id, open_store

COLUMNS = ("verdict", "accuracy", "interval", "log-loss", "model", "data")


def settings(*, browser: bool = True) -> UiSettings:
    return UiSettings(TrackingSettings(), PathSettings(), browser=browser)


@pytest.mark.parametrize(
    ("browser", "terminal", "display", "opened"),
    [(True, True, ":0", True), (False, True, ":0", False), (True, False, ":0", False), (True, True, "", False)],
)
def test_a_browser_opens_at_a_terminal_with_a_display_unless_it_is_off(
    monkeypatch, capsys, browser: bool, terminal: bool, display: str, opened: bool
):
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", asked.append)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    ui._show("http://127.0.0.1:5000/#/x", settings(browser=browser))
    assert asked == (["http://127.0.0.1:5000/#/x"] if opened else [])
    assert capsys.readouterr().out == "runs: http://127.0.0.1:5000/#/x\n"


def test_a_browser_that_cannot_be_opened_is_no_error(monkeypatch, capsys):
    def fail(url: str) -> None:
        raise webbrowser.Error("none")

    monkeypatch.setattr(webbrowser, "open", fail)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    ui._show("http://127.0.0.1:5000/#/x", settings())
    assert "runs: http" in capsys.readouterr().out


def command(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, "-m", "ste.ui", *arguments], cwd=folder, **pipes)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(process: "subprocess.Popen[str]") -> tuple[str, list[str]]:
    """The printed address, and the lines before it."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("runs: "):
            return line.removeprefix("runs: ").strip(), lines
        lines.append(line)
    pytest.fail("".join(lines))


@pytest.mark.slow
def test_an_experiment_without_runs_and_one_that_is_missing_are_reported(tmp_path: Path):
    experiment_id(create_store(TrackingSettings(), tmp_path / "outputs"), "ste")
    missing = command(tmp_path, "tracking.experiment=other")
    assert "tracking.experiment=other: no such experiment. There are: ste." in missing.communicate()[0]
    assert missing.returncode == 2
    port = free_port()
    empty = command(tmp_path, f"port={port}")
    try:
        _, lines = address(empty)
        assert "experiment ste has no run yet. Try python -m ste.train model=lstm.\n" in lines
    finally:
        empty.send_signal(signal.SIGTERM)
        empty.communicate()
    assert empty.returncode == 143
    with socket.socket() as probe:  # the server has ended too
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the UI on a run and a sweep, and their folder."""
    folder = tmp_path_factory.mktemp("ui")
    quick = ["data=seed", "trainer.max_epochs=2", "scoring.resamples=100", "trainer.threads=1"]
    for arguments in (["model=dual_tower"], ["-m", "model=dual_tower,logistic"]):
        subprocess.run([sys.executable, "-m", "ste.train", *arguments, *quick], cwd=folder, check=True)
    process = command(folder, f"port={free_port()}")
    yield address(process)[0], folder
    process.send_signal(signal.SIGTERM)  # Ctrl-C is ignored where the tests run in the background of a shell
    process.communicate()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with open_browser(tmp_path / "profile", (1600, 900), strict=False) as driver:  # MLflow's pages complain
        yield driver


def wait_for(browser: Any, *words: str) -> str:
    """The text of the page, as soon as it has all words."""
    from selenium.webdriver.support.ui import WebDriverWait

    def text(driver: Any) -> str:
        return str(driver.execute_script("return document.body.innerText"))

    WebDriverWait(browser, 60).until(lambda driver: all(word in text(driver) for word in words), message=str(words))
    return text(browser)


@pytest.mark.slow
def test_the_printed_address_shows_the_six_columns_of_every_run(served: tuple[str, Path], browser: Any):
    url, folder = served
    client = open_store(TrackingSettings(), folder / "outputs")
    run = client.search_runs(["1"], "tags.model = 'DualTowerModel' and attributes.run_name LIKE '%seed%'")[0]
    values = [run.data.tags[column] for column in COLUMNS if column in run.data.tags]
    assert len(values) >= len(COLUMNS) - 1  # 12 rows may have no interval
    browser.get(url)
    wait_for(browser, *COLUMNS, *values, "none: grid of 2 trials", "Model training")


@pytest.mark.slow
def test_the_note_of_a_sweep_leads_to_its_charts(served: tuple[str, Path], browser: Any):
    from selenium.webdriver.common.by import By

    url, folder = served
    client = open_store(TrackingSettings(), folder / "outputs")
    (parent,) = client.search_runs(["1"], "tags.sweep = 'grid'")
    browser.get(f"{url.split('#')[0]}#/experiments/1/runs/{parent.info.run_id}")
    wait_for(browser, "Charts of the trials")
    browser.find_element(By.PARTIAL_LINK_TEXT, "Charts of the trials").click()
    browser.switch_to.window(browser.window_handles[-1])  # MLflow opens links of a note in a new tab
    text = wait_for(browser, f"Sweep: {parent.info.run_name}"[:20], "dual_tower", "logistic", "sweep.model")
    assert "grid seed" not in text.splitlines()  # the sweep's own run is no trial
