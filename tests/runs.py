"""Settings of a run from overrides, and parts of a run from its settings, for tests of single parts."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from hydra_plugins.ste_sweepers._job_composer import JobComposer
from ste.config import TrainSettings
from ste.config.config_files import conf_dir
from ste.config.load import to_dict
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Scorecard
from ste.experiment.run import split_settings
from ste.experiment.run_scores import score_splits
from ste.experiment.stored_run import predict_checkpoints
from ste.training.fit import Fitted, Model


@cache
def _composer() -> JobComposer:
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        return JobComposer(loader, loader.load_configuration("train", [], RunMode.MULTIRUN))


def compose_values(*overrides: str) -> dict[str, Any]:
    """Compose the configuration of a training as a sweep does: a choice of files once, its values for each call."""
    return copy.deepcopy(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    config = _composer().compose(list(overrides))
    return to_dict(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]))


def build_data(settings: TrainSettings, panel: Panel) -> TrendDataModule:
    data = split_settings(settings).data
    return TrendDataModule(panel, data.view, data.seed, data.max_rows)


def build_model(settings: TrainSettings, data: TrendDataModule) -> Model:
    parts = split_settings(settings)
    model = parts.builder.build(data)
    if not parts.builder.is_baseline:
        parts.fitter.check()
    return model


def fit_model(settings: TrainSettings, data: TrendDataModule, model: Model, folder: Path, run=None) -> Fitted:
    return split_settings(settings).fitter.fit(model, data, folder, run, resume=settings.resume is not None)


def evaluate(
    settings: TrainSettings, checkpoints: list[Path], digest: str | None = None
) -> tuple[dict[str, Scorecard], Predictions]:
    parts = split_settings(settings)
    predictions = predict_checkpoints(parts, checkpoints, digest or parts.data.panel.prepared.digest)
    return score_splits(parts.scoring, predictions), predictions
