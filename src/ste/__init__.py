"""STE, the Stock Trend Estimator: train, track, compare and explain small trend classifiers.

`ste.load` reads bars or labelled tables, `ste.train` trains, scores and judges a model, `ste.load_model` opens an
exported one, `ste.judge` judges predictions of any tool, and `ste.register` adds components of your own. The libraries
behind them are imported at the first use.
"""

from typing import TYPE_CHECKING, Any

from ste.registry import register

if TYPE_CHECKING:
    from ste.errors import ConfigError, DataError, RunError, SteError
    from ste.library.dataset import Dataset
    from ste.library.judge_predictions import judge
    from ste.library.judged_predictions import JudgedPredictions
    from ste.library.loading import load
    from ste.library.portable_model import PortableModel, load_model
    from ste.library.run_result import RunResult
    from ste.library.train_model import train
    from ste.schema import FeatureSet

__all__ = [
    "ConfigError",
    "DataError",
    "Dataset",
    "FeatureSet",
    "JudgedPredictions",
    "PortableModel",
    "RunError",
    "RunResult",
    "SteError",
    "judge",
    "load",
    "load_model",
    "register",
    "train",
]
__version__ = "0.1.0"

_PLACES = {
    **dict.fromkeys(("ConfigError", "DataError", "RunError", "SteError"), "ste.errors"),
    "Dataset": "ste.library.dataset",
    "FeatureSet": "ste.schema",
    "JudgedPredictions": "ste.library.judged_predictions",
    "PortableModel": "ste.library.portable_model",
    "RunResult": "ste.library.run_result",
    "judge": "ste.judge:",
    "load": "ste.library.loading",
    "load_model": "ste.library.portable_model",
    "train": "ste.train:",
}
"""Module of each name, and after a colon its name there; nothing after it is the module, which is callable."""


def __getattr__(name: str) -> Any:
    """Import a name at its first use."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, colon, own = _PLACES[name].partition(":")
    found = import_module(module)
    value = found if colon and not own else getattr(found, own or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
