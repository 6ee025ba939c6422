"""Plugins: modules of the user's own that register components with `@ste.register`.

A plugin is typed as `plugins=[my_module]`, or named by the entry-point group `ste.plugins` of an installed
distribution. Nothing else is imported: a stored configuration only names components.
"""

import importlib
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ste.errors import ConfigError, SteError

ENTRY_POINTS = "ste.plugins"
"""Group of the entry points whose modules are plugins."""


@dataclass(frozen=True)
class Plugin:
    """A module of the user's that is imported for the components that it registers.

    Attributes:
        module: dotted name.
        distribution: name and version of the installed distribution that names it; empty for a typed module.
    """

    module: str
    distribution: str = ""

    @property
    def path(self) -> Path | None:
        """File of the module; None while it is not imported."""
        file = getattr(sys.modules.get(self.module), "__file__", None)
        return None if file is None else Path(file)


PLUGINS: dict[str, Plugin] = {}
"""Imported plugins by module name."""

_importing: Plugin | None = None
_searched = False


def importing() -> Plugin | None:
    """Return the plugin that is being imported, if any: what is registered meanwhile comes from it."""
    return _importing


def load_plugin(module: str, distribution: str = "") -> None:
    """Import a plugin once.

    Args:
        module: dotted name, importable from `sys.path` or the current folder.
        distribution: that names it; empty for a typed one.

    Raises:
        ConfigError: there is no such module, or it cannot be imported; the message names file, line and error.
    """
    global _importing  # noqa: PLW0603 - components learn from it which plugin they come from
    if module in PLUGINS:
        return
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # of a console script; `python -m` puts it first
    importlib.invalidate_caches()
    outer, _importing = _importing, Plugin(module, distribution)
    try:
        importlib.import_module(module)
    except Exception as error:
        raise ConfigError(_import_error(module, distribution, error)) from error
    finally:
        _importing = outer
    PLUGINS[module] = Plugin(module, distribution)


def load_installed_plugins() -> None:
    """Import the plugins of installed distributions, once.

    Raises:
        ConfigError: one that cannot be imported.
    """
    global _searched  # noqa: PLW0603
    if _searched:
        return
    _searched = True
    from importlib.metadata import entry_points  # 40 ms, which `--help` does not wait for

    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda one: one.value):
        load_plugin(entry.module, f"{entry.dist.name} {entry.dist.version}" if entry.dist else "")


def _import_error(module: str, distribution: str, error: Exception) -> str:
    """Message about a plugin that cannot be imported: file, line and error."""
    where = f"the plugin {module} of {distribution}" if distribution else f"plugins=[{module}]"
    end = "Fix it, or uninstall the distribution." if distribution else "Fix it, or leave the plugin out."
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return (
            f"{where}: no such module. Expected {module.replace('.', '/')}.py or a package in {os.getcwd()}, or an "
            "installed module."
        )
    what = str(error) if isinstance(error, SteError) else f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{where}: {error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}. {end}"
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_of(module, frame)]
    if not frames:
        return f"{where}: {what} {end}"
    frame, line = frames[-1]
    return f"{where}: {frame.f_code.co_filename}, line {line}: {what.removesuffix('.')}. {end}"


def _is_of(module: str, frame: FrameType) -> bool:
    """Whether a frame runs code of a module's top package."""
    return str(frame.f_globals.get("__name__", "")).split(".")[0] == module.split(".", maxsplit=1)[0]
