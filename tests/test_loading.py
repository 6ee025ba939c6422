import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ste.config.fast_imports import fast_imports, set_before


@pytest.fixture(autouse=True)
def _enabled() -> Iterator[None]:
    yield
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
    with fast_imports():
        module = __import__(name)
    assert module.within is False
    assert gc.isenabled()
    assert gc.get_freeze_count() > before + 1000


def test_garbage_is_not_frozen_without_an_import():
    class Watched:
        pass

    def cycle() -> None:
        one = Watched()
        one.itself = one  # type: ignore[attr-defined]

    frozen = gc.get_freeze_count()
    cycle()
    with fast_imports():
        import gc as again

        assert not again.isenabled()
    assert gc.get_freeze_count() == frozen
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is Watched]


def test_variables_are_set_unless_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "environ", {"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"})
    set_before()
    assert os.environ == {"GOMP_SPINCOUNT": "10000", "ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}


def test_a_fault_of_an_import_leaves_the_collector_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = a_module(tmp_path, monkeypatch, "raise RuntimeError('not this one')\n")
    with pytest.raises(RuntimeError, match="not this one"), fast_imports():
        __import__(name)
    assert gc.isenabled()
    gc.disable()
    with fast_imports():
        pass
    assert not gc.isenabled()
