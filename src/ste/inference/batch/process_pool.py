"""Run tasks in processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from ste.errors import RunError
from ste.inference.batch.parallel import ShardTask
from ste.inference.batch.prediction_loop import Advance, RowCounts


def run_in_processes(tasks: Sequence[ShardTask], advance: Advance) -> list[RowCounts]:
    """Run each task in a process of its own; after an error or a signal no process remains.

    Raises:
        SteError: of a task.
        RunError: a process ended before its task.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(len(tasks), multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        futures = [pool.submit(task) for task in tasks]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            advance(done)
    except BaseException as error:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        if isinstance(error, BrokenProcessPool):
            raise RunError(
                "a worker process ended unexpectedly. The system kills processes when memory runs out: try fewer "
                "workers. Nothing was written."
            ) from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def _start_worker() -> None:
    """Leave signals of the process group to the parent, and end when the parent does."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
