"""The plugins that a run needs, stored with it as data: a stored configuration never causes an import."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ste.errors import ConfigError
from ste.plugins import PLUGINS, Plugin, load_installed_plugins
from ste.registry import KINDS

ORIGINS = "origins"
"""Key of the record: by module, `distribution` and `components` (`KIND NAME`)."""


def record_plugins(
    config: Mapping[str, Any], functions: Collection[str] = (), kinds: Collection[str] | None = None
) -> dict[str, Any]:
    """Return a configuration with the plugins whose components it names, under `plugins` and `origins`.

    Args:
        config: of a run, as plain data.
        functions: names of further components that it needs, such as the functions of its feature sets.
        kinds: of the components that are needed; None is all.
    """
    used: dict[Plugin, list[str]] = {}
    for kind, registry in KINDS.items():
        if kinds is not None and kind not in kinds:
            continue
        named = {*_values(config, registry.kind.split(".")), *functions}
        for name, plugin in registry.of_plugins.items():
            if name in named:
                used.setdefault(plugin, []).append(f"{kind} {name}")
    out = {key: value for key, value in config.items() if key not in ("plugins", ORIGINS)}
    if used:
        out["plugins"] = [plugin.module for plugin in used]
        out[ORIGINS] = {
            plugin.module: {"distribution": plugin.distribution or _distribution(plugin), "components": components}
            for plugin, components in used.items()
        }
    return out


def check_recorded(origins: Mapping[str, Any]) -> None:
    """Check that the components of a stored configuration are registered.

    Args:
        origins: the record.

    Raises:
        ConfigError: one is not; the message names it, its plugin and what to type.
    """
    if origins:
        load_installed_plugins()
    for module, entry in origins.items():
        for component in entry["components"]:
            kind, _, name = component.partition(" ")
            if kind not in KINDS or KINDS[kind].plugin(name) is None:
                raise ConfigError(missing_plugin(f"the {kind} {name}", module, entry.get("distribution", "")))


def check_imported(modules: Collection[str]) -> None:
    """Check that the modules which a configuration names are imported.

    Raises:
        ConfigError: one is not, since only the command line imports.
    """
    for module in modules:
        if module not in PLUGINS:
            raise ConfigError(
                f"plugins=[{module}]: a configuration file names it, and only the command line imports a module. "
                f"Try plugins=[{module}] on the command line."
            )


def check_needed(modules: Collection[str], what: str) -> None:
    """Check that the plugins which something needs are imported.

    Args:
        modules: of the plugins.
        what: needs them, for the message.

    Raises:
        ConfigError: one is not.
    """
    if modules:
        load_installed_plugins()
    for module in modules:
        if module not in PLUGINS and not _registers(module):
            raise ConfigError(missing_plugin(what, module))


def _registers(module: str) -> bool:
    """Whether a module, such as a notebook's `__main__`, registered a component in this process."""
    return any(plugin.module == module for registry in KINDS.values() for plugin in registry.of_plugins.values())


def missing_plugin(what: str, module: str, distribution: str = "") -> str:
    """Message about something that needs a plugin which is not imported.

    Args:
        what: component or file that needs it.
        module: of the plugin.
        distribution: name and version of its distribution, if it has one.
    """
    if module == "__main__":
        return (
            f"{what} was defined in the main program. Put it into a module, my_module.py, and try plugins=[my_module]."
        )
    of = f" of the distribution {distribution}" if distribution else ""
    where = "Install it" if distribution else "Go to the folder of the module"
    return f"{what} comes from the plugin {module}{of}, which is not imported. {where}, and try plugins=[{module}]."


def _values(node: Any, keys: list[str]) -> Iterator[str]:
    """Yield the texts at a dotted key; below a group of entries, such as `callbacks`, those of each entry."""
    if not keys:
        if isinstance(node, str):
            yield node
    elif isinstance(node, Mapping):
        if keys[0] in node:
            yield from _values(node[keys[0]], keys[1:])
        elif len(keys) == 1:
            for entry in node.values():
                if isinstance(entry, Mapping):
                    yield from _values(entry.get(keys[0]), [])


def _distribution(plugin: Plugin) -> str:
    """Name and version of the installed distribution of a typed plugin; empty for a file of the user's folder."""
    if plugin.path is None or "site-packages" not in plugin.path.parts:
        return ""
    from importlib.metadata import packages_distributions, version

    names = packages_distributions().get(plugin.module.split(".")[0], [])
    return f"{names[0]} {version(names[0])}" if names else ""
