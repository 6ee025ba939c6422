"""Train, track and score a model: `python -m ste.train model=lstm`, or from Python `ste.train(data, model="lstm")`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from ste.config import TrainSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run, shell_command, without_password
from ste.config.load import load_settings, to_dict
from ste.config.processes import worker_overrides
from ste.config.progress import print_no_steps
from ste.errors import ConfigError
from ste.library.callable_module import make_callable
from ste.library.train_model import train

if TYPE_CHECKING:
    from ste.experiment.train_result import TrainResult


def train_task(config: DictConfig) -> Any:
    """Train one model and print its scores and verdict.

    Returns:
        The monitored validation metric, or in a sweep a `ste.tuning.trial_result.TrialResult`.
    """
    values = to_dict(config)
    if values["sweep"]["trial"] is not None:
        from ste.tuning.trial_job import run_trial

        if not sys.stderr.isatty():
            print_no_steps()  # the sweep prints its trials

        values["sweep"]["values"] = _swept_values(values["sweep"]["keys"])
        return run_trial(values, _run_name(values["tracking"], values["sweep"]), lambda: _train(values))
    if values["sweep"]["space"] and HydraConfig.get().mode == RunMode.RUN:
        search = f"sweep={HydraConfig.get().runtime.choices['sweep']}"
        raise ConfigError(f"{search}: that is a search of many runs. Try python -m ste.train -m {search}.")
    result = _train(values)
    if result is None:
        return None
    with fast_imports():
        from ste.data.build.data_card import is_synthetic
        from ste.reporting.console import print_portfolio, print_run, print_scores, print_verdict
        from ste.reporting.importance_text import print_group_values

    print_scores(result.model, result.scores)
    print_group_values(result.groups)
    print_verdict(result.verdict)
    print_portfolio(result.scores, synthetic=is_synthetic(result.card))
    print_run(result.lines, result.folder, result.run_id)
    return result.monitored


def _train(values: dict[str, Any]) -> "TrainResult | None":
    settings = load_settings(TrainSettings, values)
    if settings.resume is not None:
        values = _resumed_values(settings, settings.resume)
        settings = load_settings(TrainSettings, values)
    if HydraConfig.get().mode == RunMode.MULTIRUN and settings.trainer.processes != 1:
        raise ConfigError(
            f"trainer.devices={settings.trainer.devices}: a sweep trains each of its runs in one process. "
            "Try trainer=cpu, or the command without -m."
        )
    with fast_imports("torch, Lightning and MLflow"):
        from ste.experiment.run import train as train_run
        from ste.tracking.stop_signals import stop_signals

        if settings.tracking.enabled:
            import ste.tracking.tracked_run  # noqa: F401 - here, so that the time of its import is shown

    tracked = {key: value for key, value in values.items() if key != "sweep"}  # a run is the same in a sweep or alone
    if tracked["tracking"]["uri"]:
        tracked["tracking"] = tracked["tracking"] | {"uri": without_password(tracked["tracking"]["uri"])}
    folder = Path(HydraConfig.get().runtime.output_dir)
    name, command = _run_name(values["tracking"], values.get("sweep", {})), _command()
    sweep = settings.sweep
    callbacks: tuple[Any, ...] = ()
    searched = None not in (sweep.storage, sweep.study, sweep.trial) and sweep.pruner != "none"
    if searched and settings.validation.method == "holdout":
        from ste.tuning.pruning import Pruning

        callbacks = (Pruning(sweep, f"val/{settings.fit.monitor}"),)
    with stop_signals():  # also of a run that is not tracked: Lightning would end at SIGTERM as if it had finished
        return train_run(settings, tracked, folder, name, command, callbacks)


def _resumed_values(settings: TrainSettings, run_id: str) -> dict[str, Any]:
    """Read the settings of the stopped run; nothing but store and folders can be changed."""
    allowed = ("resume=", "tracking", "paths.", "plugins=")
    others = [text for text in HydraConfig.get().overrides.task if not text.startswith(allowed)]
    if others:
        raise ConfigError(
            f"resume={run_id} uses the settings of that run, which {' '.join(others)} would change. "
            f"Try resume={run_id} alone."
        )
    with fast_imports():
        from ste.experiment.resume import resumed_config

    return resumed_config(run_id, settings.tracking, settings.paths)


def _run_name(tracking: dict[str, Any], sweep: dict[str, Any]) -> str:
    """Name a run after its model, its data or experiment, and the settings that were typed or swept."""
    if tracking["run_name"]:
        return str(tracking["run_name"])
    hydra = HydraConfig.get()
    choices = hydra.runtime.choices
    if sweep.get("values"):
        from ste.tuning.trial_result import brief

        words = [brief(key, value) for key, value in sweep["values"].items() if key != "model"]
        return " ".join([choices["model"], *words])
    named = ("model=", "data=", "experiment=", "tracking", "paths.", "trainer.threads", "resume=", "sweep", "plugins=")
    typed = [_shorten(text) for text in hydra.overrides.task if not text.startswith(named)]
    return " ".join([choices["model"], choices["experiment"] or choices["data"], *typed])


def _swept_values(keys: list[str]) -> dict[str, str]:
    """Return this trial's values of the swept keys."""
    typed = dict(text.partition("=")[::2] for text in HydraConfig.get().overrides.task)
    return {key: typed[key] for key in keys}


def _command() -> str:
    """Return the command as a shell takes it; a trial's is that of its run alone."""
    overrides = [text for text in HydraConfig.get().overrides.task if not text.startswith("sweep")]
    return shell_command(overrides)


def _shorten(override: str) -> str:
    """Shorten `data.signal=0` to `signal=0`, and a path to its last part."""
    key, _, value = override.partition("=")
    return f"{key.rsplit('.', 1)[-1]}={value.rsplit('/', 1)[-1]}"


def main() -> None:
    """Console entry."""
    sys.argv += worker_overrides()
    run("train", train_task)


make_callable(__name__, train)

if __name__ == "__main__":
    main()
