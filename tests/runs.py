"""Parts of a run from its complete settings, for tests of single parts."""

from pathlib import Path

from ste.config import TrainSettings
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Scorecard
from ste.experiment.run import split_settings
from ste.experiment.run_scores import score_splits
from ste.experiment.stored_run import predict_checkpoints
from ste.training.fit import Fitted, Model


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
