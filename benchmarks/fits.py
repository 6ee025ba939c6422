"""Fits and their data, for the benchmarks that time them: as `python -m ste.train` makes them, and the bare loop."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.reference_loop import PreparedExamples, bare_loop
from ste.config import TrackingSettings, TrainSettings
from ste.config.load import compose_command, load_settings
from ste.data.datamodule import TrendDataModule
from ste.experiment.run import split_settings
from ste.schema import RETURN
from ste.tracking.tracked_run import tracked_run


def settings_from(overrides: Sequence[str]) -> TrainSettings:
    """Return the settings of a training command and set torch's threads as the command does."""
    settings = load_settings(TrainSettings, compose_command("train", ["trainer.enable_progress_bar=false", *overrides]))
    torch.set_num_threads(settings.trainer.threads or 1)
    return settings


def open_data(settings: TrainSettings) -> TrendDataModule:
    """Build the tables unless they exist, and open the examples."""
    return split_settings(settings).data.holdout()


def fit_seconds(settings: TrainSettings, data: TrendDataModule, folder: Path, *, track: bool) -> float:
    """Fit a new model, with validation, checkpoints and early stopping, and return the wall time.

    Args:
        settings: of the run.
        data: examples.
        folder: for checkpoints and the tracking store.
        track: also send curves to a SQLite store; the time includes the wait for the last one.
    """
    parts = split_settings(settings)
    model = parts.builder.build(data)
    with tempfile.TemporaryDirectory(dir=folder) as checkpoints:
        if not track:
            start = time.perf_counter()
            parts.fitter.fit(model, data, Path(checkpoints))
            return time.perf_counter() - start
        tracking = TrackingSettings(uri=f"sqlite:///{folder / 'runs.db'}", experiment="bench")
        with tracked_run(tracking, folder, "bench", {}) as run:
            start = time.perf_counter()
            parts.fitter.fit(model, data, Path(checkpoints), run)
            return time.perf_counter() - start


def bare_seconds(settings: TrainSettings, data: TrendDataModule) -> float:
    """Train the same net on the same examples by the bare loop and return the wall time."""
    device = "cuda" if settings.trainer.accelerator == "gpu" else "cpu"
    module: Any = split_settings(settings).builder.build(data)

    def prepared(split: str) -> PreparedExamples:
        features = torch.cat([module.representation(batch.features) for batch in data.loader(split)])
        return PreparedExamples(features.to(device), data.datasets[split].labels.to(device))

    train, validation = prepared("train"), prepared("validation")
    net = module.net.to(device)
    start = time.perf_counter()
    epochs = settings.trainer.max_epochs
    assert epochs is not None
    bare_loop(net, train, validation, settings.data.batch_size, epochs, settings.optimizer.lr)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def describe(settings: TrainSettings, data: TrendDataModule) -> dict[str, Any]:
    """Describe the tables for a worker that reads them without STE: files, columns and the dates of the splits."""
    files = data.panel.prepared.files
    days = {split: pd.DatetimeIndex(pd.read_parquet(path)["date"].unique()) for split, path in files.items()}
    length, purge = settings.data.sequence_length, settings.data.split.purged_periods(settings.data.labels.horizon)
    train, validation = days["train"], days["validation"]
    segments = {"train": (train[length - 1], train[-1 - purge]), "valid": (validation[0], validation[-1])}
    return {
        "tables": [str(path.absolute()) for path in files.values()],
        "features": list(settings.data.feature_set.names),
        "label": RETURN,
        "segments": {name: [f"{day:%Y-%m-%d}" for day in pair] for name, pair in segments.items()},
        "start": f"{train[0]:%Y-%m-%d}",
        "end": f"{validation[-1]:%Y-%m-%d}",
        "length": length,
        "batch_size": settings.data.batch_size,
        "hidden_size": settings.model["hidden_size"],
        "num_layers": settings.model["num_layers"],
        "lr": settings.optimizer.lr,
        "examples": {"train": len(data.datasets["train"]), "valid": len(data.datasets["validation"])},
    }
