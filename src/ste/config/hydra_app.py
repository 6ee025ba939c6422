"""Run a command under Hydra, and print an error that the user can fix as one message.

Exit codes: 0 done, 1 an internal error (with a traceback), 2 an error that the user can fix, 3 an alarm of the audit,
130 and 143 stopped.
"""

import atexit
import errno
import gc
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import wraps
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ste import __version__
from ste.config.arguments import Arguments
from ste.config.config_files import config_root
from ste.config.fast_imports import set_before
from ste.config.help_page import help_page
from ste.config.override_errors import explain_overrides
from ste.config.progress import step
from ste.config.run_log import remove_unused_folder
from ste.config.typed_plugins import load_typed_plugins
from ste.config.typed_values import as_typed
from ste.errors import SteError

Task = Callable[[DictConfig], Any]

_reading = ExitStack()
"""Holds the step that composes the configuration until the command's own work starts."""

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the system names no file when one grows


def run(command: str, task: Task) -> None:
    """Compose the configuration of a command with the command line and run its task; exit on an error.

    Args:
        command: name of its configuration file, such as `train`.
        task: called with the composed configuration, once per job of a sweep.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach this function
    atexit.register(gc.freeze)  # skips the garbage collection of all imported objects at exit
    try:
        arguments = Arguments.parse(sys.argv[1:], f"ste.{command}")
        overrides = [as_typed(text) for text in arguments.overrides]
        load_typed_plugins(overrides)
    except SteError as error:
        _exit(str(error))
    try:
        if "--help" in arguments.options:
            _print_help(command, overrides)
            return
        if "--version" in arguments.options:
            print(f"ste {__version__}")
            return
        sys.argv[1:] = [*arguments.options, *overrides]
        root = str(config_root(command))
        if not arguments.answered_by_hydra:
            _reading.enter_context(step("reading the settings", quiet=True))
        hydra.main(version_base="1.3", config_path=root, config_name=command)(_report_errors(task))()
    except SteError as error:  # of a sweep, whose jobs have printed their own
        _exit(f"at least one job of the sweep failed, the first with: {error}")
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        message = explain_overrides(command, overrides, sweep=arguments.is_sweep)
        if message is None:
            if isinstance(error, ValueError) and not isinstance(error, OmegaConfBaseException):
                raise
            message = " ".join([line for line in str(error).splitlines() if line.strip()][:2]) or type(error).__name__
        _exit(message)
    except OSError as error:  # before the first job: the run folder
        _exit(str(_write_error(error)))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)


def end_reading() -> None:
    """End the step that composes the configuration; a sweep does so before it starts other processes."""
    _reading.close()


def _print_help(command: str, overrides: list[str]) -> None:
    try:
        print(help_page(command, overrides), flush=True)
    except BrokenPipeError:  # `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again at exit


def _report_errors(task: Task) -> Task:
    """Wrap a task so that errors are printed at once: a single job exits, a sweep continues with the next job."""

    @wraps(task)
    def job(config: DictConfig) -> Any:
        end_reading()
        set_before()
        try:
            load_typed_plugins(HydraConfig.get().overrides.task)  # in the process of a launcher
            return task(config)
        except (SteError, OSError) as error:
            if isinstance(error, OSError):
                error = _write_error(error)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                typed = [text for text in HydraConfig.get().overrides.task if not text.startswith("sweep.")]
                overrides = without_password(" ".join(typed))
                print(f"error in job {HydraConfig.get().job.num} ({overrides}): {error}", file=sys.stderr)
                raise error from None
            remove_unused_folder(HydraConfig.get())
            _exit(str(error))

    return job


def without_password(text: str) -> str:
    """Remove user and password from URLs, so that a store's address can be saved and printed."""
    return re.sub(r"//[^/@\s]*@", "//…@", text)


def shell_command(overrides: Iterable[str]) -> str:
    """Write a training command as a shell takes it, without passwords."""
    return shlex.join(["python", "-m", "ste.train", *map(without_password, overrides)])


def _write_error(error: OSError) -> SteError:
    """Convert an error of writing a file or folder to `SteError`; raise any other `OSError`."""
    if error.filename is None and error.errno not in _DISK_IS_FULL:  # of a socket, for example
        raise error
    where = error.filename or "the disk"
    return SteError(
        f"{where}: cannot be written ({error.strerror}). Make room, or choose other folders with "
        "paths.output=DIR and paths.data=DIR."
    )


def _exit(message: str) -> NoReturn:
    end_reading()
    if os.environ.get("STE_DEBUG"):
        raise  # noqa: PLE0704 - called in an exception handler
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
