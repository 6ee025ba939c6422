"""Train, track and score a model: `python -m ste.train model=lstm`."""

import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ste.cli import run
from ste.config import plain, train_settings


def train_task(config: DictConfig) -> float | None:
    """One training run; returns the monitored validation figure, for searches."""
    values = plain(config)
    settings = train_settings(values)
    if settings.resume is not None:
        settings, values = _stopped(settings.resume, settings)
    from ste.console import print_training  # torch, lightning and mlflow load only now
    from ste.pipeline import train

    values["tracking"]["uri"] = _without_password(values["tracking"]["uri"])
    folder = Path(HydraConfig.get().runtime.output_dir)
    result = train(settings, values, folder, _name(settings), _typed())
    if result is None:
        return None
    print_training(result, str(_without_password(_store(settings))))
    return result.monitored


def _stopped(run_id: str, settings: Any) -> tuple[Any, dict[str, Any]]:
    """Settings of a run that was stopped, to go on with."""
    from ste.errors import ConfigError, RunError
    from ste.tracking.find import find_run, read_config
    from ste.tracking.found import ENSEMBLE_TAG
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
    return train_settings(values), values


def _name(settings: Any) -> str:
    """What the run is, and what was typed to make it differ from the default."""
    if settings.tracking.run_name:
        return str(settings.tracking.run_name)
    hydra = HydraConfig.get()
    named = ("model=", "data=", "experiment=", "tracking", "paths.", "trainer.threads", "resume=")
    typed = [_brief(text) for text in hydra.overrides.task if not text.startswith(named)]
    choices = hydra.runtime.choices
    return " ".join([choices["model"], choices["experiment"] or choices["data"], *typed])


def _typed() -> str:
    """The command, as a shell would take it again."""
    overrides = [_without_password(text) or "" for text in HydraConfig.get().overrides.task]
    return shlex.join(["python", "-m", "ste.train", *overrides])


def _brief(override: str) -> str:
    """`data.signal=0` as `signal=0`; a path as its last part."""
    key, _, value = override.partition("=")
    return f"{key.rsplit('.', 1)[-1]}={value.rsplit('/', 1)[-1]}"


def _store(settings: Any) -> str:
    return settings.tracking.uri or f"sqlite:///{Path(settings.paths.output) / 'mlflow.db'}"


def _without_password(uri: str | None) -> str | None:
    """A store's address as it may be kept and shown."""
    return None if uri is None else re.sub(r"//[^/@]*@", "//…@", uri)


def main() -> None:
    """Console entry."""
    run("train", train_task)


if __name__ == "__main__":
    main()
