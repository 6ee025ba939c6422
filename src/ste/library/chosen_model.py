"""The setting `model` of what a program gives: a name, a class, or an estimator of scikit-learn."""

import importlib
from typing import Any

from ste.config.config_files import group_choices
from ste.errors import ConfigError, check_name
from ste.registry import BASELINES, MODELS, register

ESTIMATOR = "Estimator"


def chosen_model(model: Any) -> tuple[str | None, dict[str, Any] | None]:
    """Return the file of the group `model` that a program chooses, or else the setting's value.

    A class of a net is registered under its own name, again where a notebook defines it again.

    Args:
        model: name of a file of `conf/model` or of a registered class, settings, a class derived from
            `torch.nn.Module`, or an estimator of scikit-learn.

    Raises:
        ConfigError: an unknown name, or something else.
    """
    if isinstance(model, str):
        choices = group_choices("train", "model")
        if model in choices:
            return model, None
        for kind, registry in (("net", MODELS), ("baseline", BASELINES)):
            if model in registry:
                return None, {kind: model}
        check_name("model", model, [*choices, *MODELS, *BASELINES])
    if isinstance(model, dict):
        return None, model
    if isinstance(model, type):
        from torch import nn

        if issubclass(model, nn.Module):
            register("model")(model)
            return None, {"net": model.__name__}
    if hasattr(model, "get_params") and hasattr(model, "fit") and not isinstance(model, type):
        return None, _estimator(model)
    raise ConfigError(
        f"model: found {model!r:.80}. Expected a name such as lstm, a class derived from torch.nn.Module, or an "
        "estimator of scikit-learn."
    )


def _estimator(model: Any) -> dict[str, Any]:
    """Return the settings of an estimator: its import path, and the arguments that are not the default."""
    default = type(model)().get_params(deep=False)
    given = {key: value for key, value in model.get_params(deep=False).items() if value is not default[key]}
    given = {key: value for key, value in given.items() if value != default[key]}
    for key, value in given.items():
        if not isinstance(value, str | int | float | bool | list | tuple | dict | None):
            raise ConfigError(
                f"model: the argument {key} of {type(model).__name__} is of type {type(value).__name__}. Expected "
                "plain values, which a run can store."
            )
    return {"baseline": ESTIMATOR, "estimator": _path(type(model)), "arguments": given, "inputs": "window"}


def _path(kind: type) -> str:
    """Return the public import path of a class: `sklearn.ensemble.RandomForestClassifier`."""
    parts = kind.__module__.split(".")
    if parts[0] == "__main__":
        raise ConfigError(
            f"model: the class {kind.__name__} is defined in the main program. Put it into a module, and import it."
        )
    for length in range(1, len(parts) + 1):
        module = ".".join(parts[:length])
        if getattr(importlib.import_module(module), kind.__name__, None) is kind and parts[length - 1][0] != "_":
            return f"{module}.{kind.__name__}"
    return f"{kind.__module__}.{kind.__name__}"
