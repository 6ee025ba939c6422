"""Tasks in processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from ste.errors import RunError, SteError
from ste.inference.batch.parallel import Task
from ste.inference.batch.prediction_loop import Advance, Tally


def on_this_machine(tasks: Sequence[Task], advance: Advance) -> list[Tally]:
    """A process for each task; none is left, however it ends.

    Raises:
        SteError: what a process found wrong, or that it was lost.
    """
    spawning = multiprocessing.get_context("spawn")
    processes: dict[Connection, tuple[int, Any]] = {}
    tallies: dict[int, Tally] = {}
    done = [0] * len(tasks)
    try:
        for number, task in enumerate(tasks):
            here, there = spawning.Pipe(duplex=False)
            process = spawning.Process(target=_work, args=(task, there), daemon=True)
            process.start()
            there.close()
            processes[here] = (number, process)
        while len(tallies) < len(tasks):
            for pipe in wait([pipe for pipe, (number, _) in processes.items() if number not in tallies]):
                assert isinstance(pipe, Connection)
                number, process = processes[pipe]
                try:
                    said = pipe.recv()
                except (EOFError, OSError):
                    process.join()
                    raise RunError(_lost(number, len(tasks), process.exitcode)) from None
                if isinstance(said, Tally):
                    tallies[number] = said
                elif isinstance(said, int):
                    done[number] = said
                    advance(sum(done) // len(done))
                else:
                    raise said
    finally:
        for pipe, (_, process) in processes.items():
            process.kill()
            process.join()
            pipe.close()
    return [tallies[number] for number in range(len(tasks))]


def _lost(number: int, count: int, code: int | None) -> str:
    how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
    hint = "; the system does so where memory runs out: try fewer workers" if code == -signal.SIGKILL else ""
    return f"process {number + 1} of {count} {how}{hint}. Nothing was written."


def _work(task: Task, pipe: Connection) -> None:
    """What a process does: its task, and nothing once the process that began it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to a whole group: the first process ends this one
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    try:
        said: Any = task(pipe.send)
    except (SteError, OSError) as error:
        said = error
    with suppress(BrokenPipeError):
        pipe.send(said)
