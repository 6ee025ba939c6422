"""Train, score and judge a model on loaded rows: `ste.train`."""

from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from ste.experiment.trial_log import TrialMemory

if TYPE_CHECKING:
    from ste.library.run_result import RunResult

_training = RLock()
"""Held while a model is trained: torch has one random state for all threads."""

_untracked = TrialMemory()
"""The trials of this process that no store has."""


def train(
    data: Any = "sample",
    model: Any = "lstm",
    *,
    seed: int = 0,
    replicas: int = 1,
    epochs: int | None = None,
    validation: str | Mapping[str, Any] = "holdout",
    tracking: bool | str = False,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    **sections: Any,
) -> "RunResult":
    """Train a model, score it next to its baselines, and judge it.

    The same settings and seed give the same result as `python -m ste.train`, to the last digit. Trainings of one
    process run one after the other; the random states of Python, NumPy and torch stay as they were.

    Args:
        data: from `ste.load`, or anything that it loads.
        model: name of a model (`lstm`, `gru`, `transformer`, `gbm`, ...), a class derived from `torch.nn.Module`, an
            estimator of scikit-learn, or settings such as `{"net": "SimpleLSTM", "hidden_size": 32}`.
        seed: of initial weights, order of the batches and dropout.
        replicas: nets with the seeds from `seed` on that are trained at once; their mean predicts.
        epochs: maximum number of epochs; None is the default, 50.
        validation: `holdout`, `walk_forward`, `combinatorial`, or settings such as `{"method": "walk_forward",
            "folds": 4}`.
        tracking: True tracks the run in `outputs/mlflow.db`; or the address of an MLflow store. Without tracking
            nothing is written to the current folder, and the verdict counts the other trainings of this process on the
            data.
        name: of a tracked run.
        settings: any setting by its dotted name, such as `{"optimizer.lr": 0.003, "model.hidden_size": 32}`.
        sections: a file of a group by its name, such as `optimizer="adamw"`, or settings of a section, such as
            `fit={"monitor": "mcc"}` (docs/all_settings.md).

    Returns:
        Predictions, verdict, scores, report and the fitted model.

    Raises:
        SteError: settings or data that cannot be used; the message names them and what is expected.
    """
    from ste.library.dataset import Dataset
    from ste.library.loading import load

    dataset = data if isinstance(data, Dataset) else load(data)
    own = {"seed": seed, "train.replicas": replicas, "tracking.run_name": name}
    own |= {} if epochs is None else {"trainer.max_epochs": epochs}
    given = {"validation": validation, **sections}
    call = _call(dataset.call, model, {"seed": seed, "replicas": replicas, "epochs": epochs, **given}, settings)
    values = _compose(model, given, own | dict(settings or {}), tracking)
    with _training, dataset.files.named():
        return _train(dataset, values, name, call, tracked=tracking is not False)


def _compose(model: Any, given: Mapping[str, Any], values: Mapping[str, Any], tracking: bool | str) -> dict[str, Any]:
    """Compose the settings of a run, those of the data aside."""
    from ste.config.program_values import compose_values, plain_value, split_choices
    from ste.errors import ConfigError
    from ste.library.chosen_model import chosen_model

    of_data = next((key for key in (*given, *values) if key.split(".")[0] in ("data", "features", "labels")), None)
    if of_data is not None:
        raise ConfigError(f"{of_data}: is a setting of the data. Give it to ste.load.")
    choices, sections = split_choices("train", given)
    choices["tracking"] = "off" if tracking is False else "mlflow"
    stated = {**sections, **values} | ({"tracking.uri": tracking} if isinstance(tracking, str) else {})
    file, settings = chosen_model(model)
    if file is not None:
        return compose_values("train", {**choices, "model": file}, stated)
    arguments = {key: value for key, value in stated.items() if key.startswith("model.")}
    config = compose_values("train", choices, {key: one for key, one in stated.items() if key not in arguments})
    own = {key.removeprefix("model."): plain_value(value) for key, value in arguments.items()}
    return config | {"model": plain_value(settings) | own}


def _train(dataset: Any, values: dict[str, Any], name: str | None, call: str, *, tracked: bool) -> "RunResult":
    from lightning.pytorch.utilities.seed import isolate_rng

    from ste.config import TrainSettings
    from ste.config.load import load_settings
    from ste.config.progress import one_line
    from ste.experiment.run import split_settings
    from ste.experiment.run import train as train_run
    from ste.library.run_folder import RunFolder
    from ste.library.run_result import RunResult

    values = values | dict(dataset.config)
    folder = RunFolder(Path(values["paths"]["output"]) if tracked else None)
    settings = load_settings(TrainSettings, values)
    trials = None if tracked else _untracked
    title = name or f"{values['model'].get('net') or values['model'].get('baseline')} {settings.data.source}"
    with one_line(), isolate_rng():
        result = train_run(settings, values, folder.path, title, call, panel=dataset.panel, trials=trials)
    assert result is not None  # of the one process that may train here
    return RunResult(dataset, result, split_settings(settings, dataset.panel), values, call, folder)


def _call(data: str, model: Any, given: Mapping[str, Any], settings: Mapping[str, Any] | None) -> str:
    """Write the call of this training."""
    default = {"seed": 0, "replicas": 1, "epochs": None, "validation": "holdout"}
    stated = {key: value for key, value in given.items() if key not in default or value != default[key]}
    stated |= {"settings": dict(settings)} if settings else {}
    shown = model.__name__ if isinstance(model, type) else repr(model)
    return f"ste.train({', '.join([data, shown, *(f'{key}={value!r}' for key, value in stated.items())])})"
