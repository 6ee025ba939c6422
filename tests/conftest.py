"""Shared by all tests.

pytest            the fast tests
pytest -m slow    the slow tests
pytest -n auto    on all cores
"""

import gc
import importlib
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from runs import compose_values
from ste.config import TrainSettings
from ste.config.load import load_settings
from ste.training.callbacks import last_checkpoint

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a background job ignores Ctrl-C, and so would its children
    signal.signal(signal.SIGINT, signal.default_int_handler)


settings.register_profile("ste", deadline=None, max_examples=50)  # no test measures time
settings.load_profile("ste")

MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 8 * 2**30:  # SQLite waits for a disk at every commit
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

SMALL_WORLD = [
    "data.tickers=4",
    "data.start=2018-01-01",
    "data.end=2021-12-31",
    "data.split.validation_start=2020-06-01",
    "data.split.test_start=2021-06-01",
    "data.batch_size=64",
    "trainer.max_epochs=3",
    "trainer.threads=1",
    "trainer.enable_progress_bar=false",
    "scoring.resamples=200",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of an LSTM in bfloat16 on a processor for which torch has none."""
    named = [item for item in items if "bf16" in item.name]
    if named and not _has_bf16_lstm():
        for item in named:
            item.add_marker(pytest.mark.skip(reason="torch has no LSTM in bfloat16 for this processor"))


def pytest_collection_finish() -> None:
    """Leave the imported objects to themselves: full collections of them were a fifth of the processor time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def _has_bf16_lstm() -> bool:
    try:
        with torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(2, 2)(torch.zeros(1, 1, 2))
    except RuntimeError:
        return False
    return True


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Remove the handlers that a command adds when a test calls it: their files and streams end with the test."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        handler.close()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Limit torch to one thread: several test processes with several threads each would spin against each other."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _every_epoch_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save every epoch, so that a stopped run of short epochs has a checkpoint to resume from."""
    monkeypatch.setattr(last_checkpoint, "INTERVAL", 0.0)


@pytest.fixture(scope="session", autouse=True)
def _requirements_are_not_compared() -> Iterator[None]:
    """Skip MLflow's comparison of a saved model's requirements with the environment, 0.3 s for each run."""
    with pytest.MonkeyPatch.context() as patch:
        name = "mlflow.utils.environment.warn_dependency_requirement_mismatches"
        patch.setattr(name, lambda requirements: None, raising=False)
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


Prepared = tuple[TrainSettings, dict[str, Any]]


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small market's tables, which are the same in every test."""
    return tmp_path_factory.mktemp("tables")


@pytest.fixture
def small(folder: Path, tables: Path) -> Callable[..., Prepared]:
    """Make settings of a training run on a small market in the test's folder, with overrides on top.

    Its tables are those of other tests, unless they have a format of their own.
    """

    def settings(*overrides: str, world: bool = True) -> Prepared:
        shared = world and not any(text.startswith("data.format=") for text in overrides)
        given = [*(SMALL_WORLD if world else SMALL_WORLD[6:]), *([f"paths.data={tables}"] if shared else [])]
        values = compose_values(*given, *overrides)
        return load_settings(TrainSettings, values), values

    return settings


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call a command in this process and in the test's folder: `call("train", "model=lstm")`.

    Returns exit code, standard output and standard error.
    """

    def run(command: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ste", *arguments])
        capsys.readouterr()
        code = 0
        try:
            importlib.import_module(f"ste.{command}").main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run
