"""Callbacks and loggers from their settings: mappings by name, each with a class name and its arguments.

A class name resolves against the public classes of `lightning.pytorch.callbacks` and `lightning.pytorch.loggers` and
the registry alone, so that a stored configuration cannot name anything else.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch import loggers as lightning_loggers
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import Logger

from ste.errors import ConfigError, check_name
from ste.registry import CALLBACKS, METRICS
from ste.training.run_logger import MetricStore, RunLogger

TRACKED = "RunLogger"
"""Name of the logger that writes to the tracked run."""

_TRAINING_CURVES = ("train/loss", "train/accuracy", "train/lr")
Mappings = Mapping[str, Mapping[str, Any] | None]
"""Callbacks or loggers by key: class name and arguments."""


def build_callbacks(settings: Mappings, monitor: str, mode: str, folder: Path) -> list[pl.Callback]:
    """Build the callbacks of a fit.

    Args:
        settings: class name and arguments of each callback by key; None leaves one out.
        monitor: metric for callbacks that take a `monitor` and are given none, such as `val/log_loss`.
        mode: `min` or `max`, likewise.
        folder: of checkpoints that are given no `dirpath`.

    Raises:
        ConfigError: an unknown class, or arguments that it does not accept.
    """
    known = {name: getattr(lightning_callbacks, name) for name in lightning_callbacks.__all__} | dict(CALLBACKS)
    known = {name: kind for name, kind in known.items() if name not in ("Callback", "Checkpoint", "ProgressBar")}
    built = []
    for key, entry in settings.items():
        if entry is None:
            continue
        kind, arguments = _resolve(f"callbacks.{key}", entry, known)
        accepted = inspect.signature(kind).parameters
        if "monitor" in accepted and "monitor" not in arguments:
            arguments |= {"monitor": monitor, "mode": arguments.get("mode", mode)}
        elif arguments.get("monitor") is not None:
            logged = [f"val/{metric.name}" for metric in METRICS.values() if metric.every_epoch]
            check_name(f"callbacks.{key}.monitor", arguments["monitor"], [*logged, *_TRAINING_CURVES])
        if "dirpath" in accepted and arguments.get("dirpath") is None:
            arguments["dirpath"] = folder
        built.append(_build(f"callbacks.{key}", kind, arguments))
    return built


def build_loggers(settings: Mappings, folder: Path, run: MetricStore | None) -> list[Logger]:
    """Build the loggers of a fit.

    Args:
        settings: class name and arguments of each logger by key; None leaves one out.
        folder: of loggers that are given no `save_dir`.
        run: tracked run; None leaves its logger out.

    Raises:
        ConfigError: an unknown class, or arguments that it does not accept.
    """
    known: dict[str, Any] = {name: getattr(lightning_loggers, name) for name in lightning_loggers.__all__}
    known = {name: kind for name, kind in known.items() if name != "Logger"} | {TRACKED: RunLogger}
    built: list[Logger] = []
    for key, entry in settings.items():
        if entry is None:
            continue
        kind, arguments = _resolve(f"loggers.{key}", entry, known)
        if kind is RunLogger:
            if run is None:
                continue
            arguments["run"] = run
        if "save_dir" in inspect.signature(kind).parameters:
            arguments.setdefault("save_dir", folder)
        built.append(_build(f"loggers.{key}", kind, arguments))
    return built


def early_stopping_patience(settings: Mappings) -> int | None:
    """Return the patience of the EarlyStopping callback in epochs, or None where there is none.

    Raises:
        ConfigError: it has other arguments, which replicas cannot follow.
    """
    for key, entry in settings.items():
        if entry is not None and entry.get("name") == "EarlyStopping":
            others = sorted(entry.keys() - {"name", "patience"})
            if others:
                raise ConfigError(
                    f"callbacks.{key}.{others[0]}: replicas stop by patience alone. "
                    f"Try callbacks.{key}.patience=10 without it, or train.replicas=1."
                )
            return int(entry.get("patience", 3))
    return None


def own_epochs(callbacks: list[pl.Callback]) -> list[pl.Callback]:
    """Return the callbacks without those that select or stop by one metric: replicas do so one by one."""
    return [
        one
        for one in callbacks
        if not isinstance(one, EarlyStopping) and not (isinstance(one, ModelCheckpoint) and one.monitor is not None)
    ]


def _resolve(where: str, entry: Any, known: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ConfigError(f"{where}={entry}: expected a class name and its arguments. Try {where}={{name: Timer}}.")
    arguments = {str(key): value for key, value in entry.items() if key != "name"}
    name = entry["name"]
    check_name(f"{where}.name", name, known)
    return known[name], arguments


def _build(where: str, kind: Any, arguments: dict[str, Any]) -> Any:
    try:
        return kind(**arguments)
    except ModuleNotFoundError as error:  # of an optional package; the message ends with what to install
        raise ConfigError(f"{where}: {kind.__name__}: {str(error).splitlines()[0]}") from None
    except (TypeError, ValueError, KeyError, MisconfigurationException) as error:
        accepted = ", ".join(inspect.signature(kind).parameters)
        raise ConfigError(
            f"{where}: {kind.__name__} does not accept these arguments: {error}. Expected some of {accepted}."
        ) from None
