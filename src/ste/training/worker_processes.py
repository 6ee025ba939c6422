"""The further processes of a run that is trained by several: begun, waited for, and ended with the one that began them.

The first process of each machine starts the others of its machine and writes their task to their standard input.
They end when that input ends, which is when the first process ends.
"""

import logging
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ste.config import TrainSettings
from ste.config.fast_imports import loading
from ste.errors import ConfigError, RunError, SteError

if TYPE_CHECKING:
    from ste.data.datamodule import TrendDataModule
    from ste.training.distributed import Place

log = logging.getLogger(__name__)

_GRACE = 5.0  # seconds in which an end is seen after the connection broke
_LONGEST = 30.0  # seconds that a process may take to end after a fit
_BROKEN = re.compile(r"gloo|nccl|connection|broken pipe|timed? ?out|socket|process group", re.IGNORECASE)


def place_of(settings: TrainSettings) -> "Place":
    """The first process of this machine, as settings and environment say.

    Several machines need `NODE_RANK`, `MASTER_ADDR` and `MASTER_PORT` in the environment.

    Raises:
        ConfigError: devices or machines that are not there, or no way to find each other.
    """
    import torch

    from ste.training.distributed import Place

    chosen = settings.trainer
    if chosen.accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError("trainer=gpu: no CUDA device was found. Try trainer=cpu.")
    if chosen.devices * chosen.nodes == 1 or "baseline" in settings.model:
        return Place()
    if settings.validation.method != "holdout":
        several = f"trainer.devices={chosen.devices}" if chosen.devices > 1 else f"trainer.nodes={chosen.nodes}"
        raise ConfigError(f"{several}: folds are trained in one process. Try trainer=cpu, or validation=holdout.")
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise ConfigError(
            f"trainer.devices={chosen.devices}: torchrun began this process, and STE begins its own. "
            "Type the command without torchrun, once on each machine."
        )
    if _on_gpu(settings):
        found = torch.cuda.device_count()
        if chosen.devices > found:
            raise ConfigError(
                f"trainer.devices={chosen.devices}: {found} GPU{'s were' if found > 1 else ' was'} found, and each "
                f"process needs one. Try trainer.devices={found}."
            )
    elif chosen.devices > cores():
        log.warning(
            f"warning: trainer.devices={chosen.devices}: that many processes share {cores()} cores and wait for each "
            f"other; trainer.devices={cores()} is faster"
        )
    return _addressed(Place(devices=chosen.devices, nodes=chosen.nodes))


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _addressed(place: "Place") -> "Place":
    port = os.environ.get("MASTER_PORT", "0" if place.nodes == 1 else "")
    if place.nodes == 1:
        return replace(place, port=_whole(port, "MASTER_PORT", "a port from 1 to 65535, or leave it unset", 65536))
    missing = [key for key in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(key)]
    if missing:
        raise ConfigError(
            f"trainer.nodes={place.nodes}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in the "
            f"environment. Type the same command on each machine with NODE_RANK=0 to {place.nodes - 1}, MASTER_ADDR= "
            "the first machine's address and MASTER_PORT= a free port of it."
        )
    node = _whole(os.environ["NODE_RANK"], "NODE_RANK", f"a number from 0 to {place.nodes - 1}", place.nodes)
    port_ = _whole(port, "MASTER_PORT", "a port from 1 to 65535", 65536)
    return replace(place, node=node, address=os.environ["MASTER_ADDR"], port=port_)


def _whole(text: str, key: str, expected: str, below: int) -> int:
    if not (text.isdigit() and int(text) < below):
        raise ConfigError(f"{key}={text}: expected {expected}.")
    return int(text)


def _on_gpu(settings: TrainSettings) -> bool:
    import torch

    return settings.trainer.accelerator in ("gpu", "auto") and torch.cuda.is_available()


def check_shares(data: "TrendDataModule", place: "Place") -> None:
    """Every process needs an example to learn from, and one to validate on.

    Raises:
        ConfigError: there are fewer.
    """
    for split in ("train", "validation"):
        found = len(data.datasets[split])
        if found < place.world_size:
            raise ConfigError(
                f"trainer.devices={place.devices}: {place.world_size} processes in all, and {found} {split} examples "
                "to share. Try trainer=cpu."
            )


def threads_of(settings: TrainSettings) -> int | None:
    """Torch threads of each process: as chosen, else its share of the cores; None leaves it to torch."""
    chosen = settings.trainer
    if chosen.threads is not None or chosen.devices == 1:
        return chosen.threads
    return max(1, cores() // chosen.devices)


@contextmanager
def helped(settings: TrainSettings, place: "Place", checkpoints: Path, again: str = "") -> Iterator[None]:
    """Within, the processes of the run are a group; a run of one process is left alone.

    Args:
        settings: of the run.
        place: of this process, the first of its machine.
        checkpoints: folder to go on from.
        again: how the run can be gone on with, to say where it breaks.

    Raises:
        ConfigError: the port is taken.
        RunError: a process ended, or no longer answers.
    """
    if place.world_size == 1:
        yield
        return
    from ste.training.distributed import joined

    helpers: list[subprocess.Popen[bytes]] = []
    with _loopback(place):
        try:
            store, place = _meet(place)
            helpers += (_begin(settings, replace(place, local=i), checkpoints) for i in range(1, place.devices))
            _wait_for_all(store, place, helpers)
            with joined(place, store, gpu=_on_gpu(settings)):
                yield
            _let_end(helpers)
        except RuntimeError as error:
            lost = _lost(helpers, place, error)
            if lost is None:
                raise
            raise RunError(f"{lost}{f' {again}' if again else ''}") from error
        finally:
            _end(helpers)


@contextmanager
def _loopback(place: "Place") -> Iterator[None]:
    """Processes of one machine talk within it, whatever its name resolves to."""
    name = "GLOO_SOCKET_IFNAME"
    if place.nodes > 1 or name in os.environ or not sys.platform.startswith("linux"):
        yield
        return
    os.environ[name] = "lo"
    try:
        yield
    finally:
        os.environ.pop(name, None)


def _meet(place: "Place") -> tuple[Any, "Place"]:
    """The store where all processes find each other, with its port."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    from ste.training.distributed import TIMEOUT

    if place.node == 0:
        try:
            store = TCPStore(place.address, place.port, is_master=True, wait_for_workers=False, timeout=TIMEOUT)
        except RuntimeError as error:
            if "EADDRINUSE" not in str(error) and "in use" not in str(error):
                raise
            free = "unset MASTER_PORT, or set another" if place.nodes == 1 else "set another on every machine"
            raise ConfigError(f"MASTER_PORT={place.port}: that port is taken. Please {free}.") from None
        return store, replace(place, port=store.port)
    return _reach(place), place


def _reach(place: "Place", patience: float | None = None) -> Any:
    """The store of the first process, tried for until it is there; a signal can end the wait."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    from ste.training.distributed import TIMEOUT

    until = time.monotonic() + (TIMEOUT.total_seconds() if patience is None else patience)
    while True:
        try:
            # Looked for first: torch's own client says at length that nobody answers yet.
            socket.create_connection((place.address, place.port), timeout=2.0).close()
            return TCPStore(place.address, place.port, is_master=False, timeout=TIMEOUT)
        except (OSError, RuntimeError) as error:
            if time.monotonic() > until:
                raise RunError(
                    f"MASTER_ADDR={place.address} MASTER_PORT={place.port}: nobody answers there. Begin the command "
                    "of NODE_RANK=0 too, and look whether the machines reach each other."
                ) from error
            time.sleep(0.2)


def _begin(settings: TrainSettings, place: "Place", checkpoints: Path) -> subprocess.Popen[bytes]:
    task = pickle.dumps((settings, place, checkpoints))
    process = subprocess.Popen(
        [sys.executable, "-m", "ste.training.worker_processes"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it died: whoever waits for it says so
        process.stdin.write(len(task).to_bytes(8, "big") + task)
        process.stdin.flush()
    return process


def _wait_for_all(store: Any, place: "Place", helpers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until every process is ready to train."""
    from ste.training.distributed import TIMEOUT

    store.set(f"ready/{place.rank}", "")
    own = [f"ready/{place.node * place.devices + i}" for i in range(place.devices)]
    others = [f"ready/{i}" for i in range(place.world_size) if f"ready/{i}" not in own]
    while not store.check(own):
        for number, helper in enumerate(helpers, start=1):
            if helper.poll() is not None:
                raise RunError(f"process {number + 1} of {place.devices} {_how(helper)} before it could train.")
        time.sleep(0.02)
    if others:
        log.info(f"waiting for the other machines at {place.address}:{place.port}")
    until = time.monotonic() + TIMEOUT.total_seconds()
    while others and not store.check(others):
        if time.monotonic() > until:
            raise RunError(
                f"trainer.nodes={place.nodes}: not every machine is there. Type the command on each, with its own "
                f"NODE_RANK, and MASTER_ADDR={place.address} MASTER_PORT={place.port}."
            )
        time.sleep(0.1)


def _let_end(helpers: Sequence[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + _LONGEST
    for helper in helpers:
        with suppress(subprocess.TimeoutExpired):
            helper.wait(max(0.0, until - time.monotonic()))


def _end(helpers: Sequence[subprocess.Popen[bytes]]) -> None:
    """None is left; they write nothing, so nothing can be cut in half."""
    for helper in helpers:
        if helper.poll() is None:
            helper.kill()
    for helper in helpers:
        helper.wait()
        if helper.stdin is not None:
            with suppress(BrokenPipeError):
                helper.stdin.close()


def _lost(helpers: Sequence[subprocess.Popen[bytes]], place: "Place", error: RuntimeError) -> str | None:
    """What became of another process, where a fault is the end of the connection to it."""
    if not _BROKEN.search(str(error)):
        return None
    until = time.monotonic() + _GRACE
    while True:
        for number, helper in enumerate(helpers, start=1):
            if helper.poll() is not None:
                return f"process {number + 1} of {place.devices} {_how(helper)} while the model was trained."
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    reason = str(error).strip().splitlines()[0][:200]
    if place.nodes > 1:
        return f"the connection to another machine was lost ({reason}). What its own command said is there."
    return f"another process of this run no longer answers ({reason})."


def _how(helper: subprocess.Popen[bytes]) -> str:
    code = helper.returncode
    if code == -signal.SIGKILL:
        return "was killed (signal 9; the system does so where memory runs out)"
    if code is not None and code < 0:
        return f"was ended by signal {-code}"
    return f"ended with exit code {code} (what it said is above)"


def main() -> None:
    """A further process: read the task, train along, end with the first process."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to a whole group: the first process decides
        signal.signal(number, signal.SIG_IGN)
    task = _read(int.from_bytes(_read(8), "big"))
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    warnings.simplefilter("ignore")  # the first process says the same
    logging.getLogger().setLevel(logging.ERROR)
    try:
        _help(task)
    except SteError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _help(task: bytes) -> None:
    with loading():
        import torch

        from ste.data.build.prepare import prepare
        from ste.data.panel import Panel
        from ste.training.distributed import Place, joined
        from ste.training.fit import data_of, fit, prepare_fit

    settings: TrainSettings
    place: Place
    settings, place, checkpoints = pickle.loads(task)

    threads = threads_of(settings)
    if threads is not None:
        torch.set_num_threads(threads)
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    data = data_of(settings, panel)
    model = prepare_fit(settings, data)
    store = _reach(place, _LONGEST)
    store.set(f"ready/{place.rank}", "")
    try:
        with joined(place, store, gpu=_on_gpu(settings)):
            fit(settings, data, model, checkpoints, None)
    except RuntimeError as error:
        if not _BROKEN.search(str(error)):
            raise
        sys.exit(1)  # the first process was stopped, or says what broke


def _read(size: int) -> bytes:
    """Exactly so many bytes of the standard input."""
    out = b""
    while len(out) < size:
        part = os.read(0, size - len(out))
        if not part:
            sys.exit(1)
        out += part
    return out


def _end_with_the_first() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
