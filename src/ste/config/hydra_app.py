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
from functools import wraps
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ste import __version__
from ste.config.config_files import config_root
from ste.config.fast_imports import set_before
from ste.config.help_page import help_page
from ste.config.override_errors import explain_overrides
from ste.config.run_log import remove_unused_folder
from ste.errors import SteError

Task = Callable[[DictConfig], Any]

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the system names no file when one grows


def run(command: str, task: Task) -> None:
    """Compose the configuration of a command with the command line and run its task; exit on an error.

    Args:
        command: name of its configuration file, such as `train`.
        task: called with the composed configuration, once per job of a sweep.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach this function
    atexit.register(gc.freeze)  # skips the garbage collection of all imported objects at exit
    overrides = [text for text in sys.argv[1:] if not text.startswith("-")]
    try:
        if {"-h", "--help"} & set(sys.argv[1:]):
            _print_help(command, overrides)
            return
        if "--version" in sys.argv[1:]:
            print(f"ste {__version__}")
            return
        root = str(config_root(command))
        hydra.main(version_base="1.3", config_path=root, config_name=command)(_report_errors(task))()
    except SteError as error:  # of a sweep, whose jobs have printed their own
        _exit(f"at least one job of the sweep failed, the first with: {error}")
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        message = explain_overrides(command, overrides)
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


def _print_help(command: str, overrides: list[str]) -> None:
    try:
        print(help_page(command, overrides), flush=True)
    except BrokenPipeError:  # `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again at exit


def _report_errors(task: Task) -> Task:
    """Wrap a task so that errors are printed at once: a single job exits, a sweep continues with the next job."""

    @wraps(task)
    def job(config: DictConfig) -> Any:
        set_before()
        try:
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


def _exit(message: str) -> None:
    if os.environ.get("STE_DEBUG"):
        raise  # noqa: PLE0704 - called in an exception handler
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
