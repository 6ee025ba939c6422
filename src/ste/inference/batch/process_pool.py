"""Run tasks in processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
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
    pool = ProcessPoolExecutor(len(tasks), multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        with _held_signals():  # workers keep them held: only this process reacts to Ctrl-C
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


@contextmanager
def _held_signals() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM at the end of the block; processes started in it never receive them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
