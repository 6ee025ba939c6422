import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ste.loading import loading


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def a_module(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    name = f"made_for_{folder.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_nothing_is_collected_within_and_what_came_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = a_module(tmp_path, monkeypatch, "import gc\nwithin = gc.isenabled()\nmade = [[i] for i in range(1000)]\n")
    before = gc.get_freeze_count()
    with loading():
        module = __import__(name)
    assert module.within is False
    assert gc.isenabled()
    assert gc.get_freeze_count() > before + 1000


def test_what_became_garbage_is_not_kept_where_nothing_was_imported():
    class Watched:
        pass

    def cycle() -> None:
        one = Watched()
        one.itself = one  # type: ignore[attr-defined]

    frozen = gc.get_freeze_count()
    cycle()
    with loading():
        import gc as again

        assert not again.isenabled()
    assert gc.get_freeze_count() == frozen
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is Watched]


def test_a_fault_of_an_import_leaves_the_collector_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = a_module(tmp_path, monkeypatch, "raise RuntimeError('not this one')\n")
    with pytest.raises(RuntimeError, match="not this one"), loading():
        __import__(name)
    assert gc.isenabled()
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()


def test_a_run_is_reported_to_nobody():
    script = (
        "from ste.tracking.store import open_store\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "print('DISABLED', is_telemetry_disabled())\n"
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("CI", "DO_NOT_TRACK")}
    clean = {name: value for name, value in clean.items() if not name.startswith(("MLFLOW_", "PYTEST_", "GITHUB_"))}
    done = subprocess.run([sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=True)
    assert "DISABLED True" in done.stdout
