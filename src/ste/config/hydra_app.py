"""The entry points' common door: run a task under Hydra, and tell a mistake in one message.

Exit codes: 0 done, 1 a fault of ours (with a traceback), 2 a mistake a person can mend, 3 an alarm of the
audit, 130 and 143 stopped.
"""

import atexit
import difflib
import errno
import gc
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ste.config.fast_imports import set_before
from ste.config.load import conf_dir
from ste.errors import SteError

Task = Callable[[DictConfig], Any]


def run(config_name: str, task: Task) -> None:
    """Compose `config_name` with the command line and run the task; does not return on an error.

    Args:
        config_name: a file of `conf/`, such as `train`.
        task: called with the composed configuration, once per job of a sweep.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions come through to be told here
    atexit.register(gc.freeze)  # else Python would look through everything once more when it ends
    app = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(_telling(task))
    try:
        with _values(plain_keys(config_name)), _listed_once():
            app()
    except SteError as error:  # a sweep's: it was told when it happened
        _leave(f"at least one job of the sweep failed, the first with: {error}")
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        fault = _explain(config_name, error)
        if fault is None:
            raise
        _leave(fault)
    except OSError as error:  # before the first job: its own folder
        _leave(str(_unwritable(error)))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)


def plain_keys(config_name: str) -> set[str]:
    """Settings of a command that are no choice of a group though a group has the same name: `model=FILE`."""
    config = OmegaConf.load(conf_dir() / f"{config_name}.yaml")
    assert isinstance(config, DictConfig)
    chosen = {str(key) for entry in config.defaults if isinstance(entry, DictConfig) for key in entry}
    return {str(key) for key in config if (conf_dir() / str(key)).is_dir()} - chosen


@contextmanager
def _values(keys: set[str]) -> Iterator[None]:
    """Have Hydra take overrides of these keys for values; it asks nothing but whether there is a group of that name."""
    exists = ConfigRepository.group_exists

    def chosen(self: ConfigRepository, config_path: str) -> bool:
        return config_path not in keys and exists(self, config_path)

    if keys:
        ConfigRepository.group_exists = chosen  # type: ignore[method-assign]
    try:
        yield
    finally:
        ConfigRepository.group_exists = exists  # type: ignore[method-assign]


@contextmanager
def _listed_once() -> Iterator[None]:
    """Have Hydra look for a group's choices once; its help asks several times, each with a new copy of all it knows."""
    listed = ConfigLoaderImpl.get_group_options

    @cache
    def once(
        self: ConfigLoaderImpl, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG
    ) -> list[str]:
        return self.repository.get_group_options(group_name, results_filter)

    ConfigLoaderImpl.get_group_options = once  # type: ignore[assignment]
    try:
        yield
    finally:
        ConfigLoaderImpl.get_group_options = listed  # type: ignore[method-assign]


def _telling(task: Task) -> Task:
    """The task, its mistakes told at once: a single job's end the program, a sweep goes on with the next."""

    @wraps(task)
    def job(config: DictConfig) -> Any:
        set_before()  # not before: a help need not wait for its look at the machine
        try:
            return task(config)
        except (SteError, OSError) as error:
            if isinstance(error, OSError):
                error = _unwritable(error)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                typed = [text for text in HydraConfig.get().overrides.task if not text.startswith("sweep.")]
                overrides = without_password(" ".join(typed))
                print(f"error in job {HydraConfig.get().job.num} ({overrides}): {error}", file=sys.stderr)
                raise error from None
            _leave(str(error))
        except Exception as error:
            if HydraConfig.get().mode != RunMode.MULTIRUN:
                raise
            traceback.print_exc()  # now, and here: it may not travel to the process that began the sweep
            raise RuntimeError(f"{type(error).__name__}: {error}") from None

    return job


def without_password(text: str | None) -> str | None:
    """A store's address, or overrides that name one, as they may be kept and shown."""
    return None if text is None else re.sub(r"//[^/@\s]*@", "//…@", text)


def _unwritable(error: OSError) -> SteError:
    """A folder or disk that cannot be written to, as a mistake; any other fault of the system is raised."""
    if error.errno not in (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EISDIR,
    ) and not (error.errno == errno.ENOENT and error.filename):
        raise error
    where = error.filename or "the disk"
    return SteError(
        f"{where}: cannot be written ({error.strerror}). Make room, or choose other folders with "
        "paths.output=DIR and paths.data=DIR."
    )


def _leave(message: str) -> None:
    if os.environ.get("STE_DEBUG"):
        raise  # noqa: PLE0704 - inside the handler of the caller
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _explain(config_name: str, error: Exception) -> str | None:
    """The override at fault and the nearest valid names, or the library's own first line."""
    for text in sys.argv[1:]:
        if text.startswith("-"):
            continue
        fault = _fault(config_name, text)
        if fault:
            return fault
    if isinstance(error, ValueError) and not isinstance(error, OmegaConfBaseException):
        return None  # not of the command line's making
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else type(error).__name__


def _fault(config_name: str, text: str) -> str | None:
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException:
        return f"{text}: not an override. Expected key=value; quote what a shell or Hydra would read, key='a b'."
    key = override.key_or_group
    if not key:
        return f"{text}: no setting before the =. Expected key=value."
    group = conf_dir() / key
    keys = _keys(config_name)
    grouped = key in keys and key not in plain_keys(config_name)
    if group.is_dir() and (grouped or (key, config_name) == ("experiment", "train")):
        choices = sorted(path.stem for path in group.glob("*.yaml"))
        values = re.split(r"[,\s]+", text.split("=", 1)[1].strip("'\"[]")) if "=" in text else []
        for value in values:
            if value not in (*choices, "null", ""):
                return (
                    f"{key}={value}: no such choice.{_near(value, choices, key + '=')} Choices: {', '.join(choices)}."
                )
        return None
    if override.is_add() or key.startswith("hydra") or key in keys:
        return None
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir() and path.name in keys]
    siblings = [k for k in keys if k.startswith(key.rsplit(".", 1)[0] + ".")] if "." in key else []
    near = _near(key, [*keys, *groups], "", siblings)
    return f"{key}: no such setting.{near} --help lists them all."


def _near(word: str, known: list[str], prefix: str, fallback: list[str] | None = None) -> str:
    close = difflib.get_close_matches(word, dict.fromkeys(known), n=3, cutoff=0.55) or (fallback or [])[:6]
    return f" Did you mean {' or '.join(prefix + name for name in close)}?" if close else ""


def _keys(config_name: str) -> list[str]:
    """Every setting of the command, with the groups that were chosen on the command line where they exist."""
    GlobalHydra.instance().clear()
    groups = []
    for text in sys.argv[1:]:
        key, _, value = text.partition("=")
        if (conf_dir() / key / f"{value}.yaml").is_file():
            groups.append(text)
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        try:
            config = compose(config_name, overrides=groups)
        except HydraException:
            config = compose(config_name)
    return list(_walk(OmegaConf.to_container(config, resolve=False), ""))


def _walk(node: Any, prefix: str) -> list[str]:
    out = []
    for key, value in node.items():
        out.append(prefix + str(key))
        if isinstance(value, dict):
            out += _walk(value, f"{prefix}{key}.")
    return out
