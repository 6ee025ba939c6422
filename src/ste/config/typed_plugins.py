"""Import the plugins that are typed as `plugins=[my_module]`, before the configuration is composed and validated."""

from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from ste.config.fast_imports import fast_imports, set_before
from ste.errors import ConfigError
from ste.plugins import PLUGINS, load_plugin

_KEY = "plugins"


def load_typed_plugins(overrides: Iterable[str]) -> None:
    """Import the plugins that overrides name; of several `plugins=` the last counts.

    Args:
        overrides: as typed.

    Raises:
        ConfigError: a value that is no list of modules, or a module that cannot be imported.
    """
    modules = [module for module in typed_plugins(overrides) if module not in PLUGINS]
    if modules:
        set_before()
        with fast_imports(", ".join(modules)):
            for module in modules:
                load_plugin(module)


def typed_plugins(overrides: Iterable[str]) -> list[str]:
    """Return the modules that overrides name.

    Raises:
        ConfigError: a value that is no list of modules.
    """
    typed = [text for text in overrides if text.lstrip("+").partition("=")[0] == _KEY]
    if not typed:
        return []
    override = OverridesParser.create().parse_override(typed[-1])
    return check_plugins(None if override.is_sweep_override() else override.value(), typed[-1])


def check_plugins(value: Any, shown: str = "") -> list[str]:
    """Return the modules that the setting `plugins` names.

    Args:
        value: of the setting.
        shown: the setting as typed, for messages.

    Raises:
        ConfigError: it is no list of modules.
    """
    if not isinstance(value, list) or not all(isinstance(name, str) and _is_dotted(name) for name in value):
        raise ConfigError(f"{shown or f'{_KEY}={value}'}: expected a list of modules. Try {_KEY}=[my_module].")
    return [str(name) for name in value]


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
