"""Train, track and score a model: `python -m ste.train model=lstm`."""

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from ste.config import TrainSettings
from ste.config.fast_imports import loading
from ste.config.hydra_app import run, without_password
from ste.config.load import load_settings, to_dict
from ste.config.processes import worker_overrides
from ste.errors import ConfigError


def train_task(config: DictConfig) -> Any:
    """One training run; the monitored validation figure, or in our sweeps a `ste.tuning.trial_outcome.Outcome`."""
    values = to_dict(config)
    if values["sweep"]["trial"] is not None:
        from ste.tuning.trial_job import run_trial

        values["sweep"]["values"] = _swept(values["sweep"]["keys"])
        return run_trial(values, _name(values["tracking"], values["sweep"]), lambda: _train(values))
    if values["sweep"]["space"] and HydraConfig.get().mode == RunMode.RUN:
        search = f"sweep={HydraConfig.get().runtime.choices['sweep']}"
        raise ConfigError(f"{search}: that is a search of many runs. Try python -m ste.train -m {search}.")
    result = _train(values)
    if result is None:
        return None
    with loading():
        from ste.reporting.console import print_run, print_scores, print_verdict

    print_scores(result.model, result.scores)
    print_verdict(result.verdict)
    print_run(result.lines, result.folder, result.run_id, without_password(_store(values)))
    return result.monitored


def _train(values: dict[str, Any]) -> Any:
    settings = load_settings(TrainSettings, values)
    if settings.resume is not None:
        settings, values = _stopped(settings.resume, settings)
    with loading():
        from ste.experiment.run import train  # torch, lightning and mlflow load only now

    kept = {key: value for key, value in values.items() if key != "sweep"}  # a run is the same in a sweep or alone
    kept["tracking"] = kept["tracking"] | {"uri": without_password(kept["tracking"]["uri"])}
    folder = Path(HydraConfig.get().runtime.output_dir)
    name, command = _name(values["tracking"], values.get("sweep", {})), _typed()
    if settings.sweep.study is None or settings.validation.method != "holdout":
        return train(settings, kept, folder, name, command)
    from ste.tuning.pruning import pruning

    monitor = f"val/{settings.fit.monitor}"
    return train(settings, kept, folder, name, command, lambda run: tuple(pruning(settings.sweep, monitor, run)))


def _stopped(run_id: str, settings: Any) -> tuple[Any, dict[str, Any]]:
    """Settings of a run that was stopped, to go on with."""
    with loading():
        from ste.errors import RunError
        from ste.tracking.run_info import ENSEMBLE_TAG
        from ste.tracking.run_lookup import find_run, read_config
        from ste.tracking.store import open_store

    kept = ("resume=", "tracking", "paths.")
    others = [text for text in HydraConfig.get().overrides.task if not text.startswith(kept)]
    if others:
        raise ConfigError(
            f"resume={run_id} goes on with that run's own settings, which {' '.join(others)} would change. "
            f"Try resume={run_id} alone."
        )
    client = open_store(settings.tracking, Path(settings.paths.output))
    found = find_run(client, run_id, settings.tracking.experiment, key="resume")
    if found.status == "FINISHED":
        raise RunError(f"resume={run_id}: that run is FINISHED. Try python -m ste.evaluate run={run_id}.")
    if ENSEMBLE_TAG in found.tags:
        raise RunError(f"resume={run_id}: that run is an ensemble. Make it anew: {found.tags['command']}.")
    here = {"resume": found.id, "tracking": asdict(settings.tracking), "paths": asdict(settings.paths)}
    values = {**read_config(client, found), **here}
    return load_settings(TrainSettings, values), values


def _name(tracking: dict[str, Any], sweep: dict[str, Any]) -> str:
    """What the run is, and what was typed to make it differ from the default, or from its sweep's other trials."""
    if tracking["run_name"]:
        return str(tracking["run_name"])
    hydra = HydraConfig.get()
    choices = hydra.runtime.choices
    if sweep.get("values"):
        from ste.tuning.trial_outcome import brief

        words = [brief(key, value) for key, value in sweep["values"].items() if key != "model"]
        return " ".join([choices["model"], *words])
    named = ("model=", "data=", "experiment=", "tracking", "paths.", "trainer.threads", "resume=", "sweep")
    typed = [_brief(text) for text in hydra.overrides.task if not text.startswith(named)]
    return " ".join([choices["model"], choices["experiment"] or choices["data"], *typed])


def _swept(keys: list[str]) -> dict[str, str]:
    """This trial's values of the keys that are swept."""
    typed = dict(text.partition("=")[::2] for text in HydraConfig.get().overrides.task)
    return {key: typed[key] for key in keys}


def _typed() -> str:
    """The command, as a shell would take it again; a trial's is that of its run alone."""
    overrides = [text for text in HydraConfig.get().overrides.task if not text.startswith("sweep")]
    return shlex.join(["python", "-m", "ste.train", *(without_password(text) or "" for text in overrides)])


def _brief(override: str) -> str:
    """`data.signal=0` as `signal=0`; a path as its last part."""
    key, _, value = override.partition("=")
    return f"{key.rsplit('.', 1)[-1]}={value.rsplit('/', 1)[-1]}"


def _store(values: dict[str, Any]) -> str:
    return values["tracking"]["uri"] or f"sqlite:///{Path(values['paths']['output']) / 'mlflow.db'}"


def main() -> None:
    """Console entry."""
    sys.argv += worker_overrides()
    run("train", train_task)


if __name__ == "__main__":
    main()
