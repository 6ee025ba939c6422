"""Import a scikit-learn estimator by its path, from scikit-learn or a typed plugin alone."""

import importlib
from typing import Any

from ste.errors import ConfigError
from ste.plugins import PLUGINS

ALWAYS = "sklearn"


def import_estimator(path: str) -> Any:
    """Import the class of an estimator.

    A stored configuration names the class too, so the path must lie in scikit-learn or in a plugin that is imported.

    Args:
        path: such as `sklearn.ensemble.RandomForestClassifier`.

    Raises:
        ConfigError: a path elsewhere, or one that names no classifier.
    """
    from sklearn.base import BaseEstimator

    key = f"model.estimator={path}"
    top, (module, _, name) = path.split(".", maxsplit=1)[0], path.rpartition(".")
    if top not in {ALWAYS, *plugin_packages()}:
        raise ConfigError(
            f"{key}: only scikit-learn and the plugins of the command line are imported. Try plugins=[{top}]."
        )
    if not all(part.isidentifier() and not part.startswith("_") for part in path.split(".")) or not module:
        raise ConfigError(f"{key}: expected the import path of a class, such as sklearn.svm.SVC.")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise ConfigError(f"{key}: {error}. Expected a path such as sklearn.ensemble.RandomForestClassifier.") from None
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        near = ", ".join(_classifiers(module, BaseEstimator))
        raise ConfigError(f"{key}: {module} has no estimator {name}.{f' It has {near}.' if near else ''}")
    return found


def plugin_packages() -> set[str]:
    """Top packages of the imported plugins."""
    return {module.split(".")[0] for module in PLUGINS}


def _classifiers(module: str, base: type) -> list[str]:
    """Names of the public estimators of a module that predict probabilities."""
    content = vars(importlib.import_module(module))
    return sorted(
        name
        for name, one in content.items()
        if isinstance(one, type) and issubclass(one, base) and hasattr(one, "predict_proba") and name[0] != "_"
    )
