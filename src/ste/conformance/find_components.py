"""Find the components that the user wants to be checked."""

import os

from ste.config.load import model_configs
from ste.conformance.suite import SUITES
from ste.errors import ConfigError, check_name
from ste.plugins import PLUGINS, load_installed_plugins, load_plugin
from ste.registry import KINDS


def find_components(text: str, kind: str | None = None) -> list[tuple[str, str]]:
    """Return kind and name of the components that a text names.

    Args:
        text: module of a plugin, which is imported; name of a component; choice of the group `model`; import path of
            an estimator; or empty for the components of the imported plugins.
        kind: of the component; None finds it.

    Raises:
        ConfigError: nothing has that name, several kinds have it, or the module cannot be imported.
    """
    if kind is not None:
        check_name("kind", kind, list(SUITES))
    load_installed_plugins()
    if not text:
        found = [one for module in PLUGINS for one in _of_plugin(module)]
        if not found:
            raise ConfigError("check: no component. Try python -m ste.check my_net, of my_net.py in this folder.")
        return found
    named = _named(text, kind)
    if named:
        return named
    top, dot, _ = text.partition(".")
    if dot and text not in PLUGINS and top in {"sklearn", *(module.split(".")[0] for module in PLUGINS)}:
        return [("estimator", text)]
    if text in PLUGINS or _is_module(text):
        load_plugin(text)
        found = [one for one in _of_plugin(text) if kind in (None, one[0])]
        if not found:
            raise ConfigError(
                f"component={text}: the module registers nothing that has checks. Mark it with @ste.register(KIND)."
            )
        return found
    known = {name for registry in KINDS.values() for name in registry.of_plugins} | {*model_configs()}
    check_name("component", text, known)
    raise AssertionError


def _named(text: str, kind: str | None) -> list[tuple[str, str]]:
    """Return the component that has a text as its name, or as its choice of the group `model`."""
    config = model_configs().get(text)
    if config is not None and text not in PLUGINS and not _is_module(text):
        if "estimator" in config:
            return [("estimator", str(config["estimator"]))]
        return [("model", str(config["net"])) if "net" in config else ("baseline", str(config["baseline"]))]
    kinds = [one for one in KINDS if one in SUITES and kind in (None, one) and text in KINDS[one]]
    plugins = [one for one in kinds if KINDS[one].plugin(text) is not None and text not in PLUGINS]
    kinds = plugins or ([] if text in PLUGINS or _is_module(text) else kinds)
    if len(kinds) > 1:
        raise ConfigError(f"component={text}: {' and '.join(kinds)} have it. Try kind={kinds[0]}.")
    return [(one, text) for one in kinds]


def _of_plugin(module: str) -> list[tuple[str, str]]:
    """Kind and name of each component of a plugin, and of the estimators that its configuration files name."""
    found = [
        (kind, name)
        for kind, registry in KINDS.items()
        for name, plugin in registry.of_plugins.items()
        if plugin.module == module and kind in SUITES
    ]
    paths = [str(config.get("estimator", "")) for config in model_configs().values()]
    return found + [("estimator", path) for path in paths if path.split(".")[0] == module.split(".", maxsplit=1)[0]]


def _is_module(text: str) -> bool:
    """Whether the current folder has a module of that name."""
    if not all(part.isidentifier() for part in text.split(".")):
        return False
    path = text.replace(".", os.sep)
    return os.path.isfile(f"{path}.py") or os.path.isfile(os.path.join(path, "__init__.py"))
