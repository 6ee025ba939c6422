"""A fit keeps the memory that a step gives back, and gives it back itself."""

import ctypes
import os
import platform
from pathlib import Path

import pytest
import torch

from runs import build_model, fit_model
from ste.config import TrainerSettings
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.experiment.model_setup import input_view
from ste.training.malloc import retain_memory
from ste.training.trainer import build_trainer

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
LARGE = 96 << 20  # glibc maps a block of this size by itself, whatever it learned of earlier ones


class _Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")]
    _fields_ += [(name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


def mapped() -> int:
    """Bytes in blocks that glibc mapped one by one."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("glibc before 2.33 does not tell")
    library.mallinfo2.restype = _Mallinfo2
    return int(library.mallinfo2().hblkhd)


def maps_a_large_block() -> bool:
    before = mapped()
    block = torch.empty(LARGE, dtype=torch.uint8)
    return mapped() - before >= block.numel()


@pytest.fixture(autouse=True)
def _as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name == "GLIBC_TUNABLES" or name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)


@glibc
def test_large_blocks_come_from_the_heap_within_and_are_mapped_again_after():
    with pytest.raises(RuntimeError, match="stop"), retain_memory() as kept:
        assert kept
        assert not maps_a_large_block()
        raise RuntimeError("stop")
    assert maps_a_large_block()


@glibc
@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_max=5", False),
        ("GLIBC_TUNABLES", "glibc.rtld.nns=4", True),
        ("MALLOC_TRIM_THRESHOLD_", "0", False),
        ("MALLOC_ARENA_MAX", "1", True),
    ],
)
def test_what_a_user_has_set_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str, kept: bool):
    monkeypatch.setenv(name, value)
    with retain_memory() as done:
        assert done is kept


@pytest.mark.parametrize("answer", [("", ""), ("musl", "1.2")])
def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, answer: tuple[str, str]):
    monkeypatch.setattr(platform, "libc_ver", lambda: answer)
    with retain_memory() as done:
        assert not done


@glibc
def test_a_fit_learns_the_same_numbers_with_and_without_it(small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    settings, _ = small("data.batch_size=512", "trainer.max_epochs=2")
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    found = []
    for name in ("kept", "given"):
        if name == "given":
            monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.mmap_max=65536")
        data = TrendDataModule(panel, input_view(settings.model), settings.seed)
        found.append(fit_model(settings, data, build_model(settings, data), tmp_path / name, None))
    assert found[0].history == found[1].history


def test_deterministic_kernels_are_on_for_accelerators_alone_unless_set():
    """They make torch fill new tensors, and CPU kernels repeat exactly without them."""
    try:
        build_trainer(TrainerSettings())
        assert not torch.are_deterministic_algorithms_enabled()
        build_trainer(TrainerSettings(accelerator="auto"))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
